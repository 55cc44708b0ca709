"""One time for all workers, whose machines' clocks are an hour apart."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from schemas.config.provider import SANDBOX_TOKEN
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.lifecycle import purchase, release_and_sweep
from tasks.policies.pace import Pace
from tasks.providers.configured import sandbox_config
from tasks.providers.registry import build
from tasks.runtime import Message, utc_now
from tests.bench.measuring.harness import stub
from tests.bench.measuring.windows import largest
from tests.servers import PostgresServer, RedisServer
from tests.tasks.pacing import saved_up
from tests.tasks.support import World, make_world, number
from tests.waiting import eventually, lateness
from workers.database import clock
from workers.database.clock import DatabaseClock
from workers.database.connections import SqlDatabase

HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=30)
"""Far below an hour, and more than a busy machine lets a test stand still."""
OFF = [HOUR, -HOUR]
NUMBERS = 40
LIMIT = 20


def off_by(off: timedelta) -> Callable[[], datetime]:
    """A machine's clock."""
    return lambda: utc_now() + off


@pytest.fixture
def database(postgres_url: str) -> Iterator[SqlDatabase]:
    found = SqlDatabase(postgres_url)
    yield found
    found.close()


@pytest.mark.parametrize("off", OFF, ids=str)
def test_the_time_is_the_databases(database: SqlDatabase, off: timedelta) -> None:
    now = DatabaseClock(database, off_by(off))
    for _ in range(2):
        with database.read() as conn:
            theirs = conn.execute(select(func.clock_timestamp())).scalar_one()
        assert abs(now() - theirs) < MOMENT
    assert now().utcoffset() == timedelta(0)


def test_a_machine_that_is_off_is_told_of_once(database: SqlDatabase, caplog: pytest.LogCaptureFixture) -> None:
    right, wrong = DatabaseClock(database), DatabaseClock(database, off_by(HOUR))
    with caplog.at_level(logging.WARNING):
        for one in (right, wrong, wrong):
            one.ask()
    [record] = caplog.records
    assert re.search(r"\+36\d\d\.\d s off", record.getMessage())


def test_a_clock_that_is_set_in_between_changes_nothing(database_url: str) -> None:
    database = SqlDatabase(database_url)
    off = timedelta(0)
    now = DatabaseClock(database, lambda: utc_now() + off)
    now()
    off = HOUR
    assert abs(now() - utc_now()) < MOMENT
    database.close()


def test_what_passes_is_told_by_a_clock_that_nobody_sets() -> None:
    up = time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
    assert clock._passed() == pytest.approx(up, abs=MOMENT.total_seconds())


def test_it_tells_how_far_the_database_is(database: SqlDatabase) -> None:
    found = DatabaseClock(database)
    assert found.trip == 0.0
    found()
    assert found.trip > 0.0


def test_sqlite_has_the_machines_clock(sqlite_url: str) -> None:
    database = SqlDatabase(sqlite_url)
    now = DatabaseClock(database, off_by(HOUR))
    assert abs(now() - utc_now() - HOUR) < MOMENT
    database.close()


def test_a_database_that_goes_away_does_not_stop_the_time(
    postgres_server: PostgresServer, database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = 0.0
    monkeypatch.setattr(clock, "_passed", lambda: passed)
    now, late = DatabaseClock(database), DatabaseClock(database)
    before = now()
    postgres_server.kill()
    with pytest.raises(SQLAlchemyError):
        now.ask()
    passed = 60.0
    assert now() - before == timedelta(seconds=60)
    with pytest.raises(SQLAlchemyError):
        late()
    postgres_server.restart()


@pytest.mark.parametrize("off", OFF, ids=str)
def test_a_worker_that_is_off_takes_no_running_call_for_lost(database: SqlDatabase, off: timedelta) -> None:
    world = make_world(database)
    world.clock.moment = utc_now()
    claim = world.claimed()
    other = replace(world.runtime, now=DatabaseClock(database, off_by(off)))
    assert release_and_sweep.sweep_provider(other, world.binding) == 0
    assert world.row(claim.row["id"])["status"] == Status.PURCHASING


def test_workers_that_are_two_hours_apart_buy_all_and_keep_the_limit(
    database: SqlDatabase, redis_server: RedisServer
) -> None:
    # A wide guard: all threads of both workers share this process.
    world = make_world(database, rate_limits=[f"{LIMIT}/second"], rate_guard=0.25, take_within=1)
    with ExitStack() as stack, lateness() as late:
        provider = stack.enter_context(stub())
        client = stack.enter_context(Redis.from_url(redis_server.url))
        saved_up(client, world.binding.buying)
        world.clock.moment = utc_now()
        for n in range(NUMBERS):
            world.queued(number(n))
        for off in OFF:
            stack.enter_context(working(world, DatabaseClock(database, off_by(off)), client, provider.url))
        eventually(lambda: bought(world) == NUMBERS)
        calls = provider.times()
        # What the way to the provider takes at one time and not at another.
        way = min(0.5, max(0.020, late()))
    assert len(calls) == NUMBERS
    assert largest(calls, 1 - way) <= LIMIT


@contextmanager
def working(world: World, now: DatabaseClock, client: Any, url: str) -> Iterator[None]:
    """A worker of 20 threads and its timers, with a clock of its own."""
    over = threading.Event()
    with ThreadPoolExecutor(20) as pool:

        def send(messages: Iterable[Message]) -> None:
            for message in messages:
                pool.submit(purchase.buy, runtime, **message.kwargs)

        def tick() -> None:
            while not over.wait(0.05):
                release_and_sweep.sweep_provider(runtime, binding)
                release_and_sweep.release_due(runtime, binding)

        binding = replace(world.binding, adapter=build(sandbox_config(url).providers["signalwire"], SANDBOX_TOKEN))
        runtime = replace(
            world.runtime, providers={"acme": binding}, pace=Pace(client), now=now, sleep=time.sleep, send=send
        )
        timers = threading.Thread(target=tick)
        timers.start()
        try:
            yield
        finally:
            over.set()
            timers.join()


def bought(world: World) -> int:
    query = select(func.count().label("count")).where(PURCHASE.c.status == Status.PURCHASED)
    return int(world.rows(query)[0]["count"])
