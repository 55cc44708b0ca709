"""The row in which a process says that it runs, and which configuration it has in force (tasks.processes)."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from tasks import processes
from tasks.processes import Process
from tasks.runtime import Database
from workers.config_file import ConfigFile
from workers.database.clock import DatabaseClock
from workers.database.connections import SqlDatabase
from workers.periodic.timers import Timer

LOOK_EVERY = 1.0
"""Seconds within which a change is written down."""


class Presence:
    """Keeps the row of this process true; takes it out at the end."""

    def __init__(self, database: Database, now: Callable[[], datetime], role: str, file: ConfigFile) -> None:
        self._database, self._now, self._file = database, now, file
        self._me = Process(role=role)
        self._told: tuple[str, str | None] | None = None
        self._next = 0.0
        self._timer = Timer("presence", LOOK_EVERY, self.tell)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._timer.start()

    def stop(self) -> None:
        """Take the row out. Without the database it is forgotten by itself."""
        self._timer.stop(timeout=1.0)
        with suppress(SQLAlchemyError):
            self._database.run(lambda conn: processes.take_out(conn, self._me))

    def tell(self) -> bool:
        """Write down what changed, and that we run."""
        found = self._file.config.digest, self._file.refused
        if found != self._told or time.monotonic() >= self._next:
            now = self._now()
            self._database.run(lambda conn: processes.write_down(conn, self._me, *found, now))
            self._told, self._next = found, time.monotonic() + processes.EVERY
        return False


def presence_at(url: str, role: str, file: ConfigFile) -> Presence:
    """That of a process which needs the database for nothing else."""
    database = SqlDatabase(url)

    def now() -> datetime:
        return DatabaseClock(database)()  # a new one asks the database

    return Presence(database, now, role, file)
