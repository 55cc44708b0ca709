"""Workers look whether the database knows what was bought: as they start, and all the time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from redis import Redis
from sqlalchemy import select

from schemas.tables.purchases import PROVIDER
from tasks.policies.pause import Cause
from tasks.watermark import Mark, Watermark
from tests.servers import RedisServer
from tests.tasks.clock import START
from tests.tasks.support import World, make_world, number
from tests.waiting import eventually
from workers.database.connections import SqlDatabase
from workers.periodic.timers import Timers
from workers.settings import load_settings
from workers.wiring import prepare_providers

LOST = Mark(
    purchase_id="019a0000-0000-7000-8000-000000000001", revision=2, number=number(1), started_at=START, deadline=START
)


@pytest.fixture
def world(database_url: str, redis_server: RedisServer) -> Iterator[World]:
    database = SqlDatabase(database_url)
    with Redis.from_url(redis_server.url) as client:
        found = make_world(database)
        found.runtime = replace(found.runtime, redis=client, watermark=Watermark(client))
        yield found
    database.close()


def causes(world: World) -> list[str | None]:
    return [row["cause"] for row in world.rows(select(PROVIDER).order_by(PROVIDER.c.provider))]


def lose(world: World) -> None:
    world.runtime.watermark.write({world.binding.account: [LOST]})


@pytest.fixture
def running(world: World) -> Iterator[Callable[[], None]]:
    """Starts a worker's timers."""
    timers = Timers(world.runtime, load_settings({}))
    yield timers.start
    timers.stop()


def test_a_worker_looks_before_it_starts(world: World) -> None:
    lose(world)
    prepare_providers(world.runtime)
    assert causes(world) == [Cause.BEHIND] * 2


def test_a_worker_that_runs_looks_again(world: World, running: Callable[[], None]) -> None:
    prepare_providers(world.runtime)
    running()
    assert causes(world) == [None, None]
    lose(world)
    eventually(lambda: causes(world) == [Cause.BEHIND] * 2, what="both aliases are paused")


def test_a_worker_starts_without_redis_and_says_so(
    world: World, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    redis_server.kill()
    prepare_providers(world.runtime)
    assert causes(world) == [None, None]
    assert "cannot be compared with what was bought, Redis is away" in caplog.text
