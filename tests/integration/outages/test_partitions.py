"""Workers on two hosts, one of which loses Redis alone, or the database alone, in the middle of an order.

That one is in a network namespace of its own, with a way to each of the two servers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from tests.integration.commands import statuses, submit
from tests.integration.place import Place
from tests.servers import PostgresServer, RedisServer
from tests.servers.far_host import FarHost
from tests.servers.own_host import OwnHost
from tests.waiting import PATIENCE, eventually

Numbers = Callable[[int], list[str]]
RATE = 5
ORDER = 25
SLOW = 2 * PATIENCE
"""Seconds: what either had in hand is waited for, and done again."""
LEFT = 5
"""Seconds in which a worker that listens asks for messages several times."""


class Cut(Place):
    """Its processes reach the servers directly, or where *far* from a host of their own, by two ways that may end."""

    host: OwnHost
    redis_way: FarHost
    database_way: FarHost
    far = False

    @property
    def environ(self) -> dict[str, str]:
        found = super().environ
        if not self.far:
            return found
        ways = {"DATABASE_URL": self.database_way, "REDIS_URL": self.redis_way}
        return found | self.host.environ | {name: way.url(found[name]) for name, way in ways.items()}


@pytest.fixture
def place(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str, redis_server: RedisServer
) -> Iterator[Cut]:
    with ExitStack() as stack:
        found = Cut(tmp_path, postgres_url, redis_server, rate_limits=[f"{RATE}/second"])
        stack.enter_context(found)
        found.host = stack.enter_context(OwnHost(urlsplit(found.sandbox.url).port or 0))
        found.redis_way = stack.enter_context(FarHost(redis_server, found.host))
        found.database_way = stack.enter_context(FarHost(postgres_server, found.host))
        # While there are ways, which a worker that ends needs.
        stack.callback(lambda: [worker.teardown() for worker in found.workers])
        yield found


def silent(place: Cut) -> bool:
    """Whether a worker that asked for messages asks for none any more."""
    with Redis.from_url(place.redis.url) as redis:
        return any(int(one["idle"]) >= LEFT for one in redis.client_list() if one["cmd"] == "brpop")


@pytest.mark.parametrize("lost", ["Redis", "the database"])
def test_the_other_host_goes_on_and_nothing_is_bought_twice(
    place: Cut, numbers: Numbers, lost: str, most_in_a_second: Callable[[Sequence[float]], int]
) -> None:
    place.setup("near")
    place.far = True
    place.setup("far")
    place.far = False
    assert [place.host.has(int(worker.container.id)) for worker in place.workers] == [False, True]
    wanted = numbers(ORDER)
    submit(place, *wanted, provider="signalwire")
    eventually(lambda: len(place.charged(wanted)) >= RATE, what="some are bought")
    way = place.redis_way if lost == "Redis" else place.database_way
    way.vanish()
    try:
        eventually(lambda: statuses(place, wanted) == {"purchased": ORDER}, seconds=SLOW, what="all are bought")
        if lost == "the database":
            eventually(lambda: silent(place), what="the other leaves messages to who can do what they ask")
    finally:
        way.come_back()
    eventually(lambda: not silent(place), what="both ask for messages")
    later = numbers(RATE)
    submit(place, *later, provider="signalwire")
    eventually(lambda: statuses(place, later) == {"purchased": RATE}, what="the later ones are bought")
    assert place.charged([*wanted, *later]) == dict.fromkeys([*wanted, *later], 1)
    # the limit held over both hosts, also while one of them was alone
    assert most_in_a_second([call["monotonic"] for call in place.control.calls("signalwire")]) <= RATE
    assert [worker.container.status for worker in place.workers] == ["running"] * 2
