"""Calls are timed from their first byte, and counted by all workers in one place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tasks.call_times import BOUNDS, Call, CallTimes, counted
from tests.servers import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client


def call(times: CallTimes, provider: str = "acme") -> None:
    leave = times.timed(provider, Call.BUY, lambda: None)()
    assert leave is not None
    leave()


def test_a_call_is_timed_once_its_gate_has_let_it_go(redis: Redis) -> None:
    times, told = CallTimes(), []
    go = times.timed("acme", Call.READ, lambda: lambda: told.append("left"))
    times.hand_over(redis)
    assert counted(redis, ["acme"]).times == {}
    leave = go()
    assert leave is not None
    assert told == []
    leave()
    assert told == ["left"], "its place is given back"
    times.hand_over(redis)
    [(of, histogram)] = counted(redis, ["acme"]).times.items()
    assert of == ("acme", "read")
    assert sum(histogram.buckets) == 1
    assert 0 <= histogram.sum < 60


def test_a_gate_that_lets_nothing_go_is_no_call(redis: Redis) -> None:
    def shut() -> None:
        raise TimeoutError

    times = CallTimes()
    with pytest.raises(TimeoutError):
        times.timed("acme", Call.BUY, shut)()
    times.hand_over(redis)
    assert not redis.exists("dialstock:calls")


def test_what_several_workers_count_is_added_up(redis: Redis) -> None:
    workers = [CallTimes(), CallTimes()]
    for worker in workers:
        call(worker)
        worker.ended("acme", "purchased")
        worker.hand_over(redis)
        worker.hand_over(redis)
    call(workers[0])
    workers[0].hand_over(redis)
    found = counted(redis, ["acme"])
    assert sum(found.times["acme", "buy"].buckets) == 3
    assert len(found.times["acme", "buy"].buckets) == len(BOUNDS) + 1
    assert found.outcomes == {("acme", "purchased"): 2}


def test_only_known_providers_are_told_of_and_what_is_strange_is_left_out(redis: Redis) -> None:
    times = CallTimes()
    for provider in ("acme", "gone"):
        call(times, provider)
        times.ended(provider, "refused")
    times.hand_over(redis)
    redis.hset("dialstock:calls", mapping={"x": "1", "7.5:buy:acme": "3"})
    found = counted(redis, ["acme"])
    assert list(found.times) == [("acme", "buy")]
    assert sum(found.times["acme", "buy"].buckets) == 1
    assert found.outcomes == {("acme", "refused"): 1}


def test_what_redis_does_not_take_is_handed_over_later(redis_server: RedisServer, redis: Redis) -> None:
    times = CallTimes()
    call(times)
    redis_server.kill()
    with pytest.raises(RedisError):
        times.hand_over(redis)
    call(times)
    redis_server.restart()
    times.hand_over(redis)
    assert sum(counted(redis, ["acme"]).times["acme", "buy"].buckets) == 2
