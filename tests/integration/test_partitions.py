"""Workers on two hosts, one of which loses Redis alone, or the database alone, in the middle of an order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.place import Place
from tests.integration.test_going_back import statuses, submit
from tests.servers import PostgresServer, RedisServer
from tests.servers.far_host import FarHost
from tests.waiting import PATIENCE, eventually

Numbers = Callable[[int], list[str]]
RATE = 5
ORDER = 25
SLOW = 2 * PATIENCE
"""Seconds: a worker without its database takes messages yet, which are sent anew."""


class Cut(Place):
    """Its processes reach the servers directly, or where *far* over two ways that can be taken away."""

    redis_way: FarHost
    database_way: FarHost
    far = False

    @property
    def environ(self) -> dict[str, str]:
        found = super().environ
        if not self.far:
            return found
        ways = {"DATABASE_URL": self.database_way, "REDIS_URL": self.redis_way}
        return found | {name: way.url(found[name]) for name, way in ways.items()}


@pytest.fixture
def place(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str, redis_server: RedisServer
) -> Iterator[Cut]:
    with ExitStack() as stack:
        found = Cut(tmp_path, postgres_url, redis_server, rate_limits=[f"{RATE}/second"])
        found.redis_way = stack.enter_context(FarHost(redis_server))
        found.database_way = stack.enter_context(FarHost(postgres_server))
        yield stack.enter_context(found)


@pytest.mark.parametrize("lost", ["Redis", "the database"])
def test_the_other_host_goes_on_and_nothing_is_bought_twice(
    place: Cut, numbers: Numbers, lost: str, most_in_a_second: Callable[[Sequence[float]], int]
) -> None:
    place.setup("near")
    place.far = True
    place.setup("far")
    place.far = False
    wanted = numbers(ORDER)
    submit(place, *wanted, provider="signalwire")
    eventually(lambda: len(place.charged(wanted)) >= RATE, what="some are bought")
    way = place.redis_way if lost == "Redis" else place.database_way
    way.vanish()
    try:
        eventually(lambda: statuses(place, wanted) == {"purchased": ORDER}, seconds=SLOW, what="all are bought")
    finally:
        way.come_back()
    later = numbers(RATE)
    submit(place, *later, provider="signalwire")
    eventually(lambda: statuses(place, later) == {"purchased": RATE}, what="the later ones are bought")
    assert place.charged([*wanted, *later]) == dict.fromkeys([*wanted, *later], 1)
    # the limit held over both hosts, also while one of them was alone
    assert most_in_a_second([call["monotonic"] for call in place.control.calls("signalwire")]) <= RATE
    assert [worker.container.status for worker in place.workers] == ["running"] * 2
