"""A limiter that came back from the past, or whose clock was set, is not believed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from tasks.policies import pace as pace_module
from tasks.policies.pace import HORIZON, Lane, Later, Pace, Slot, buying_lane
from tests.servers import RedisServer
from tests.servers.redis import free_port
from tests.tasks.pacing import MICRO, Bench, names, saved_up
from tests.tasks.support import policy
from tests.waiting import eventually

TEN = policy(rate_limits=["10/second"], rate_guard=0)
LANE = buying_lane("account", TEN)


@pytest.fixture
def replica(redis_server: RedisServer, _redis_program: str) -> Iterator[RedisServer]:
    """A server that follows the first one."""
    server = RedisServer(_redis_program)
    with Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", redis_server.url.split(":")[-1].split("/")[0])
        # The first that follows a server gives it another master_replid.
        eventually(lambda: client.info("replication")["master_link_status"] == "up", what="the replica follows")
    yield server
    server.close()


def take(redis: Redis) -> list[int]:
    """All slots that are to be had now."""
    pace, found = Pace(redis), []
    while not isinstance(slot := pace.reserve(LANE), Later):
        found.append(slot.token)
    return found


def starts_empty(redis: Redis) -> None:
    began = time.monotonic()
    assert take(redis) == []
    wait, longest = Pace(redis).next_in(LANE), HORIZON + LANE.interval
    assert longest - 0.5 - (time.monotonic() - began) <= wait <= longest + 0.5


def test_a_promoted_replica_gives_no_slot_twice(redis: Redis, redis_server: RedisServer, replica: RedisServer) -> None:
    saved_up(redis, LANE)
    with Redis.from_url(replica.url) as client:
        eventually(lambda: client.hgetall(LANE.key) == redis.hgetall(LANE.key), what="the replica has it")
        client.replicaof("NO", "ONE")
        first = take(redis)
        redis_server.kill()
        assert len(first) > 19
        starts_empty(client)


def test_a_restored_snapshot_gives_no_slot_twice(redis: Redis, redis_server: RedisServer) -> None:
    saved_up(redis, LANE)
    redis_server.stop()
    snapshot = redis_server.folder.with_name(f"{redis_server.folder.name}-snapshot")
    shutil.copytree(redis_server.folder, snapshot)
    redis_server.restart()
    saved_up(redis, LANE)
    assert len(take(redis)) > 19
    redis_server.kill()
    shutil.rmtree(redis_server.folder / "appendonlydir")
    shutil.move(snapshot / "appendonlydir", redis_server.folder)
    shutil.rmtree(snapshot)
    redis_server.restart()
    assert redis.hexists(LANE.key, "replid")
    starts_empty(redis)


def test_a_server_that_was_a_replica_for_a_while_is_another_one(redis: Redis) -> None:
    saved_up(redis, LANE)
    run = redis.execute_command("INFO", "server")["run_id"]
    redis.replicaof("127.0.0.1", str(free_port()))
    redis.replicaof("NO", "ONE")
    assert redis.execute_command("INFO", "server")["run_id"] == run
    starts_empty(redis)


def test_a_call_that_is_sent_again_to_another_server_does_not_believe_it(redis_server: RedisServer) -> None:
    with Redis.from_url(redis_server.url, retry=Retry(NoBackoff(), 3)) as client:
        pace = Pace(client)
        saved_up(client, LANE)
        assert not isinstance(pace.reserve(LANE), Later)
        redis_server.kill()
        redis_server.restart()
        assert isinstance(pace.reserve(LANE), Later)


def test_all_limits_of_the_lane_are_empty_then_and_no_slot_is_given_back(redis: Redis) -> None:
    other = buying_lane("account", policy(rate_limits=["90/10 seconds"]))
    saved_up(redis, LANE)
    saved_up(redis, other)
    slot = Pace(redis).reserve(LANE)
    assert not isinstance(slot, Later)
    redis.hset(LANE.key, "replid", "another's")
    assert not Pace(redis).refund(LANE, slot)
    assert redis.hmget(LANE.key, names(other)) == [None]


def test_a_penalty_is_kept_by_another_server(redis: Redis) -> None:
    saved_up(redis, LANE)
    pace = Pace(redis)
    pace.penalise(LANE, 3600)
    redis.hset(LANE.key, "replid", "another's")
    assert pace.next_in(LANE) == pytest.approx(3600, abs=5)
    assert pace.cools_for(LANE) == pytest.approx(3600, abs=5)
    redis.hincrby(LANE.key, "until", 7200 * MICRO)
    assert pace.cools_for(LANE) == pytest.approx(3600, abs=5)


def test_a_server_that_does_not_say_which_it_is_gives_no_slot(redis: Redis, redis_server: RedisServer) -> None:
    saved_up(redis, LANE)
    redis.execute_command("ACL", "SETUSER", "nobody", "on", ">secret", "~*", "+@all", "-info")
    try:
        with (
            Redis.from_url(redis_server.url, username="nobody", password="secret") as client,
            pytest.raises(ResponseError, match="info"),
        ):
            Pace(client).reserve(LANE)
    finally:
        redis.acl_deluser("nobody")


@pytest.mark.parametrize("ask", [Pace.next_in, Pace.cools_for])
def test_a_penalty_lasts_no_longer_where_the_clock_is_set_back(
    redis: Redis, ask: Callable[[Pace, Lane], float]
) -> None:
    bench = Bench(redis, TEN)
    bench.pace.penalise(bench.lane, 60)
    bench.set_back(3 * 3600)
    assert ask(bench.pace, bench.lane) == pytest.approx(60, abs=5)
    bench.pass_time(50)
    assert ask(bench.pace, bench.lane) == pytest.approx(10, abs=5)
    bench.pace.penalise(bench.lane, 20)
    assert bench.pace.cools_for(bench.lane) == pytest.approx(20, abs=5)
    assert bench.pace.lift(bench.lane)
    assert bench.pace.next_in(bench.lane) == pytest.approx(0, abs=HORIZON + 1)


def test_a_penalty_of_a_version_that_did_not_tell_its_length_ends_in_a_day(redis: Redis) -> None:
    saved_up(redis, LANE)
    redis.hset(LANE.key, "until", 2**53 - 1)
    assert Pace(redis).cools_for(LANE) == pytest.approx(86_400, abs=5)


def test_a_slot_from_before_the_clock_was_set_back_is_not_given_back(redis: Redis) -> None:
    bench = Bench(redis, TEN)
    given = [bench.reserve() for _ in range(3)]
    assert given[-1] is not None
    bench.set_back(3600)
    assert not bench.refund(*given[-1])
    starts_empty(redis)


@pytest.fixture
def set_ahead(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], object]:
    """Sets the clock that Redis gives slots by, in seconds: a real one cannot be set."""
    theirs = "time[1] * 1000000 + time[2]"
    assert theirs in pace_module._SCRIPT
    script = pace_module._SCRIPT.replace(theirs, f"{theirs} + (redis.call('GET', 'ahead') or 0)")
    monkeypatch.setattr(pace_module, "_SCRIPT", script)
    return lambda seconds: redis.set("ahead", round(seconds * MICRO))


@pytest.mark.parametrize("seconds", [0.3, 3600.0])
def test_a_clock_that_is_set_ahead_gives_no_slot_beside_those_before(
    redis: Redis, set_ahead: Callable[[float], object], seconds: float
) -> None:
    saved_up(redis, LANE)
    processes, slots = [Pace(redis), Pace(redis)], list[Slot]()
    for step in range(60):
        slot = processes[step % 2].reserve(LANE)
        slots += [slot] if isinstance(slot, Slot) else []
    assert len(slots) > 19
    set_ahead(seconds)
    for pace in processes:
        assert isinstance(pace.reserve(LANE), Later)
    for pace in processes * 5:
        slots.append(eventually(lambda pace=pace: isinstance(slot := pace.reserve(LANE), Slot) and slot))  # type: ignore[misc]
    slots.sort(key=lambda slot: slot.at)
    for first, beyond in zip(slots, slots[10:], strict=False):
        assert beyond.at - (first.at - first.unsure) >= 1.0


def test_each_lane_of_a_clock_that_was_set_ahead_starts_empty_once(
    redis: Redis, set_ahead: Callable[[float], object]
) -> None:
    other, pace = buying_lane("another", TEN), Pace(redis)
    for lane in (LANE, other):
        saved_up(redis, lane)
        assert isinstance(pace.reserve(lane), Slot)
    set_ahead(60.0)
    for lane in (LANE, other):
        assert isinstance(pace.reserve(lane), Later)
        saved_up(redis, lane)
        assert isinstance(pace.reserve(lane), Slot)
