"""A worker of very many queues: each is listened to, at every priority."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from kombu import Connection, Consumer, Queue
from redis import Redis

from tests.servers import RedisServer
from tests.waiting import PATIENCE, eventually
from workers.broker.incoming import KeepingTransport
from workers.broker.many_queues import MANY

NAMES = [f"purchases.account{number}" for number in range(5 * MANY)]


@pytest.fixture(params=["", "other:"])
def connection(redis_server: RedisServer, request: pytest.FixtureRequest) -> Iterator[Connection]:
    redis_server.flushall()
    options = {"global_keyprefix": request.param}
    # By its class: kombu remembers what redis:// meant first in this process.
    with Connection(redis_server.url, transport=KeepingTransport, transport_options=options) as connection:
        yield connection


def _listening(connection: Connection, heard: list[Any]) -> Consumer:
    queues = [Queue(name) for name in NAMES]
    return Consumer(connection.channel(), queues, callbacks=[lambda body, _: heard.append(body)], no_ack=True)


def _drain(connection: Connection) -> None:
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)


def _send(connection: Connection, name: str, text: str, priority: int = 0) -> None:
    with connection.Producer() as producer:
        producer.publish(text, exchange="", routing_key=name, priority=priority)


@pytest.mark.parametrize("priority", [0, 3, 9])
def test_the_last_of_many_queues_is_heard_at_every_priority_between_the_others(
    connection: Connection, priority: int
) -> None:
    heard: list[Any] = []
    with _listening(connection, heard):
        _send(connection, NAMES[-1], "wanted", priority)

        def wanted() -> bool:
            # One of the first priority goes before, wherever there is one.
            _send(connection, NAMES[0], "other")
            for _ in range(3):
                _drain(connection)
            return "wanted" in heard

        eventually(wanted)


def test_a_queue_that_is_cancelled_is_listened_to_no_more(connection: Connection) -> None:
    heard: list[Any] = []
    with _listening(connection, heard) as consumer:
        _send(connection, NAMES[3], "before")

        def before() -> bool:
            _drain(connection)
            return heard == ["before"]

        eventually(before)
        consumer.cancel_by_queue(NAMES[3])
        assert set(consumer.channel.active_queues) == {*NAMES} - {NAMES[3]}


def test_between_two_questions_for_all_priorities_redis_is_asked_for_each_queue_in_turn(
    connection: Connection, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []
    with _listening(connection, heard) as consumer:
        _drain(connection)
        monkeypatch.setattr(consumer.channel, "_all_at", math.inf)
        for name in NAMES:
            _send(connection, name, f"first of {name}")
        for name in NAMES:
            _send(connection, name, f"second of {name}")
        for _ in range(2 * len(NAMES)):
            connection.drain_events(timeout=PATIENCE)
    assert {text.removeprefix("first of ") for text in heard[: len(NAMES)]} == {*NAMES}
    with Redis.from_url(redis_server.url) as client:
        assert not client.keys("*purchases*")
