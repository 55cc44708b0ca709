"""Migrations beside workers that write: no table is locked for longer than a moment, and what dies is gone on with.

On PostgreSQL each migration is a transaction of its own, which waits but shortly for a lock: whoever comes after waits
behind it. What takes long is done without a lock, by `add_index`.
"""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic import command, op
from alembic.config import Config
from sqlalchemy import Connection, Engine, event, inspect, text
from sqlalchemy.exc import DBAPIError

from workers.database import versions

log = logging.getLogger(__name__)

LOCK_WAIT = 0.5
"""Seconds that a migration waits for a lock, and all that need its table behind it."""

PATIENCE = 600.0
"""Seconds in which a migration tries to get its locks, where a long transaction has them."""

FROZEN_MIGRATION = 120.0
"""Seconds that a migration may stand still: while its scripts load, it does for long on a starved machine."""

_LOCK = 4242001
_PAUSE = 0.2
# lock_not_available, deadlock_detected
_AGAIN = frozenset({"55P03", "40P01"})


def upgrade(engine: Engine) -> None:
    """Bring the database to this version's tables; one process at a time, the others wait. Raises DBAPIError."""
    if engine.dialect.name == "sqlite":
        # One transaction: SQLite has one writer anyway, and nothing is left half way.
        with engine.begin() as connection:
            _run(connection)
        return
    event.listen(engine, "connect", _be_brief)
    # What was connected before that begins its transactions as all others do.
    engine.dispose()
    with _alone(engine):
        _patiently(lambda: _connected(engine))


def _connected(engine: Engine) -> None:
    with engine.connect() as connection:
        _run(connection)


def _run(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(versions.MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _be_brief(_connection: Any, record: Any) -> None:
    """With BEGIN, in one message: a process that stands still between two would be held to less than it may."""
    brief = f"SET LOCAL lock_timeout = '{LOCK_WAIT:g}s'"
    record.info["begin"] += f"; {brief}; SET LOCAL idle_in_transaction_session_timeout = '{FROZEN_MIGRATION:g}s'"


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold a lock in a transaction, which a pooler leaves on one connection.

    It is asked for again and again: an index that is made without a lock waits for every statement that runs, and for
    one that waits for this lock it would wait for ever.
    """
    for tried in itertools.count():
        with engine.connect() as connection:
            mine = connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}).scalar()
            _stand_by(connection)
            if mine:
                yield
                return
        if not tried:
            log.info("another process migrates the database: waiting for it")
        time.sleep(_PAUSE)


def _patiently(migrate: Callable[[], None]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return migrate()
        except DBAPIError as exc:
            if getattr(exc.orig, "sqlstate", None) not in _AGAIN or time.monotonic() > until:
                raise
            log.info("a table is in use for longer than a migration waits for it: it is tried again")
        # Those who waited behind it go first.
        time.sleep(random.uniform(LOCK_WAIT, 2 * LOCK_WAIT))


def _stand_by(connection: Connection) -> None:
    """Have a transaction that may last, and that an index which is made meanwhile does not wait for.

    That waits for whoever reads; who has read does so until its next statement.
    """
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def add_index(name: str, table: str, columns: Sequence[str], where: str | None = None) -> None:
    """For a migration that does nothing else: an index on a table that may be big, while others write to it.

    One that was left half way by a process that died is made anew. *where* makes it partial.
    """
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        op.create_index(name, table, columns, sqlite_where=text(where) if where else None)
        return
    schema = bind.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    _stand_by(bind)
    partial = f" WHERE {where}" if where else ""
    # By itself: it cannot be made in a transaction. A table that only this one sees is nobody else's.
    with bind.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        if inspect(conn).has_table(table):
            _unhindered(conn)
            _make_index(conn, schema, name, f"{schema}.{table} ({', '.join(columns)}){partial}")
        else:
            op.create_index(name, table, columns, postgresql_where=text(where) if where else None)


_MADE_ON = text(
    "SELECT type, name, sql FROM sqlite_master"
    " WHERE type IN ('index', 'trigger') AND tbl_name = :of AND sql IS NOT NULL ORDER BY rowid"
)


def widen_check(name: str, table: str, condition: str) -> None:
    """A check that allows more than it did, on a table that may be big: *condition* holds for every row that there is.

    It holds for new rows at once; the rows that there are, are read without a lock that anybody waits for. Done twice
    it is the same, so a migration that was left half way is run again.
    """
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        made_on = bind.execute(_MADE_ON, {"of": table}).all()
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="check")
            batch.create_check_constraint(name, condition)
        # Anew as they were: of two that serve alike, SQLite takes the one that was made last.
        # Triggers are gone with the table that they were made on.
        for kind, made, how in made_on:
            op.execute(text(f"DROP {kind} IF EXISTS {made}"))
            op.execute(text(how))
        return
    schema = bind.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    _stand_by(bind)
    with bind.engine.begin() as conn:
        shared = inspect(conn).has_table(table)
        if shared:
            _replace_check(conn, f"{schema}.{table}", name, f"{condition}) NOT VALID")
    if not shared:
        _replace_check(bind, table, name, f"{condition})")
        return
    with bind.engine.begin() as conn:
        conn.execute(text("SET LOCAL statement_timeout = '0'"))
        conn.execute(text(f"ALTER TABLE {schema}.{table} VALIDATE CONSTRAINT {name}"))


def _replace_check(conn: Connection, table: str, name: str, condition: str) -> None:
    conn.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} CHECK ({condition}"))


_HINDERS = {"default_transaction_read_only": "off", "statement_timeout": "0"}


def _unhindered(conn: Connection) -> None:
    """Lift what a server's or a role's defaults would end an index with; only there, for a pooler lends sessions."""
    for name, value in _HINDERS.items():
        if conn.exec_driver_sql(f"SHOW {name}").scalar() != value:
            conn.exec_driver_sql(f"SET {name} = {value}")


def _make_index(conn: Connection, schema: str, name: str, what: str) -> None:
    found = text("SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = to_regclass(:name)")
    if conn.execute(found, {"name": f"{schema}.{name}"}).scalar() is False:
        log.warning("the index %s was left half way: it is made anew", name)
        conn.execute(text(f"DROP INDEX CONCURRENTLY {schema}.{name}"))
    conn.execute(text(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {what}"))
