"""Connections to PostgreSQL that are given up where the server behind them is frozen.

Where a disk hangs, a machine is paused or a proxy stands before a dead host, what is sent is acknowledged, so that TCP
notices nothing. No time bounds a statement: a migration takes its own, and a commit as long as its replica does. So who
waits for long asks on another connection whether the server is still at it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready
from sqlalchemy import Engine, event

from tasks.server_errors import database_trouble
from workers.processes.signs import SIGNS

T = TypeVar("T")

SILENT = 13.0
"""Seconds without a word after which the server is asked: more than a lock is waited for, or TCP for a lost host."""

ANSWERS = 7.0
"""Seconds that each host has to let the other connection in, and the server then to answer."""

IN_USE = 1.0
"""Seconds after an answer in which the pool takes a connection for one that works. One that does not is noticed by its
BEGIN, and exchanged."""

# Behind a pooler the number that a connection knows is the pooler's: there any answer counts.
_AT_IT = (
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity"
    " WHERE pid = %s AND application_name = pg_catalog.current_setting('application_name'))"
)
_ANY = "SELECT true"


class AnsweringConnection(psycopg.Connection[Any]):
    """psycopg's connection; a wait for a server that does not answer raises OperationalError, and closes it."""

    pooled = False
    heard = float("-inf")
    """When the server answered last, by the monotonic clock."""
    another: Callable[[], AnsweringConnection] | None = None
    """Makes the connection that the server is asked on; None in that one itself, which waits `ANSWERS` seconds."""

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """What *gen* returns, which waits for the server."""
        return super().wait(self._watched(gen), *args, **kwargs)

    def _watched(self, gen: PQGen[T]) -> PQGen[T]:
        """*gen*; psycopg sends it a falsy state every tenth of a second in which nothing came."""
        heard = time.monotonic()
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                    self.heard = heard if ready & Ready.R else self.heard
                elif time.monotonic() - heard > (SILENT if self.another else ANSWERS):
                    self._ask()
                    heard = time.monotonic()
                wanted = gen.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result

    def is_in_use(self) -> bool:
        """Whether the server answered a moment ago: to ask once more would cost each transaction a round trip."""
        return not self.closed and time.monotonic() - self.heard < IN_USE

    def _ask(self) -> None:
        if self.another and self._is_served(self.another):
            SIGNS.waits()
            return
        self.close()
        raise psycopg.OperationalError(f"no answer for {SILENT:g} s, nor to another connection")

    def _is_served(self, another: Callable[[], AnsweringConnection]) -> bool:
        """Whether the server still works for this connection; what it says against another one is an answer, too.

        What a pooler says for it is none.
        """
        try:
            with another() as other:
                found = other.execute(_ANY) if self.pooled else other.execute(_AT_IT, [self.info.backend_pid])
                return bool(found.fetchall()[0][0])
        except psycopg.Error as exc:
            what = database_trouble(exc).what
            return not any(word in what for word in ("away", "does not answer", "pooler", "cannot be asked"))


def use_answering_connections(engine: Engine) -> None:
    """Have *engine* make such connections, and ask of one that was not in use just now whether it works still."""
    dialect: Any = engine.dialect
    ping = dialect.do_ping
    dialect.do_ping = lambda connection: connection.is_in_use() or ping(connection)

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, args: Any, options: dict[str, Any]) -> AnsweringConnection:
        def another() -> AnsweringConnection:
            patient = {**options, "connect_timeout": int(ANSWERS), "autocommit": True, "prepare_threshold": None}
            return AnsweringConnection.connect(*args, **patient)

        connection = AnsweringConnection.connect(*args, **options)
        connection.another = another
        return connection
