"""Whether a query finds a row, asked alone: a transaction of SQLAlchemy's takes three times as much of the processor.

It is for timers, which ask some times a second and seldom find anything.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Select
from sqlalchemy.exc import SQLAlchemyError


class SingleReads:
    """Asks one database, by constant queries without parameters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._texts: dict[Select[Any], str] = {}

    def may_find(self, query: Select[Any]) -> bool:
        """Whether *query* finds a row that is committed; True wherever that cannot be told."""
        driver: Any = self._engine.dialect.dbapi
        try:
            connection = self._engine.raw_connection()
        except (SQLAlchemyError, driver.Error):
            return True
        try:
            return _found(connection.cursor(), self._text(query), connection.info.get("begin_reading"))
        except driver.Error:
            connection.invalidate()
            return True
        finally:
            connection.close()

    def _text(self, query: Select[Any]) -> str:
        if query not in self._texts:
            self._texts[query] = str(query.compile(self._engine, compile_kwargs={"literal_binds": True}))
        return self._texts[query]


def _found(cursor: Any, query: str, begin: str | None) -> bool:
    """On PostgreSQL with what each transaction needs, in one message: it waits for no lock for ever, and does not
    depend on what others have set in a pooler's session.
    """
    cursor.execute(query if begin is None else f"{begin}; {query}; COMMIT")
    while cursor.description is None and cursor.nextset():
        pass
    return cursor.fetchone() is not None
