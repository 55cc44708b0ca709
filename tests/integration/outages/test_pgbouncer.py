"""Orders through PgBouncer in transaction mode, with more threads than it has sessions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.integration.commands import dialstock, statuses, submit
from tests.integration.place import Place
from tests.servers import PgBouncer, PostgresServer, RedisServer
from tests.waiting import PATIENCE, eventually

Numbers = Callable[[int], list[str]]
SESSIONS = 4
"""What it has for a database, as the fixture sets it up."""


@pytest.fixture
def pooled(
    tmp_path: Path, postgres_server: PostgresServer, redis_server: RedisServer, pgbouncer: PgBouncer
) -> Iterator[Place]:
    """A deployment that has only the pooler's address, from its first migration on."""
    with postgres_server.database(empty=True) as direct, Place(tmp_path, pgbouncer.url(direct), redis_server) as place:
        yield place


def run(place: Place, *arguments: str) -> str:
    done = dialstock(place, *arguments)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def test_everything_works_through_it(pooled: Place, pgbouncer: PgBouncer, numbers: Numbers) -> None:
    run(pooled, "migrate")
    worker = pooled.setup("worker-1", "worker-2").worker
    found = json.loads(dialstock(pooled, "doctor", "--json").stdout)["checks"]
    assert [one["level"] for one in found if one["name"] in ("database", "workers")] == ["ok"] * 2, found
    wanted, (single,) = numbers(60), numbers(1)
    with pooled.results() as results:
        submit(pooled, *wanted, provider="signalwire")
        run(pooled, "buy", single, "--provider", "bird", "--wait")
        eventually(lambda: statuses(pooled, wanted) == {"purchased": 60}, what="all are bought")
        results.wait("dialstock.order.completed", seconds=PATIENCE)
    assert set(pooled.charged([*wanted, single]).values()) == {1}
    assert "prepared statement" not in worker.logs()
    assert max(int(pool["sv_active"]) + int(pool["sv_idle"]) for pool in pgbouncer.tell("SHOW POOLS")) <= SESSIONS


def test_an_order_outlives_the_pooler_and_what_it_leads_to(
    pooled: Place, pgbouncer: PgBouncer, postgres_server: PostgresServer, numbers: Numbers
) -> None:
    run(pooled, "migrate")
    pooled.policy["rate_limits"] = ["15/second"]
    pooled.configure({})
    pooled.setup("worker-1", "worker-2")
    wanted = numbers(80)
    submit(pooled, *wanted, provider="signalwire")
    reached(pooled, wanted, 5)
    pgbouncer.kill()
    pgbouncer.start()
    reached(pooled, wanted, 20)
    postgres_server.kill()
    postgres_server.restart()
    reached(pooled, wanted, 35)
    pgbouncer.tell("PAUSE")
    pgbouncer.tell("RESUME")
    eventually(lambda: all_bought(pooled, wanted), what="all are bought")
    assert set(pooled.charged(wanted).values()) == {1}


def all_bought(place: Place, wanted: list[str]) -> bool:
    """A pooler that lost its server refuses who asks for a moment, the test too."""
    with suppress(OperationalError):
        return statuses(place, wanted) == {"purchased": len(wanted)}
    return False


def reached(place: Place, wanted: list[str], count: int) -> None:
    eventually(lambda: len(place.charged(wanted)) >= count, what=f"{count} are bought")
