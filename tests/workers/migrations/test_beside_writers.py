"""Migrations of tables that are big, and written to meanwhile."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, text

from tests import releases
from tests.servers import PostgresServer
from tests.waiting import PATIENCE, at_once, eventually, fair_clock
from tests.workers.migrations.test_versions import alembic
from workers.database import versions
from workers.database.connections import SqlDatabase, migrate
from workers.database.versions import needed_revision

PREVIOUS = releases.REVISION
"""The revision of the release before: what a table may be full of when this one's migrations come."""

MANY = 1_000_000
LONGEST = 1.0
"""Seconds that a writer may wait for a migration, on a machine that has the time."""

_FILL = """
INSERT INTO pool_request (request_id, fingerprint, pool, task, numbers, created_at)
SELECT 'r' || n, 'f', 'p', 'take', '[]', now() - n * interval '1 second' FROM generate_series(1, :many) AS n
"""
_FILL_ATTEMPTS = """
INSERT INTO purchase_attempt (purchase_id, revision, started_at, deadline)
SELECT gen_random_uuid(), 1, now(), now() FROM generate_series(1, :many) AS n
"""
_WRITE = (
    "INSERT INTO pool_request (request_id, fingerprint, pool, task, numbers, created_at) "
    "VALUES (:id, 'f', 'p', 'take', '[]', now())",
    "INSERT INTO purchase_attempt (purchase_id, revision, started_at, deadline) "
    "VALUES (gen_random_uuid(), 1, now(), now())",
    "INSERT INTO provider_state (provider, updated_at, settled) VALUES (:id, now(), true)",
    "INSERT INTO outbox_event (id, type, source, time, data) VALUES (gen_random_uuid(), 't', 's', now(), '{}')",
)
"""A row for each table that workers write without end."""


@pytest.fixture
def before(postgres_server: PostgresServer) -> Iterator[SqlDatabase]:
    """A database as the previous release left it."""
    with postgres_server.database() as url:
        database = SqlDatabase(url)
        with database.write() as conn:
            alembic(conn, command.downgrade, PREVIOUS)
        yield database
        database.close()


def url_of(database: SqlDatabase) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def is_valid(database: SqlDatabase, index: str) -> bool | None:
    """Whether an index is whole; None where there is none."""
    query = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:index)")
    with database.read() as conn:
        found: bool | None = conn.execute(query, {"index": index}).scalar()
    return found


def reader(database: SqlDatabase) -> Connection:
    """One who may stand still within a transaction, for as long as the test takes."""
    return database.engine.connect().execution_options(dialstock_read=True)


@contextmanager
def writer(database: SqlDatabase) -> Iterator[list[float]]:
    """Somebody who writes without end meanwhile; gives the seconds that each row took, the longest last in the end."""
    waits: list[float] = []
    stop = threading.Event()

    def write(clock: Callable[[], float]) -> None:
        while not stop.is_set():
            begun = clock()
            with database.write() as conn:
                for statement in _WRITE:
                    conn.execute(text(statement), {"id": f"w{len(waits)}"})
            waits.append(clock() - begun)
            time.sleep(0.005)

    with fair_clock() as clock:
        thread = threading.Thread(target=write, args=[clock])
        thread.start()
        try:
            eventually(lambda: waits, what="the writer writes")
            yield waits
        finally:
            stop.set()
            thread.join()
            waits.sort()


def test_a_million_rows_are_migrated_while_others_write(before: SqlDatabase) -> None:
    with before.write() as conn:
        conn.execute(text(_FILL), {"many": MANY})
        conn.execute(text(_FILL_ATTEMPTS), {"many": MANY // 10})
    with writer(before) as waits:
        migrate(url_of(before))
    assert waits[-1] < LONGEST, f"somebody waited for {waits[-1]:.1f} s"
    assert is_valid(before, "pool_request_created")


def test_an_index_that_was_left_half_way_is_made_anew(before: SqlDatabase) -> None:
    """Whoever looks at an old state holds it up: there its process is killed."""
    with before.write() as conn:
        conn.execute(text(_FILL), {"many": 100})
    program = f"from workers.database.connections import migrate; migrate({url_of(before)!r})"
    old = reader(before)
    old.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    victim = subprocess.Popen([sys.executable, "-c", program])
    eventually(lambda: is_valid(before, "pool_request_created") is False, what="the index is under way")
    victim.kill()
    victim.wait()
    with before.read() as conn:
        conn.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'CREATE INDEX%' AND pid <> pg_backend_pid()"
            )
        )
    old.close()
    assert is_valid(before, "pool_request_created") is False
    migrate(url_of(before))
    assert is_valid(before, "pool_request_created")


def test_several_that_migrate_a_full_database_at_once(before: SqlDatabase) -> None:
    with before.write() as conn:
        conn.execute(text(_FILL), {"many": 20_000})
    assert at_once(*[lambda: migrate(url_of(before))] * 3) == [None] * 3
    assert is_valid(before, "pool_request_created")
    with before.read() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == needed_revision()


def test_a_migration_that_needs_a_table_in_use_holds_nobody_up(
    before: SqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs the whole table for an instant, and a reader has it for seconds: writers do not queue behind it."""
    there = shutil.copytree(versions.MIGRATIONS, tmp_path / "migrations")
    (there / "versions" / "9999_a_column.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '9999', '{needed_revision()}', None, None\n"
        "def upgrade():\n    op.add_column('outbox_event', sa.Column('more', sa.Text(), nullable=True))\n"
    )
    monkeypatch.setattr(versions, "MIGRATIONS", there)
    reads = reader(before)
    reads.execute(text("SELECT count(*) FROM outbox_event"))
    with writer(before) as waits:
        migrating = threading.Thread(target=migrate, args=[url_of(before)])
        migrating.start()
        time.sleep(3)  # as long as the reader reads
        assert migrating.is_alive()
        reads.close()
        migrating.join(PATIENCE)
        assert not migrating.is_alive()
    assert waits[-1] < LONGEST, f"somebody waited for {waits[-1]:.1f} s"
    with before.read() as conn:
        conn.execute(text("SELECT more FROM outbox_event LIMIT 1"))
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
