"""An order under way while the database's host vanishes without a word, and another of its URL is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.commands import statuses, submit
from tests.integration.place import Place
from tests.servers import PostgresServer, RedisServer
from tests.servers.far_host import FarHost
from tests.waiting import eventually, fair_clock

Numbers = Callable[[int], list[str]]
WITHIN = 20.0
"""Seconds until workers buy again, on a machine that has the time."""


class TwoWays(Place):
    """Its processes go through the far host, or where that has vanished straight to the server."""

    far: FarHost
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        url = self.far.url(self.database_url).replace(f"@{self.far.address}:5432", "@")
        both = f"{url}?host={self.far.address},{self.folder}&target_session_attrs=read-write"
        return {**super().environ, "DATABASE_URL": both}


@pytest.fixture
def host(postgres_server: PostgresServer) -> Iterator[FarHost]:
    with FarHost(postgres_server) as host:
        yield host


@pytest.fixture
def place(
    tmp_path: Path, host: FarHost, postgres_server: PostgresServer, postgres_url: str, redis_server: RedisServer
) -> Iterator[Place]:
    place = TwoWays(tmp_path, postgres_url, redis_server, rate_limits=["5/second"])
    place.far, place.folder = host, postgres_server.folder
    with place:
        yield place


def test_workers_go_on_with_the_other_and_buy_nothing_twice(place: Place, host: FarHost, numbers: Numbers) -> None:
    workers = list(place.setup("worker-1", "worker-2").worker_cluster)
    wanted = numbers(120)
    submit(place, *wanted, provider="signalwire")
    eventually(lambda: len(place.charged(wanted)) >= 10, what="some are bought")
    host.vanish()
    with fair_clock() as clock:
        time.sleep(2)  # what was on its way is over
        before = len(place.charged(wanted))
        eventually(lambda: len(place.charged(wanted)) > before + 5, what="workers buy again")
        took = clock()
    eventually(lambda: statuses(place, wanted) == {"purchased": 120}, what="all are bought")
    assert set(place.charged(wanted).values()) == {1}
    assert took < WITHIN, (took, [worker.logs()[-3000:] for worker in workers])
