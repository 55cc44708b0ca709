"""The database: SQLite in memory, the real statements, and boundaries around each transaction.

A transaction is one step: SQLite has one writer, so nobody else could write meanwhile. It ends in a commit, in a
roll-back, in a commit whose answer is lost, or with its process.
"""

from __future__ import annotations

import random
import re
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine, Select, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import OperationalError

import workers.database.connections
from tasks.transactions import SERVER
from tests.simulation.scheduler.box import wall_clock
from tests.simulation.scheduler.clockwork import Clockwork, Escaped
from workers.database.connections import SqlDatabase, make_engine, migrate

if TYPE_CHECKING:
    from tests.simulation.world import World

STATEMENTS = 2_000
"""Prepared ones that a connection keeps: more than there are."""

_Asked = tuple[int, tuple[int, ...] | None, list[Any]]
"""How often rows had been touched then, those of which tables how often, and what was read."""
_NEVER: _Asked = (-1, None, [])

_TOUCH = (
    "CREATE TEMP TRIGGER touch_{table}_{how} AFTER {how} ON main.{table} BEGIN SELECT touched('{table}', {key}); END"
)

_OURS = ("tasks", "workers")


class _Kept(sqlite3.Connection):
    """One connection for all, from world to world, with its prepared statements: no two transactions ever overlap.

    Whoever closes it loses only what SQLAlchemy knows of it.
    """

    def close(self) -> None:
        """It stays."""

    def create_function(self, *_: Any, **__: Any) -> None:
        """Those of the first connect stay: a function that comes again has every statement prepared anew."""


class Files:
    """The database, and engines that keep their compiled statements from world to world.

    `named`: whether its server tells itself from another, as PostgreSQL's do. `shared`: whether several write at once.
    """

    shared = False

    def __init__(self) -> None:
        self._engines: list[Engine] = []
        self._lent: list[tuple[Engine, Connection]] = []
        self.restores = 0
        self.named = False
        self._writes = self._changes = 0
        self._copy, self._live = self._connect(sqlite3.Connection), self._connect(_Kept)
        self._migrate()
        sqlite3.Connection.create_function(self._live, "random", 0, lambda: random.getrandbits(63))
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version' ORDER BY name"
        self._tables = [name for (name,) in self._live.execute(tables)]
        self._versions: Counter[str] = Counter()
        self._touches = 0
        self._touch()
        self._purchases: dict[str, None] | None = None
        self._asked: dict[tuple[str, tuple[Any, ...]], _Asked] = {}
        self._named_in: dict[str, tuple[str, ...]] = {}
        self._reader = self._live.cursor()
        self._reader.row_factory = sqlite3.Row

    def _migrate(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dialstock-sim-") as folder:
            path = Path(folder) / "world.sqlite"
            migrate(f"sqlite:///{path}")
            made = sqlite3.connect(path)
            made.backup(self._live)
            made.close()

    def _touch(self) -> None:
        """Have each change of a row told: what was read of other tables, and of other purchases, holds."""

        def touched(table: str, purchase: str | None) -> None:
            self._versions[table] += 1
            self._touches += 1
            if purchase is not None and self._purchases is not None:
                self._purchases[purchase] = None

        sqlite3.Connection.create_function(self._live, "touched", 2, touched)
        for table in self._tables:
            for how in ("INSERT", "UPDATE", "DELETE") if not table.startswith("sqlite_") else ():
                key = ("OLD.id" if how == "DELETE" else "NEW.id") if table == "purchase" else "NULL"
                self._live.execute(_TOUCH.format(table=table, how=how, key=key))

    def touched(self) -> dict[str, None] | None:
        """The purchases whose rows were touched since this was asked before; None where all may be other ones."""
        found, self._purchases = self._purchases, {}
        return found

    def read(self, query: str, *given: Any) -> list[Any]:
        """The rows of *query*, as they are committed. Raises Escaped within a transaction, which would show others."""
        if self._live.in_transaction:
            raise Escaped("a judge looks into a transaction")
        return self._reader.execute(query, given).fetchall()

    def ask(self, query: str, given: tuple[Any, ...]) -> list[Any]:
        """The same, read anew where a table that it names was touched since. Nobody may change the list."""
        key = query, given
        touches, versions, rows = self._asked.get(key, _NEVER)
        if touches == self._touches:
            return rows
        if query not in self._named_in:
            self._named_in[query] = tuple(sorted({*re.findall(r"\w+", query)} & {*self._tables}))
        now = tuple([self._versions[table] for table in self._named_in[query]])
        if versions != now:
            rows = self.read(query, *given)
        self._asked[key] = self._touches, now, rows
        return rows

    @property
    def moved(self) -> tuple[int, int, int]:
        """Another value after each commit, and whenever else what is committed may be other than before."""
        return self._writes, self.restores, self._live.total_changes

    def written(self) -> None:
        """A transaction that writes has ended, in whatever way."""
        changes = self._live.total_changes
        self._writes += changes != self._changes
        self._changes = changes

    def begin(self) -> None:
        """An empty database. Rows are deleted, and no file is copied: statements stay prepared as long as it is one."""
        self._take_back()
        self._live.rollback()
        self._live.execute("PRAGMA foreign_keys=OFF")
        self._live.execute("BEGIN IMMEDIATE")
        for table in self._tables:
            self._live.execute(f"DELETE FROM {table}")
        self._live.execute("COMMIT")
        self._asked.clear()
        self._purchases = None

    def share(self, clockwork: Clockwork) -> None:
        """Let several write at once. SQLite has one writer."""

    @property
    def met(self) -> Counter[str]:
        """How often writers met each other, by how."""
        return Counter()

    def copy(self) -> None:
        """Put a copy away."""
        self._live.backup(self._copy)

    def restore(self) -> None:
        """Go back to the copy; nobody's connection outlives that."""
        self.restores += 1
        self._take_back()
        self._copy.backup(self._live)
        self._versions.update(self._tables)
        self._touches += 1
        self._purchases = None

    def engine(self, number: int) -> Engine:
        """The engine of the world's process *number*, without connections."""
        while len(self._engines) <= number:
            self._engines.append(self._make_engine())
            # What one has compiled serves all.
            self._engines[-1].dialect = self._engines[0].dialect
            self._engines[-1]._compiled_cache = self._engines[0]._compiled_cache
        found = self._engines[number]
        if any(engine is found for engine, _ in self._lent):
            found.dispose()
        return found

    def _make_engine(self) -> Engine:
        engine = make_engine("sqlite:///world.sqlite")
        event.listen(engine, "do_connect", lambda *_: self._live)
        _begin_directly(engine)
        return engine

    def lend(self, engine: Engine) -> _Connection:
        """A connection until the next restore, or world."""
        found: Any = engine.connect()
        found.info[SERVER] = f"server {self.restores}" if self.named else ""
        self._lent.append((engine, found))
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        self._take_back()
        self._copy.close()
        sqlite3.Connection.close(self._live)

    def _take_back(self) -> None:
        for _, one in self._lent:
            one.close()
        for engine in {id(engine): engine for engine, _ in self._lent}.values():
            engine.dispose()
        self._lent.clear()

    def _connect(self, factory: type[sqlite3.Connection]) -> sqlite3.Connection:
        return sqlite3.connect(
            ":memory:", factory=factory, check_same_thread=False, isolation_level=None, cached_statements=STATEMENTS
        )


class _Connection(Connection):
    """Says the BEGIN of `database.connections` to the driver, and not through all of SQLAlchemy: a fifth of a run."""

    reads = False

    def _begin_impl(self, _transaction: Any) -> None:
        self.connection.dbapi_connection.execute("BEGIN" if self.reads else "BEGIN IMMEDIATE")  # type: ignore[union-attr]


def _begin_directly(engine: Engine) -> None:
    engine._connection_cls = _Connection
    engine._has_events = False


class ProcessDatabase(SqlDatabase):
    """One process's database."""

    def __init__(self, world: World, engine: Engine) -> None:
        with patch.object(workers.database.connections, "make_engine", lambda _url, **_options: engine):
            super().__init__("")
        self._world = world
        self._kept: _Connection | None = None
        self._restores = 0

    @contextmanager
    def write(self, *, marked: bool = False) -> Iterator[Connection]:
        clockwork, faults, what = self._world.clockwork, self._world.faults, _who()
        clockwork.boundary(f"{what}: begins to write")
        faults.database_before(writes=True)
        replaced = self._world.weather.lags(what)
        with self._alone(what, reads=False, marked=marked) as conn:
            yield conn
            if self._world.files.shared:
                clockwork.boundary(f"before the commit of {what}", within=True)
            faults.database_at_commit()
        faults.database_after()
        self._world.judge.after_commit()
        if replaced:
            self._world.weather.replace()
        clockwork.boundary(f"{what}: written")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        what = _who()
        self._world.clockwork.boundary(f"{what}: begins to read")
        self._world.faults.database_before(writes=False)
        self._world.weather.within_an_audit(what)
        with self._alone(what, reads=True) as conn:
            yield conn

    def renew(self) -> None:
        """Its connection is made anew, so that nothing is known of its server."""
        super().renew()
        self._kept = None

    def may_find(self, query: Select[Any]) -> bool:
        """Asked of what is committed, anew once that was touched; no boundary, as nothing is done where it says no."""
        if query not in _TEXTS:
            _TEXTS[query] = str(query.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))
        return bool(self._world.files.ask(_TEXTS[query], ()))

    @contextmanager
    def _alone(self, what: str, *, reads: bool, marked: bool = False) -> Iterator[Connection]:
        """A transaction that nobody else sees, or one of several at once."""
        me, shared = self._world.clockwork.me, self._world.files.shared
        assert me is not None
        me.busy, me.inside = me.busy + 1, what if shared else ""
        try:
            with self._one_of_several(reads, marked) if shared else self._on_the_one(reads) as conn:
                yield conn
        finally:
            me.busy, me.inside = me.busy - 1, ""
            if not reads:
                self._world.files.written()
            self._world.faults.count_states()

    def _one_of_several(self, reads: bool, marked: bool) -> AbstractContextManager[Connection]:
        """As it is in production."""
        return super().read() if reads else super().write(marked=marked)

    @contextmanager
    def _on_the_one(self, reads: bool) -> Iterator[Connection]:
        """On the process's one connection: to take one from the pool each time was a tenth of a run."""
        conn = self._connection()
        conn.reads = reads
        with conn.begin():
            yield conn

    def _connection(self) -> _Connection:
        """A fresh one after a restore, which no connection outlives."""
        if self._kept is None or self._restores != self._world.files.restores:
            self._kept, self._restores = self._world.files.lend(self.engine), self._world.files.restores
        assert self._kept is not None
        return self._kept


class Clock:
    """What the runtime's clock asks: a database that has a time of its own, whatever a worker's machine takes for it.

    No transaction of the world's: where they stand still is drawn without it.
    """

    dialect = SimpleNamespace(name="postgresql")

    def __init__(self, clockwork: Clockwork) -> None:
        self._clockwork = clockwork

    @contextmanager
    def read(self) -> Iterator[Clock]:
        yield self

    def execute(self, _query: object) -> Clock:
        return self

    def scalar_one(self) -> datetime:
        return wall_clock(self._clockwork)


def away() -> OperationalError:
    """What code under test sees of a database that is away."""
    return OperationalError("", {}, sqlite3.OperationalError("the database is away"), connection_invalidated=True)


def _who() -> str:
    """Which function of ours the transaction belongs to: the nearest in tasks/, by file and name."""
    frame, found = sys._getframe(2), "?"
    while frame is not None:
        if frame.f_code not in _NAMES:
            _NAMES[frame.f_code] = _name_of(frame)
        name, last = _NAMES[frame.f_code]
        if last:
            return name
        found, frame = name or found, frame.f_back  # type: ignore[assignment]
    return found


def _name_of(frame: FrameType) -> tuple[str, bool]:
    """What the story calls a function, empty where it is none of ours; and whether it looks no further."""
    module = frame.f_globals.get("__name__", "")
    if not module.startswith(_OURS):
        return "", False
    domain = module.startswith("tasks.") and module not in ("tasks.transactions", "tasks.outages.database_away")
    return f"{module.removeprefix('tasks.') if domain else module}.{frame.f_code.co_name}", domain


def called(function: Callable[..., Any], within: str = "") -> str:
    """What `_who` calls *function* of tasks/, or the one that it defines *within*. Raises LookupError for none.

    So what goes by a function's name ends at its import where that one is renamed.
    """
    code = function.__code__
    if within and within not in {one.co_name for one in code.co_consts if isinstance(one, CodeType)}:
        raise LookupError(f"{function.__qualname__} defines no {within}")
    return f"{function.__module__.removeprefix('tasks.')}.{within or code.co_name}"


_NAMES: dict[CodeType, tuple[str, bool]] = {}
_TEXTS: dict[Select[Any], str] = {}
_DIALECT = sqlite.dialect()  # type: ignore[no-untyped-call]
