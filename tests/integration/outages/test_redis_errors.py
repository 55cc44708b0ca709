"""A Redis that answers, but with errors: a failover left a replica, its memory is full, rights were taken away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import pytest
from redis import Redis

from tasks.policies.pace import HORIZON
from tests.integration.commands import statuses, submit
from tests.integration.place import Place
from tests.servers import RedisServer
from tests.servers.proxy import SilentWay
from tests.waiting import eventually, fair_clock
from workers.broker.reconnect import ASK_EVERY

Numbers = Callable[[int], list[str]]
InASecond = Callable[[Sequence[float]], int]
RECOVERED = 20.0
"""Seconds of a machine that has the time."""

BROKEN, WELL = "the broker cannot be used", "the broker can be used again"
ASKS = 6
"""How often a broker that cannot be used is asked at the least: none of them is told."""


Commands = Sequence[Sequence[str]]
KILL = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
TROUBLES: dict[str, tuple[Commands, Commands]] = {
    "replica": ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")]),
    "rights": ([("ACL", "SETUSER", "default", "-brpop"), KILL], [("ACL", "SETUSER", "default", "+@all")]),
    "replicas": ([("CONFIG", "SET", "min-replicas-to-write", "1")], [("CONFIG", "SET", "min-replicas-to-write", "0")]),
    "password": ([("CONFIG", "SET", "requirepass", "s3kr3t"), KILL], [("CONFIG", "SET", "requirepass", "")]),
    "full house": ([("CONFIG", "SET", "maxclients", "1"), KILL], [("CONFIG", "SET", "maxclients", "1000")]),
}
"""What brings it about, and what ends it."""
SERIOUS = re.compile(r"^\[[^]]*: (?:ERROR|CRITICAL)/.*", re.MULTILINE)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_worker_outlives_them_and_goes_on(fresh_place: Callable[..., Place], numbers: Numbers, trouble: str) -> None:
    begins, ends = TROUBLES[trouble]
    place = fresh_place(rate_limits=["10/second"])
    wanted = numbers(40)
    worker = place.setup("worker").worker
    with Redis.from_url(place.redis.url) as admin:
        submit(place, *wanted, provider="signalwire")
        eventually(lambda: len(place.charged(wanted)) >= 5, what="some are bought")
        try:
            for command in begins:
                admin.execute_command(*command)
            eventually(lambda: BROKEN in worker.logs(), what="the worker tells of it")
            time.sleep(ASKS * ASK_EVERY)
        finally:
            for command in ends:
                admin.execute_command(*command)
    eventually(lambda: statuses(place, wanted) == {"purchased": 40}, what="all are bought")
    assert set(place.charged(wanted).values()) == {1}
    eventually(lambda: WELL in worker.logs(), what="the worker tells that it is over")
    told = [line.split("] ", 1)[1] for line in SERIOUS.findall(worker.logs())]
    of_broker = [line for line in told if line.startswith(BROKEN)]
    assert len(of_broker) == 1, told
    assert len(told) < ASKS, told
    assert "Could not restore message" not in worker.logs()
    assert worker.logs().count(WELL) == 1
    assert worker.logs().count("Connection to broker lost") <= len(begins)
    assert "CPendingDeprecationWarning" not in worker.logs()
    assert worker.container.status == "running"


def full(server: RedisServer) -> Callable[[], None]:
    """It takes nothing more; commands that need no memory go on."""
    with Redis.from_url(server.url) as admin:
        admin.config_set("maxmemory", 1)
    return lambda: Redis.from_url(server.url).config_set("maxmemory", 0)


def dead(server: RedisServer) -> Callable[[], None]:
    """It comes back with its data."""
    server.kill()
    return server.restart


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("begin", "told"), [(full, "has no memory left (OOM"), (dead, "Redis is away")])
def test_an_order_goes_on_once_redis_can_be_used_again(
    fresh_place: Callable[..., Place],
    numbers: Numbers,
    begin: Callable[[RedisServer], Callable[[], None]],
    told: str,
    most_in_a_second: InASecond,
) -> None:
    place = fresh_place(rate_limits=["10/second"])
    wanted = numbers(40)
    worker = place.setup("worker").worker
    submit(place, *wanted[:20], provider="signalwire")
    eventually(lambda: len(place.charged(wanted)) >= 5, what="some are bought")
    end = begin(place.redis)
    try:
        eventually(lambda: told in worker.logs(), what="the worker tells the cause")
        # However long this took, so many are left.
        submit(place, *wanted[20:], provider="signalwire")
    finally:
        end()
    heard = latest(place)
    with fair_clock() as clock:
        eventually(lambda: latest(place) > heard, what="it goes on")
        assert clock() < RECOVERED
    eventually(lambda: statuses(place, wanted) == {"purchased": 40}, what="all are bought")
    assert set(place.charged(wanted).values()) == {1}
    assert most_in_a_second(sorted(call["monotonic"] for call in place.control.calls())) <= 10


def latest(place: Place) -> float:
    """When the last call came (time.monotonic)."""
    return max(call["monotonic"] for call in place.control.calls())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_connections_whose_way_is_gone_are_left(
    fresh_place: Callable[..., Place], redis_server: RedisServer, numbers: Numbers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host or a firewall that vanished breaks none of them; only what is asked and not answered tells."""
    place = fresh_place(rate_limits=["5/second"])
    wanted = numbers(45)
    with closing(SilentWay(redis_server.url)) as way:
        environ = {**place.environ, "REDIS_URL": way.url}
        monkeypatch.setattr(Place, "environ", property(lambda _: environ))
        worker = place.setup("worker").worker
        submit(place, *wanted[:20], provider="signalwire")
        eventually(lambda: len(place.charged(wanted)) >= 5, what="some are bought")
        way.vanish()
        # What had its turn before is bought without Redis.
        vanished = time.monotonic() + HORIZON
        with fair_clock() as clock:
            submit(place, *wanted[20:], provider="signalwire")
            eventually(lambda: latest(place) > vanished, what="it goes on")
            assert clock() < RECOVERED
        eventually(lambda: statuses(place, wanted) == {"purchased": 45}, what="all are bought")
        assert set(place.charged(wanted).values()) == {1}
        assert worker.container.status == "running"
