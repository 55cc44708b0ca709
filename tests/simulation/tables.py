"""The database: a file of SQLite in memory (/dev/shm), the real statements, and boundaries around each transaction.

A transaction is one step: SQLite has one writer, so nobody else could write meanwhile. It ends in a commit, in a
roll-back, in a commit whose answer is lost, or with its process.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

import workers.database.connections
from workers.database.connections import SqlDatabase, make_engine, migrate

if TYPE_CHECKING:
    from tests.simulation.world import World

SHM = Path("/dev/shm")
_OURS = ("tasks", "workers")


class Files:
    """The database's file, and engines that keep their compiled statements from world to world."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="dialstock-sim-", dir=SHM if SHM.is_dir() else None)
        self._template = Path(self._folder.name) / "template.sqlite"
        self._path = Path(self._folder.name) / "world.sqlite"
        self._engines: list[Engine] = []
        self._copy = sqlite3.connect(":memory:", check_same_thread=False)
        migrate(f"sqlite:///{self._template}")

    def begin(self) -> None:
        """A fresh database."""
        for engine in self._engines:
            engine.dispose()
        for left in self._path.parent.glob("world.sqlite*"):
            left.unlink()
        shutil.copyfile(self._template, self._path)

    def copy(self) -> None:
        """Put a copy away."""
        with closing(self.reader()) as live:
            live.backup(self._copy)

    def restore(self) -> None:
        """Go back to the copy; nobody's connection outlives that."""
        for engine in self._engines:
            engine.dispose()
        with closing(self.reader()) as live:
            self._copy.backup(live)

    def engine(self, number: int) -> Engine:
        """The engine of the world's process *number*, without connections."""
        while len(self._engines) <= number:
            engine = make_engine(f"sqlite:///{self._path}")
            event.listen(engine, "connect", _draw_by_seed)
            _begin_directly(engine)
            self._engines.append(engine)
        self._engines[number].dispose()
        return self._engines[number]

    def reader(self) -> sqlite3.Connection:
        """What judges read with: it sees what is committed."""
        found = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        found.row_factory = sqlite3.Row
        return found

    def close(self) -> None:
        for engine in self._engines:
            engine.dispose()
        self._copy.close()
        self._folder.cleanup()


class _Connection(Connection):
    """Says the BEGIN of `database.connections` to the driver, and not through all of SQLAlchemy: a fifth of a run."""

    def _begin_impl(self, _transaction: Any) -> None:
        reading = self.get_execution_options().get("dialstock_read", False)
        self.connection.dbapi_connection.execute("BEGIN" if reading else "BEGIN IMMEDIATE")  # type: ignore[union-attr]


def _begin_directly(engine: Engine) -> None:
    engine._connection_cls = _Connection
    engine._has_events = False


def _draw_by_seed(connection: Any, _record: Any) -> None:
    """RANDOM() as the seed has it."""
    connection.create_function("random", 0, lambda: random.getrandbits(63))


class ProcessDatabase(SqlDatabase):
    """One process's database."""

    def __init__(self, world: World, engine: Engine) -> None:
        with patch.object(workers.database.connections, "make_engine", lambda _url: engine):
            super().__init__("")
        self._world = world

    @contextmanager
    def write(self) -> Iterator[Connection]:
        clockwork, faults, what = self._world.clockwork, self._world.faults, _who()
        clockwork.boundary(f"{what}: begins to write")
        faults.database_before(writes=True)
        with self._alone(), super().write() as conn:
            yield conn
            faults.database_at_commit()
        faults.database_after()
        self._world.judge.after_commit()
        clockwork.boundary(f"{what}: written")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        what = _who()
        self._world.clockwork.boundary(f"{what}: begins to read")
        self._world.faults.database_before(writes=False)
        with self._alone(), super().read() as conn:
            yield conn

    @contextmanager
    def _alone(self) -> Iterator[None]:
        me = self._world.clockwork.me
        assert me is not None
        me.busy += 1
        try:
            yield
        finally:
            me.busy -= 1


class Quiet:
    """The same database without boundaries, for the clock: it is asked within transactions."""

    def __init__(self, database: ProcessDatabase) -> None:
        self._database = database

    def read(self) -> AbstractContextManager[Connection]:
        return SqlDatabase.read(self._database)


def away() -> OperationalError:
    """What code under test sees of a database that is away."""
    return OperationalError("", {}, sqlite3.OperationalError("the database is away"), connection_invalidated=True)


def _who() -> str:
    """Which function of ours the transaction belongs to: the nearest in tasks/, by file and name."""
    frame = sys._getframe(2)
    found = "?"
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("tasks.") and name not in ("tasks.transactions", "tasks.database_away"):
            return f"{name.removeprefix('tasks.')}.{frame.f_code.co_name}"
        if name.startswith(_OURS):
            found = f"{name}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return found
