"""The timers of a worker: they go on whatever goes away, and stop when told."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import insert, select

from schemas.events import STREAM
from schemas.retention import DAY
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import REJECTED
from tasks.ledger.rows import new_id
from tasks.lifecycle import outbox_relay
from tasks.lifecycle.outbox_relay import LEASE_KEY, Relay
from tasks.outages.readiness import READINESS
from tests.servers import PostgresServer, RedisServer
from tests.tasks.support import World, make_world, number
from tests.waiting import PATIENCE, eventually
from workers.database.connections import SqlDatabase
from workers.periodic import timers
from workers.periodic.timers import MANY_EVENTS, Timer, Timers
from workers.settings import load_settings

SETTINGS = load_settings({})


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def world(database_url: str, redis: Redis) -> Iterator[World]:
    database = SqlDatabase(database_url)
    found = make_world(database)
    object.__setattr__(found.runtime, "redis", redis)
    yield found
    database.close()


class Turns:
    """An action that does what its script says at each turn, and then nothing."""

    def __init__(self, *script: bool | Exception) -> None:
        self.script = list(script)
        self.count = 0
        self.empty = threading.Event()

    def __call__(self) -> bool:
        self.count += 1
        if not self.script:
            self.empty.set()
            return False
        found = self.script.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


def run(turns: Turns, seconds: float = 3600.0) -> Timer:
    timer = Timer("test", seconds, turns)
    timer.start()
    return timer


def test_a_timer_runs_at_once_and_again_while_there_is_more() -> None:
    turns = Turns(True, True)
    timer = run(turns)
    assert turns.empty.wait(PATIENCE)
    timer.stop()
    assert turns.count == 3


def test_a_timer_runs_again_after_its_time() -> None:
    turns = Turns(False, False)
    timer = run(turns, seconds=0.001)
    assert turns.empty.wait(PATIENCE)
    timer.stop()


def test_a_stopped_timer_does_not_wait_for_its_time() -> None:
    turns = Turns()
    timer = run(turns)
    assert turns.empty.wait(PATIENCE)
    timer.stop()
    assert not timer._thread.is_alive()
    timer.stop()


@pytest.mark.parametrize("away", [RedisConnectionError("gone"), OSError("gone"), ZeroDivisionError("a bug")])
def test_a_timer_outlives_what_goes_away_and_our_own_mistakes(
    away: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(timers, "AWAY_WAIT", 0.001)
    caplog.set_level(logging.INFO)
    turns = Turns(away, away, True)
    timer = run(turns)
    assert turns.empty.wait(PATIENCE)
    timer.stop()
    told = [record.message for record in caplog.records]
    if isinstance(away, ZeroDivisionError):
        assert told == ["timer test failed"] * 2
    else:
        assert len(told) == 2
        assert "gone" in told[0]
        assert told[1] == "timer test works again"


def test_a_workers_timers_do_all_that_is_due(world: World) -> None:
    claim = world.claimed("+14155550177")
    queued = world.queued()
    world.clock.moment = claim.deadline
    world.clock.advance(3)
    running = Timers(world.runtime, SETTINGS)
    running.start()
    try:
        eventually(lambda: world.row(queued["id"])["status"] == Status.DISPATCHED, what="a release")
        eventually(lambda: world.row(claim.row["id"])["status"] == Status.UNKNOWN, what="a sweep")
        eventually(lambda: world.runtime.redis.xlen(STREAM) == 2, what="events")
        world.clock.advance(60)
        eventually(lambda: any("items" in message.kwargs for message in world.sent), what="a look")
    finally:
        running.stop()
    assert {message.kwargs.get("purchase_id") for message in world.sent} >= {queued["id"]}


def test_old_rows_go_by_a_workers_timer(world: World) -> None:
    values = {"received_at": world.clock(), "body": "", "error": "", "error_code": "x"}
    with world.write() as conn:
        conn.execute(insert(REJECTED).values(id=new_id(), **values))
    world.clock.advance(91 * DAY)
    running = Timers(world.runtime, SETTINGS)
    running.start()
    try:
        eventually(lambda: world.rows(select(REJECTED)) == [], what="it goes")
    finally:
        running.stop()


def test_what_is_under_way_at_an_alias_that_is_gone_is_swept(world: World) -> None:
    claim = world.claimed()
    world.clock.advance(60)
    running = Timers(replace(world.runtime, providers={}), SETTINGS)
    running.start()
    try:
        eventually(lambda: world.row(claim.row["id"])["status"] == Status.UNKNOWN, what="a sweep")
    finally:
        running.stop()


def test_few_events_wait_for_company_and_a_full_batch_does_not(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_relay, "BATCH", 2)
    running = Timers(world.runtime, SETTINGS)
    for index in range(3):
        world.queued(number(index))
    assert [running._publish() for _ in range(3)] == [True, False, False]
    assert world.runtime.redis.xlen(STREAM) == 3


def test_while_many_events_come_every_second_turn_is_left_out(world: World) -> None:
    running = Timers(world.runtime, SETTINGS)
    published = []
    for turn in range(4):
        for index in range(MANY_EVENTS):
            world.queued(number(turn * MANY_EVENTS + index))
        assert not running._publish()
        published.append(world.runtime.redis.xlen(STREAM) // MANY_EVENTS)
    assert published == [1, 1, 3, 3]


def test_a_workers_timers_settle_the_pools(world: World) -> None:
    row = world.queued()
    place = {"pool": "support", "slot": 1, "status": Slot.ORDERED, "tries": 1, "updated_at": world.clock.moment}
    with world.write() as conn:
        conn.execute(insert(POOL_NUMBER).values(**place, purchase_id=row["id"], number=row["number"]))
    running = Timers(world.runtime, SETTINGS)
    running.start()
    try:
        eventually(lambda: world.sent, what="a release")
        world.work()
        eventually(lambda: world.rows(select(POOL_NUMBER))[0]["status"] == Slot.AVAILABLE, what="it is in the pool")
    finally:
        running.stop()


def test_draining_releases_nothing_more_and_still_publishes(world: World) -> None:
    running = Timers(world.runtime, SETTINGS)
    running.start()
    try:
        running.drain()
        eventually(lambda: not any(timer._thread.is_alive() for timer in running._timers if timer.name != "relay"))
        row = world.queued()
        eventually(lambda: world.runtime.redis.xlen(STREAM) == 1, what="the event of the acceptance")
        assert world.row(row["id"])["status"] == Status.QUEUED
    finally:
        running.stop()


def test_stopping_publishes_what_is_left_and_gives_the_lease_up(world: World) -> None:
    running = Timers(world.runtime, SETTINGS)
    world.accept()
    running.stop()
    assert world.runtime.redis.xlen(STREAM) == 1
    assert world.runtime.redis.exists(LEASE_KEY) == 0


def test_stopping_without_redis_leaves_the_events_to_another_worker(
    world: World, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    running = Timers(world.runtime, SETTINGS)
    world.accept()
    redis_server.kill()
    running.stop()
    assert "wait for another worker" in caplog.text


def test_two_workers_timers_at_once_do_everything_once(world: World) -> None:
    rows = [world.queued(f"+1415555{n:04d}") for n in range(20)]
    both = [Timers(world.runtime, SETTINGS) for _ in range(2)]
    for one in both:
        one.start()
    try:
        eventually(lambda: len(world.sent) >= 20, what="all released")
        eventually(lambda: world.runtime.redis.xlen(STREAM) >= 20, what="all told")
    finally:
        for one in both:
            one.stop()
    assert sorted(message.kwargs["purchase_id"] for message in world.sent) == sorted(row["id"] for row in rows)
    assert world.runtime.redis.xlen(STREAM) == 20


def test_a_worker_without_its_database_says_so_and_leaves_the_events_to_another(
    postgres_server: PostgresServer, postgres_url: str, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    database = SqlDatabase(postgres_url)
    world = make_world(database)
    object.__setattr__(world.runtime, "redis", redis)
    running, other = Timers(world.runtime, SETTINGS), Relay(world.runtime, "other")
    running.start()
    try:
        eventually(lambda: redis.exists(LEASE_KEY), what="it has the lease")
        postgres_server.kill()
        eventually(lambda: not READINESS.ready, what="it sees that its database is away")
        eventually(other._has_lease, what="another has the lease")
        postgres_server.restart()
        eventually(lambda: READINESS.ready, what="it can work again")
    finally:
        postgres_server.restart()
        running.stop()
        database.close()
    told = [record.getMessage() for record in caplog.records if record.name == "tasks.outages.readiness"]
    assert told[0].startswith("this process takes no messages until the database answers: it ")
    assert told[1] == "this process takes messages again: the database answers"
