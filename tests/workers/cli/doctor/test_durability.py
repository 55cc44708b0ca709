"""What the doctor says of a PostgreSQL that does not keep what it was told to commit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.servers import PostgresServer
from tests.waiting import eventually
from tests.workers.cli.commands import choose_sandbox, execute
from workers.cli.doctor.durability import durability
from workers.cli.doctor.findings import Level
from workers.database.connections import SqlDatabase

FOLLOWED = text("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")


@pytest.fixture(scope="module")
def careful(_postgres_package: Path) -> Iterator[PostgresServer]:
    """A server as it comes, but for its default of synchronous_commit: that is ours to set."""
    server = PostgresServer(_postgres_package, fsync="on", full_page_writes="on", synchronous_commit="off")
    yield server
    server.close()


def test_a_server_as_it_comes_is_well(careful: PostgresServer) -> None:
    with careful.database() as url:
        assert [(one.name, one.level) for one in durability(url)] == [("durability", Level.OK)]


def test_sqlite_needs_no_word(sqlite_url: str) -> None:
    assert durability(sqlite_url) == []


def test_what_a_power_cut_loses_is_told_with_its_mend(postgres_url: str, tmp_path: Path) -> None:
    found = durability(postgres_url)
    assert [one.level for one in found] == [Level.FAIL, Level.WARN]
    assert ["fsync = on" in str(found[0].mend), "full_page_writes = on" in str(found[1].mend)] == [True, True]
    choose_sandbox(tmp_path)
    done = execute("doctor", home=tmp_path, cwd=tmp_path, DATABASE_URL=postgres_url)
    assert (done.returncode, "fsync is off" in done.stdout) == (1, True)


def test_replicas_that_may_lag_are_told_of(careful: PostgresServer) -> None:
    with careful.database() as url, tempfile.TemporaryDirectory() as folder, careful.replica(Path(folder)):
        database = SqlDatabase(url)

        def followed() -> bool:
            with database.read() as conn:
                return bool(conn.execute(FOLLOWED).scalar_one())

        eventually(followed)
        [found] = durability(url)
        database.close()
    assert (found.level, "asynchronous" in found.message) == (Level.WARN, True)
    assert "synchronous_standby_names" in str(found.mend)
