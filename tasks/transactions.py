"""How a transaction is run: again where it met another one, and never with its end left open.

What a transaction does is a function of a connection, and is run again from its beginning: so it changes nothing but
the database, and takes the time and what stands in the rows anew. `Database.run` and `Database.transact` run it; what
they need to know of errors stands here. It is told by codes, never by an error's words: those are translated.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

T = TypeVar("T")

TRIES = 12
"""How often a transaction is begun before its last error is raised."""

FIRST_WAIT, LONGEST_WAIT = 0.01, 0.5
"""Seconds between two tries, at the most: drawn by chance, so that two that met do not meet again."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html: serialization_failure, deadlock_detected.
_MET_ANOTHER = frozenset({"40001", "40P01"})
# https://www.sqlite.org/rescode.html: SQLITE_BUSY, SQLITE_LOCKED; the lowest byte of an extended code.
_SQLITE_BUSY = frozenset({5, 6})


SERVER = "dialstock_server"
"""Where a connection's `info` has what tells its server, and its database there, from whatever replaces them."""


class Raced(Exception):
    """Another transaction was faster, or this one was rolled back for another's sake: do it again."""


class NotHere(Exception):
    """What was asked for is not done on this connection, whoever asks: all who share the transaction are told."""


class Unanswered(SQLAlchemyError):
    """A commit was sent, its answer was lost, and the database could not be asked whether it took place."""


def server_of(conn: Connection) -> str:
    """What tells the server behind a connection from another; "" on SQLite, and where it does not say."""
    found: str = conn.info.get(SERVER, "")
    return found


def met_another(exc: BaseException) -> bool:
    """Whether a transaction failed for another one's sake only, and was rolled back: it may be run again."""
    if isinstance(exc, Raced | IntegrityError):
        return True
    if not isinstance(exc, DBAPIError):
        return False
    busy = getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_BUSY
    return busy or getattr(exc.orig, "sqlstate", None) in _MET_ANOTHER


def with_retry(action: Callable[[], T]) -> T:
    """Run a transaction again where it met another one. Raises what the last try raised."""
    for tried in range(1, TRIES):
        try:
            return action()
        except Exception as exc:
            if not met_another(exc):
                raise
        time.sleep(random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**tried)))
    return action()


def always(_conn: Connection) -> bool:
    """Whatever has happened meanwhile: for who may be asked whether a change is *still* to be."""
    return True
