"""Waiting for a database that is away: for a while where it can be asked for again, and for ever with money in hand."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, InternalError, NotSupportedError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

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


def patiently(action: Callable[[], T]) -> T:
    """Run *action* until the database takes it. Raises what the database raised after five minutes."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return action()
        except DATABASE_AWAY as exc:
            if time.monotonic() > deadline:
                raise
            log.warning("trying again: the database %s", explained(exc))
            time.sleep(PAUSE)


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
