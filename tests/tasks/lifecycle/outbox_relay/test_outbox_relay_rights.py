"""A user of Redis who may not publish on the channel: the stream has each event once all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from redis import Redis
from sqlalchemy import select

from schemas.events import STREAM
from schemas.tables.purchases import EVENT
from tasks.lifecycle.outbox_relay import Relay
from tests.servers import RedisServer
from tests.tasks.support import World

USER = "quiet"


@pytest.fixture
def world(make: Callable[..., World], redis: Redis, redis_server: RedisServer) -> Iterator[World]:
    """A new user of Redis has no channel unless he is given one (https://valkey.io/topics/acl/)."""
    redis.acl_setuser(USER, enabled=True, nopass=True, keys=["*"], commands=["+@all"], reset_channels=True)
    world = make()
    object.__setattr__(world.runtime, "redis", Redis.from_url(redis_server.url, username=USER, password="any"))
    yield world
    redis.acl_deluser(USER)


def test_the_stream_has_each_event_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.accept()
    world.work()
    relay = Relay(world.runtime, "a")
    with caplog.at_level(logging.WARNING, "tasks.lifecycle.outbox_relay"):
        assert [relay.run_once() for _ in range(3)] == [2, 0, 0]
        world.accept("+14155550101")
        assert relay.run_once() == 1
    assert world.runtime.redis.xlen(STREAM) == 3
    assert all(row["published_at"] for row in world.rows(select(EVENT)))
    [told] = [record.getMessage() for record in caplog.records]
    assert "dialstock.results" in told
