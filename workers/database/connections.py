"""The database: SQLite (WAL) or PostgreSQL (psycopg 3), and its migrations."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from tasks.transactions import SERVER, Raced, with_retry
from workers.database.commit_outcome import MARKED, Commits, begin_marked
from workers.database.connect_options import CONNECTIONS, connect_options
from workers.database.group_commit import GroupCommit
from workers.database.single_read import SingleReads
from workers.database.transaction import transaction
from workers.database.versions import Fit, Unfit, read_versions, refuse_two_schemas
from workers.redaction import redacted

T = TypeVar("T")
Item = TypeVar("Item")

SQLITE_TIMEOUT = 30.0
SQLITE_CONNECTIONS = 20
_SAME_AGAIN = {"pool_use_lifo": True}
"""The connection that was given back last is taken first: on each the marks of each account are looked up once."""
FROZEN = 5.0
"""Seconds that a PostgreSQL transaction may stand still before the server ends it and gives its locks back."""
LOCKED = 10.0
"""Seconds that a statement waits for another's lock: who has one and stands still loses it after FROZEN."""


class SqlDatabase:
    """Short transactions on one engine.

    SQLite has one writer: a lock in each process lets its threads queue in order instead of polling the file.
    """

    def __init__(self, url: str, *, connections: int = CONNECTIONS, program: str = "dialstock") -> None:
        self.engine = make_engine(url, connections=connections, program=program)
        sqlite = self.engine.dialect.name == "sqlite"
        self._writer = threading.Lock() if sqlite else nullcontext()
        # Few of the connections: timers need some, too, and the first claim on each takes long.
        self._group = GroupCommit(self.write, most=1 if sqlite else max(1, connections // 4))
        self._commits = Commits(self.engine)
        self._marking = self.engine.execution_options(**{MARKED: True})
        self._reading = self.engine.execution_options(dialstock_read=True)
        self._single = SingleReads(self.engine)

    def run(self, action: Callable[[Connection], T]) -> T:
        """The result of *action* in a transaction that is committed; run again where it met another one.

        Where the answer to the commit is lost, the database is asked whether it took place: then what *action* returned
        holds, else it is run again. Raises Unanswered where that cannot be told, and what *action* raises.
        """
        self._commits.prepare()
        return with_retry(lambda: self._run(action))

    def _run(self, action: Callable[[Connection], T]) -> T:
        commits, marked = False, self._commits.can_mark
        try:
            with self.write(marked=marked) as conn:
                result = action(conn)
                mark = self._commits.mark(conn) if marked else None
                commits = True
        except DBAPIError as exc:
            if not (commits and exc.connection_invalidated):
                raise
            if (mark is None or mark.number is not None) and not self._commits.took_place(mark, exc):
                raise Raced from exc
        return result

    @contextmanager
    def write(self, *, marked: bool = False) -> Iterator[Connection]:
        """A transaction that commits at the end of the block; `BEGIN IMMEDIATE` on SQLite.

        One that is *marked* is known by its number, which it takes even where it only reads.
        """
        with self._writer, transaction(self._marking if marked else self.engine) as connection:
            yield connection

    def transact(
        self,
        action: Callable[[Connection, Sequence[Item]], Sequence[T]],
        items: Sequence[Item],
        then: Callable[[Sequence[T]], Sequence[T]] | None = None,
    ) -> list[T]:
        """Run *action* on *items*, in a transaction that it shares with other threads that wait at the same time.

        Run again where it met another one. Where the answer to the commit is lost, that is what it raises.
        """
        return with_retry(lambda: self._group.run(action, items, then))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads, and takes no write lock."""
        # Begun before a caller asks for a stream of rows: what begins a transaction is no stream.
        with transaction(self._reading) as connection:
            yield connection

    def may_find(self, query: Select[Any]) -> bool:
        """Whether *query*, a constant without parameters, finds a row; True where that cannot be told."""
        return self._single.may_find(query)

    def renew(self) -> None:
        """Have fresh connections from now on: an old one may lead to a server, or a file, that is no more."""
        self.engine.dispose()

    def close(self) -> None:
        """Give back all connections."""
        self.engine.dispose()


def make_engine(url: str, *, connections: int = CONNECTIONS, program: str = "dialstock") -> Engine:
    """An engine set up for short transactions from many threads, which share so many *connections* to PostgreSQL."""
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    return _postgres_engine(url, connections, program)


def _postgres_engine(url: str, connections: int, program: str) -> Engine:
    # Who has SQLite does without psycopg.
    from workers.database.answering import use_answering_connections  # noqa: PLC0415

    # AUTOCOMMIT keeps the driver from its own BEGIN: each transaction is begun below, in our words.
    engine = create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        client_encoding="utf8",
        connect_args=connect_options(make_url(url), program),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        **_SAME_AGAIN,
    )
    use_answering_connections(engine)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        own = dict(connection.execute(_OWN).fetchall())
        connection.commit()
        # A pooler gives its clients a number of its own, and the next transaction a session without our statements.
        record.info["pooled"] = own["pid"] != str(connection.info.backend_pid)
        if record.info["pooled"]:
            connection.prepare_threshold = None
            connection.pooled = True
        pinned = _pinned(own.get("search_path"), limits="transaction_timeout" in own)
        level = "remote_apply" if own.get("synchronous_commit") == "remote_apply" else "on"
        record.info[SERVER] = _server(connection)
        record.info["begin"] = _begin_writing(level) + pinned
        record.info["begin_reading"] = _begin_reading() + pinned

    event.listen(engine, "begin", _begin_as_said)
    return engine


def _begin_as_said(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        begin = connection.info["begin_reading" if options.get("dialstock_read", False) else "begin"]
        begin_marked(connection, begin) if options.get(MARKED) else connection.exec_driver_sql(begin)


# What a transaction needs goes out with its BEGIN, in one message: no round trip more than BEGIN alone, and it holds
# behind a pooler that lends each transaction another session, where SET would stay with somebody else's.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_FROZEN = "SET LOCAL idle_in_transaction_session_timeout ="
# What the session began with: SHOW would tell what somebody else behind the pooler has set in it since.
_OWN = (
    "SELECT name, reset_val FROM pg_catalog.pg_settings"
    " WHERE name IN ('search_path', 'synchronous_commit', 'transaction_timeout')"
    " UNION ALL SELECT 'pid', pg_catalog.pg_backend_pid()::text"
)


# A server that is promoted, or started on a restored copy, was started at another time than the one before; a database
# that is made anew has another number.
_SERVER = (
    "SELECT pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::text || ' ' || oid"
    " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
)


def _server(connection: Any) -> str:
    """What tells this server's database from one that replaces it; "" where a clone of PostgreSQL does not say."""
    try:
        [[found]] = connection.execute(_SERVER).fetchall()
        connection.commit()
    except connection.DatabaseError:
        connection.rollback()
        return ""
    return str(found)


def _begin_reading() -> str:
    """A reader may take its time: it holds no lock, and its rows may go to a pager."""
    return f"{_BEGIN}; {_FROZEN} 0; SET LOCAL lock_timeout = '{LOCKED:g}s'"


def _begin_writing(level: str) -> str:
    """What was committed must survive the server's death, an intent most of all: with a default of `off` it may not.

    *level* is `on`, or the server's own where that is stronger. Who is frozen within a transaction must not hold up all
    others for as long as that lasts. No time-out ends a statement but that for locks: COMMIT is one, and where it waits
    for a replica, a time-out has it tell of a commit that the replica may not have.
    """
    waits = f"{_FROZEN} '{FROZEN:g}s'; SET LOCAL lock_timeout = '{LOCKED:g}s'; SET LOCAL statement_timeout = 0"
    return f"{_BEGIN} READ WRITE; {waits}; SET LOCAL synchronous_commit = {level}"


def _pinned(search_path: str | None, *, limits: bool) -> str:
    """What we depend on, whatever is the default of the server, the database or the role.

    Where the server *limits* transactions (PostgreSQL 17), that would end a commit that waits for a replica, and who
    reads for long. The driver reads times in ISO style alone. *search_path* is as the role and the database say, None
    where a clone of PostgreSQL does not: where a pg_dump behind the same pooler left it empty, our tables would not be
    found.
    """
    pins = {"datestyle": "'ISO'", "timezone": "'UTC'", "standard_conforming_strings": "on"}
    if limits:
        pins["transaction_timeout"] = "0"
    if search_path is not None:
        pins["search_path"] = search_path or "''"
    return "".join(f"; SET LOCAL {name} = {value}" for name, value in pins.items())


def _sqlite_engine(url: str) -> Engine:
    database = make_url(url).database
    reuse: dict[str, bool] = {}
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True)
        reuse = _SAME_AGAIN
    options = {"timeout": SQLITE_TIMEOUT, "check_same_thread": False}
    engine = create_engine(url, connect_args=options, pool_size=SQLITE_CONNECTIONS, **reuse)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        _write_ahead(connection)
        # An intent must survive a power cut: FULL syncs the log at each commit.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        # Half a MB for each of up to 30 connections, and not two.
        connection.execute("PRAGMA cache_size=-512")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("dialstock_read", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + SQLITE_TIMEOUT
    while True:
        try:
            # One in memory stays as it is, and says so without an error.
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # Its busy timeout does not hold here: of two that turn a new file to WAL, SQLite refuses one at once.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def migrate(url: str, *, beside: bool = False) -> None:
    """Bring the database at *url* to this version's tables; safe to run at the same time from several processes.

    Leaves one alone that a newer program has migrated. Raises Unfit where this program may not work with it, and where
    another schema has such tables: they may be the ones that are meant, unless new ones are wanted *beside* them.
    """
    engine = make_engine(url)
    try:
        found = read_versions(engine)
        if found.fit in (Fit.BEYOND, Fit.STRANGE) or (found.fit is Fit.ELSEWHERE and not beside):
            raise Unfit(f"{found.said_of(redacted(url))}: {found.mend}")
        if found.fit in (Fit.EMPTY, Fit.ELSEWHERE, Fit.BEHIND):
            refuse_two_schemas(engine)
            # Alembic costs a worker 11 MB that it needs once.
            from workers.database.migrating import upgrade  # noqa: PLC0415

            upgrade(engine)
    finally:
        engine.dispose()


def revisions(engine: Engine) -> tuple[str | None, str]:
    """The migration that the database has (None for an empty one), and the one that this version needs."""
    found = read_versions(engine)
    return found.present, found.needed
