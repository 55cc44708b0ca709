"""Whether a commit took place whose answer was lost: PostgreSQL is asked, it knows its transactions by number.

A number is the transaction's own on its timeline only: a replica that was promoted without it may give it to another.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from tasks.server_errors import explained
from tasks.transactions import Unanswered

log = logging.getLogger(__name__)

PATIENCE = 15.0
"""Seconds in which a database that went away at a commit is asked what became of it."""

_PAUSE = 0.2

# feature_not_supported, insufficient_privilege, undefined_function
_CANNOT = frozenset({"0A000", "42501", "42883"})

_TIMELINE = "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)"
# The number is given here: later, it would have to be asked for in a round trip of its own.
_MARK = f"SELECT txid_current(), {_TIMELINE}"
_STATUS = text(f"SELECT txid_status(:number), {_TIMELINE}")


MARKED = "dialstock_marked"
"""The execution option of a transaction that is to be marked, and where its connection's `info` has the mark."""

_LAST = "dialstock_last_result"
_WROTE = "dialstock_wrote"
_READS = ("SELECT", "SHOW")


@dataclass(frozen=True)
class Mark:
    """What a transaction is known by: its number, None where it has written nothing, and the server's timeline."""

    number: int | None
    timeline: str


def begin_marked(conn: Connection, begin: str) -> None:
    """Begin a transaction with the statements of *begin*, and learn its number in the same round trip."""
    found = conn.exec_driver_sql(f"{begin}; {_MARK}", execution_options={_LAST: True}).one()
    conn.info[MARKED], conn.info[_WROTE] = Mark(*found), False


def _notice_writes(conn: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    # What is not known to read may have written: WITH does both. A test forbids SELECT to call what writes.
    if not statement.startswith(_READS):
        conn.info[_WROTE] = True


def _take_last(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
    """Have the result of the last of several statements; whether it was done here."""
    if not context.execution_options.get(_LAST):
        return False
    cursor.execute(statement, parameters)
    while cursor.nextset():
        pass
    return True


class Commits:
    """Marks transactions, and tells what became of them. Marks nothing where the server cannot: SQLite, and clones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._can_mark: bool | None = None if engine.dialect.name == "postgresql" else False
        if self._can_mark is None:
            event.listen(engine, "before_cursor_execute", _notice_writes)
            event.listen(engine, "do_execute", _take_last)

    @property
    def can_mark(self) -> bool:
        """Whether the server can mark, once that is found out."""
        return bool(self._can_mark)

    def prepare(self) -> None:
        """Find out, once, whether the server can mark: in the transaction itself a refusal would break that.

        Raises SQLAlchemyError where it is away.
        """
        if self._can_mark is None:
            try:
                self._ask(Mark(None, ""))
            except DBAPIError as exc:
                if getattr(exc.orig, "sqlstate", None) not in _CANNOT:
                    raise
                log.info("this server does not tell what became of a transaction: %s", type(exc).__name__)
                self._can_mark = False
            else:
                self._can_mark = True

    def mark(self, conn: Connection) -> Mark:
        """What the present transaction, which is marked, is known by; taken last, for what it writes counts."""
        mark: Mark = conn.info[MARKED]
        return mark if conn.info[_WROTE] else replace(mark, number=None)

    def took_place(self, mark: Mark | None, cause: Exception) -> bool:
        """Whether the commit of *mark* took place. Raises Unanswered where that cannot be told."""
        if mark is None:
            raise Unanswered("the answer to a commit was lost") from cause
        for said, timeline in self._answers(mark):
            if timeline != mark.timeline or said is None:
                break
            if said != "in progress":
                log.warning("the answer to a commit was lost; it was %s", said)
                return bool(said == "committed")
        raise Unanswered("the answer to a commit was lost, and the database does not tell what became of it") from cause

    def _answers(self, mark: Mark) -> Iterator[tuple[str | None, str]]:
        """What the server says, again and again, as long as it is worth to ask."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                yield self._ask(mark)
            except SQLAlchemyError as exc:
                log.warning("the database went away at a commit, asking what became of it: %s", explained(exc))
            time.sleep(_PAUSE)

    def _ask(self, mark: Mark) -> tuple[str | None, str]:
        with self._engine.connect().execution_options(dialstock_read=True) as conn:
            said, timeline = conn.execute(_STATUS, {"number": mark.number}).one()
        return said, timeline
