"""Whether the workers that are connected find as many connections as they may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import PgBouncer, PostgresServer
from workers.cli.doctor.connections import connections
from workers.cli.doctor.findings import Finding, Level
from workers.database.connect_options import WORKER
from workers.database.connections import SqlDatabase

EACH = 8


@pytest.fixture(scope="module")
def small(_postgres_package: Path) -> Iterator[PostgresServer]:
    """Of its 44 connections 3 are kept for superusers, 4 for Flower's pages, 5 for commands."""
    server = PostgresServer(_postgres_package, max_connections="44")
    server.once("CREATE ROLE worker LOGIN", "CREATE ROLE stranger LOGIN", "CREATE ROLE few LOGIN CONNECTION LIMIT 24")
    yield server
    server.close()


def with_workers(url: str, count: int) -> Finding:
    """What is found while so many workers are connected, of which one has two connections."""
    workers = [SqlDatabase(url, program=f"{WORKER} {n}") for n in range(count)]
    try:
        for worker in workers:
            with worker.read(), workers[0].read():
                pass
        [found] = connections(url, EACH)
        return found
    finally:
        for worker in workers:
            worker.close()


def as_role(url: str, role: str) -> str:
    return url.replace("postgres@", f"{role}@")


@pytest.mark.parametrize(
    ("role", "workers", "level", "message"),
    [
        ("worker", 0, Level.OK, "0 worker processes take up to 0 of 32"),
        ("worker", 4, Level.OK, "4 worker processes take up to 32 of 32 connections"),
        ("worker", 5, Level.FAIL, "5 worker processes take up to 40 connections, and 32 are left for them"),
        ("few", 1, Level.OK, "take up to 8 of 15"),
        ("few", 2, Level.FAIL, "take up to 16 connections, and 15 are left"),
    ],
)
def test_the_sum_is_compared_with_what_there_is(
    small: PostgresServer, role: str, workers: int, level: Level, message: str
) -> None:
    with small.database() as url:
        found = with_workers(as_role(url, role), workers)
    assert (found.level, message in found.message) == (level, True), found
    if level is Level.FAIL:
        fits = {
            "worker": "raise max_connections (or the CONNECTION LIMIT) by 8",
            "few": "DIALSTOCK_DATABASE_CONNECTIONS=7",
        }
        assert fits[role] in (found.mend or "")


def test_connections_of_others_are_none_for_workers(small: PostgresServer) -> None:
    with small.database() as url:
        stranger = SqlDatabase(as_role(url, "stranger"), program=f"{WORKER} 9")
        with stranger.read():
            found = with_workers(as_role(url, "worker"), 4)
        stranger.close()
    assert (found.level, "31 are left" in found.message) == (Level.FAIL, True), found


def test_a_pooler_and_a_file_have_no_such_limit(pgbouncer: PgBouncer, postgres_url: str, sqlite_url: str) -> None:
    assert [connections(url, EACH) for url in (pgbouncer.url(postgres_url), sqlite_url)] == [[], []]
