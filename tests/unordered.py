"""Rows in an order that nobody asked for: what a statement does not order, another plan returns in another order.

Each test draws from its own name, so what leans on an order fails at once, and not on the day that a plan changes.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine.cursor import CursorFetchStrategy, CursorResult, FullyBufferedCursorFetchStrategy

_IN_PARENTHESES = re.compile(r"\([^()]*\)")
_ORDERED = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)

_chance: random.Random | None = None


def draw_from(name: str | None) -> None:
    """Shuffle by *name* from now on; leave rows as they come where there is none."""
    global _chance  # noqa: PLW0603 - a process runs one test at a time
    _chance = None if name is None else random.Random(name)


@event.listens_for(Engine, "before_cursor_execute")
def _shuffle(_conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
    streams = context is None or context.execution_options.get("stream_results")
    if _chance is not None and not streams and not is_ordered(statement):
        context.cursor_fetch_strategy = _Unordered(_chance)


@lru_cache(4096)
def is_ordered(statement: str) -> bool:
    """Whether the statement itself orders its rows; what orders a part of it in parentheses does not.

    A PRAGMA's come in the order of what it describes: https://www.sqlite.org/pragma.html#pragma_index_info.
    """
    while (shorter := _IN_PARENTHESES.sub("", statement)) != statement:
        statement = shorter
    return _ORDERED.search(statement) is not None or statement.startswith("PRAGMA")


class _Unordered(CursorFetchStrategy):
    """Fetches all rows at the first call, and shuffles them."""

    __slots__ = ("_chance", "_shuffled")

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._shuffled: FullyBufferedCursorFetchStrategy | None = None

    def _all(self, result: CursorResult[Any], cursor: Any) -> FullyBufferedCursorFetchStrategy:
        # SQLAlchemy keeps this strategy's method while it iterates.
        if self._shuffled is None:
            try:
                rows = list(cursor.fetchall())
            except BaseException as exc:
                self.handle_exception(result, cursor, exc)
            self._chance.shuffle(rows)
            self._shuffled = FullyBufferedCursorFetchStrategy(cursor, initial_buffer=rows)
        return self._shuffled

    def fetchone(self, result: CursorResult[Any], dbapi_cursor: Any, hard_close: bool = False) -> Any:
        return self._all(result, dbapi_cursor).fetchone(result, dbapi_cursor, hard_close)

    def fetchmany(self, result: CursorResult[Any], dbapi_cursor: Any, size: int | None = None) -> Any:
        return self._all(result, dbapi_cursor).fetchmany(result, dbapi_cursor, size)

    def fetchall(self, result: CursorResult[Any], dbapi_cursor: Any) -> Any:
        return list(self._all(result, dbapi_cursor).fetchall(result, dbapi_cursor))
