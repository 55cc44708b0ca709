"""Waiting for a database that is away: for a while where it can be asked for again, and for ever with money in hand."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tasks.outages.waits import WAITS
from tasks.runtime import Database
from tasks.server_errors import explained
from tasks.transactions import Raced, Unanswered

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE = 300.0
"""Seconds that is waited for what can be asked for again: a message is in the queue still, a look is made again."""

PAUSE = 0.5
"""Seconds between two tries."""

FIRST_TOLD, SELDOM_TOLD = 1.0, 300.0
"""Seconds after which is told again what is in hand, at first; each time after twice as long, and at last this long."""

# InternalError is what PostgreSQL calls a transaction that stood still for too long, and NotSupportedError what a
# replica says to one that would write.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError, NotSupportedError, PoolTimeoutError, Unanswered)

# What the drivers call an error of the statement or no class of its own, and a message cannot cause: a right, a schema
# or our tables are missing. insufficient_privilege, undefined_table, undefined_column, undefined_object,
# invalid_column_reference (no such unique index), invalid_schema_name, invalid_catalog_name; not undefined_function and
# datatype_mismatch, which a value may lead to.
_REFUSED = frozenset({"42501", "42P01", "42703", "42704", "42P10", "3F000", "3D000"})
# SQLITE_CORRUPT, SQLITE_NOTADB
_SQLITE_BROKEN = frozenset({11, 26})


def is_away(exc: BaseException) -> bool:
    """Whether it is the database that refuses, whoever asks for whatever: what was asked for may be asked for again.

    A statement of ours that is wrong is none: it would be refused for ever.
    """
    if isinstance(exc, DATABASE_AWAY) or not isinstance(exc, DBAPIError):
        return isinstance(exc, DATABASE_AWAY)
    broken = getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BROKEN
    return broken or getattr(exc.orig, "sqlstate", None) in _REFUSED


def patiently(action: Callable[[], T], name: str, go_on: Callable[[], bool] = lambda: True) -> T:
    """Run *action* until the database takes it. Raises what it raised after five minutes, or once *go_on* says no.

    It is told by its *name* when the database begins to refuse it, and when it takes it.
    """
    deadline, waited = time.monotonic() + PATIENCE, False
    while True:
        try:
            result = action()
        except SQLAlchemyError as exc:
            if not is_away(exc):
                raise
            WAITS.refused(name, exc)
            if time.monotonic() > deadline or not go_on():
                raise
            waited = True
            time.sleep(PAUSE)
        else:
            WAITS.done(name, waited=waited)
            return result


def until_written(database: Database, action: Callable[[], T], holds: str) -> T:
    """Run *action* until it is written, for as long as this process lives: nobody else has what it *holds*.

    Whatever the database says against it, it is asked again, on fresh connections; *holds* is told in the log, so that
    what dies with the process can be read there. The sweep takes the call for lost meanwhile: the answer still counts
    when it comes. Raises what is none of the database's errors.
    """
    began, wait = time.monotonic(), 0.0
    told = began
    while True:
        try:
            return action()
        except (SQLAlchemyError, Raced) as exc:
            now = time.monotonic()
            if now >= told + wait:
                why = f"{type(exc).__name__}: the database {explained(exc)}"
                log.error("not written for %.0f s, trying on: %s (%s)", now - began, holds, why)  # noqa: TRY400
                told, wait = now, min(2 * wait or FIRST_TOLD, SELDOM_TOLD)
        database.renew()
        time.sleep(PAUSE)
