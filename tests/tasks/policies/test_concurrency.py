"""How many calls are under way at once, over all processes, on a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from redis import Redis
from redis.exceptions import RedisError

from schemas.outcomes import OwnedNumber
from schemas.status import Status
from tasks.audit.walk_owned import walk
from tasks.policies.concurrency import MARGIN, POLL, Concurrency, Places, places_of
from tasks.providers.transport.turns import take_turn
from tests.servers import RedisServer
from tests.tasks.pacing import MICRO, replid
from tests.tasks.support import ACCOUNT, World, number, policy
from tests.waiting import eventually

Make = Callable[..., World]
PLACES = Places(key="dialstock:calls:test", limit=3, longest=30.0)


def nap(_seconds: float) -> None:
    """Who waits for a place in these tests waits a moment only."""
    time.sleep(0.001)


def take(redis: Redis, places: Places = PLACES, *, seconds: float = 0.05) -> Callable[[], None] | None:
    """A place for another process."""
    return Concurrency(redis).take(places, time.monotonic() + seconds, nap)


def opened(redis: Redis, places: Places = PLACES) -> None:
    """An account whose calls Redis knows all of."""
    redis.delete(places.key)
    redis.hset(places.key, mapping={"replid": replid(redis), "closed": 0})


def test_there_are_so_many_places_and_one_that_is_given_back_is_free(redis: Redis) -> None:
    opened(redis)
    leaves = [take(redis) for _ in range(4)]
    assert [leave is not None for leave in leaves] == [True, True, True, False]
    assert leaves[1] is not None
    leaves[1]()
    assert take(redis) is not None
    assert take(redis) is None


def test_a_place_that_was_given_back_twice_frees_no_other(redis: Redis) -> None:
    opened(redis)
    leave, *_ = [take(redis) for _ in range(3)]
    assert leave is not None
    leave()
    assert take(redis) is not None
    leave()
    assert take(redis) is None


def test_no_more_are_ever_taken_by_many_processes_at_once(redis: Redis) -> None:
    opened(redis)
    now, most, lock = 0, 0, threading.Lock()

    def call(process: Concurrency) -> None:
        nonlocal now, most
        leave = process.take(PLACES, time.monotonic() + 30, nap)
        assert leave is not None
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.002)
        with lock:
            now -= 1
        leave()

    processes = [Concurrency(redis) for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, processes * 50))
    assert most == PLACES.limit
    assert set(redis.hkeys(PLACES.key)) == {b"replid", b"closed"}


def test_the_place_of_a_process_that_died_is_free_once_its_call_is_over(redis: Redis) -> None:
    opened(redis)
    short = Places(key=PLACES.key, limit=1, longest=0.3)
    began = time.monotonic()
    assert take(redis, short) is not None
    assert take(redis, short, seconds=20) is not None
    assert time.monotonic() - began >= 0.3


def test_a_server_that_does_not_know_the_account_gives_none_until_the_longest_call_is_over(redis: Redis) -> None:
    short = Places(key=PLACES.key, limit=3, longest=0.3)
    redis.delete(short.key)
    began = time.monotonic()
    assert take(redis, short, seconds=20) is not None
    assert time.monotonic() - began >= 0.3
    opened(redis)
    redis.hset(PLACES.key, "replid", "of another time as a master")
    assert take(redis) is None


def test_who_makes_shorter_calls_does_not_end_the_longer_ones_of_others(redis: Redis) -> None:
    short = Places(key=PLACES.key, limit=3, longest=0.1)
    opened(redis)
    for _ in range(3):
        assert take(redis) is not None
    assert take(redis, short, seconds=0.4) is None
    redis.delete(PLACES.key)
    assert take(redis) is None
    assert take(redis, short, seconds=0.4) is None


def test_whose_places_do_not_say_how_long_they_last_is_as_before(redis: Redis) -> None:
    opened(redis)
    redis.hset(PLACES.key, mapping={f"old-{n}": round((time.time() + 60) * MICRO) for n in range(3)})
    assert take(redis) is None
    assert take(redis, Places(key=PLACES.key, limit=3, longest=0.1), seconds=20) is not None


def test_a_place_that_says_how_long_it_lasts_is_kept_no_longer_where_the_clock_was_set_back(redis: Redis) -> None:
    opened(redis)
    redis.hset(PLACES.key, mapping={f"one:{MICRO // 5}": round((time.time() + 86_400) * MICRO)})
    one = Places(key=PLACES.key, limit=1, longest=30.0)
    assert take(redis, one) is None
    assert take(redis, one, seconds=20) is not None


def test_a_clock_that_was_set_back_keeps_a_place_no_longer_than_a_call(redis: Redis) -> None:
    short = Places(key=PLACES.key, limit=1, longest=2.0)
    ahead = round((time.time() + 86_400) * MICRO)
    redis.delete(short.key)
    redis.hset(short.key, mapping={"replid": replid(redis), "closed": ahead, "a call": ahead})
    assert take(redis, short, seconds=0.05) is None
    assert take(redis, short, seconds=20) is not None


def test_without_redis_there_is_no_place(redis_server: RedisServer) -> None:
    away = Redis(port=1, socket_connect_timeout=0.2)
    with pytest.raises(RedisError):
        take(away)


def test_a_thread_that_had_a_place_gets_another_after_a_restart(redis: Redis, redis_server: RedisServer) -> None:
    opened(redis)
    process, short = Concurrency(redis), Places(key=PLACES.key, limit=1, longest=0.3)
    assert process.take(short, time.monotonic() + 20, nap) is not None
    redis_server.kill()
    with pytest.raises(RedisError):
        process.take(short, time.monotonic() + 20, nap)
    redis_server.restart()
    assert process.take(short, time.monotonic() + 20, nap) is not None


def test_a_place_that_cannot_be_given_back_does_not_fail_the_call(redis: Redis, redis_server: RedisServer) -> None:
    opened(redis)
    leave = take(redis)
    assert leave is not None
    redis_server.stop()
    try:
        leave()
    finally:
        redis_server.restart()
        eventually(redis.ping, what="Redis is back")


def test_aliases_of_one_account_share_their_places() -> None:
    rules = policy(max_concurrent_calls=2, timeout=10.0, send_within=5.0)
    assert places_of("one", rules) == places_of("one", rules)
    assert places_of("one", rules) != places_of("two", rules)
    places = places_of("one", rules)
    assert places is not None
    assert (places.limit, places.longest) == (2, 10.0 + 5.0 + MARGIN)
    assert places_of("one", policy()) is None


def test_no_more_purchases_are_released_than_can_be_got_ready_beside_the_calls() -> None:
    assert [policy(max_concurrent_calls=places).in_flight for places in (1, 8, 100)] == [2, 16, 20]


def test_a_walk_through_the_list_needs_a_place_for_each_page(make: Make, redis: Redis) -> None:
    world, places = limited(make, redis)
    leave = take(redis, places)
    assert leave is not None
    during: list[int] = []
    waits: list[int] = []

    def wait(seconds: float) -> None:
        """Another call ends during the third wait for a place."""
        waits[-1] += seconds == POLL
        if waits == [3]:
            leave()

    def owned() -> Iterator[OwnedNumber]:
        for _ in range(2):
            waits.append(0)
            gate = take_turn()
            done = gate()
            during.append(redis.hlen(places.key))
            assert done is not None
            done()
        return iter(())

    world.provider.owned = owned  # type: ignore[method-assign]
    walk(replace(world.runtime, sleep=wait), world.binding, lambda _: None, lambda: False)
    assert (during, waits, redis.hlen(places.key)) == ([3, 3], [3, 0], 2)


def limited(make: Make, redis: Redis) -> tuple[World, Places]:
    world = make(max_concurrent_calls=1, send_within=0.5)
    places = places_of(ACCOUNT, world.binding.policy)
    assert places is not None
    opened(redis, places)
    world.runtime.pace.concurrency = Concurrency(redis)
    return world, places


def test_a_purchase_takes_a_place_for_its_call_and_gives_it_back(make: Make, redis: Redis) -> None:
    world, places = limited(make, redis)
    during: list[int] = []
    world.provider.script.append(lambda wanted: during.append(redis.hlen(places.key)) or world.provider.charge(wanted))  # type: ignore[func-returns-value]
    row = world.accept()
    world.settle(row["id"])
    assert world.row(row["id"])["status"] == Status.PURCHASED
    assert (during, redis.hlen(places.key)) == ([3], 2)


def test_a_purchase_without_a_place_is_not_called_for_and_costs_nothing(make: Make, redis: Redis) -> None:
    world, places = limited(make, redis)
    leave = take(redis, places)
    row = world.accept(number(1))
    world.work()
    row = world.row(row["id"])
    assert (row["status"], row["error_code"], row["attempts"]) == (Status.QUEUED, "pace", 0)
    assert world.provider.charged == []
    assert leave is not None
    leave()
    assert world.settle(row["id"])["status"] == Status.PURCHASED
