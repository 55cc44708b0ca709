"""What kombu keeps of a message that a worker has taken, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis

import tasks.messages.celery_tasks  # noqa: F401 - its tasks are asked for
from tests.servers import RedisServer
from tests.waiting import PATIENCE
from workers.broker.hints import PREFIX

QUEUE = "purchases.acme"
HINT, PUBLIC = "dialstock.internal.buy", "dialstock.buy_number"


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as found:
        yield found


def put(connection: Connection, *tasks: object) -> None:
    with connection.SimpleQueue(QUEUE) as queue:
        for number, task in enumerate(tasks):
            queue.put({"number": number}, headers={"task": task})


def test_a_hint_is_in_this_process_alone(connection: Connection, server: Redis) -> None:
    put(connection, HINT)
    with connection.SimpleQueue(QUEUE) as queue:
        message = queue.get(timeout=PATIENCE)
        assert not server.exists("unacked", "unacked_index", QUEUE)
        qos = message.channel.qos
        qos.prefetch_count = 1
        assert not qos.can_consume()
        message.ack()
        assert qos.can_consume()


@pytest.mark.parametrize("task", [PUBLIC, 7, None])
def test_any_other_message_is_kept_until_it_is_acknowledged(
    connection: Connection, server: Redis, task: object
) -> None:
    put(connection, task)
    with connection.SimpleQueue(QUEUE) as queue:
        message = queue.get(timeout=PATIENCE)
        assert (server.hlen("unacked"), server.zcard("unacked_index")) == (1, 1)
        message.ack()
        assert (server.hlen("unacked"), server.zcard("unacked_index")) == (0, 0)


def test_a_worker_that_stops_gives_back_what_it_has_not_done(connection: Connection, server: Redis) -> None:
    put(connection, HINT, PUBLIC, HINT, HINT)
    with connection.clone() as stopping, stopping.SimpleQueue(QUEUE) as queue:
        first, *_ = [queue.get(timeout=PATIENCE) for _ in range(4)]
        first.ack()
        assert server.llen(QUEUE) == 0
    with connection.SimpleQueue(QUEUE) as queue:
        again = [queue.get(timeout=PATIENCE) for _ in range(3)]
        assert sorted(message.payload["number"] for message in again) == [1, 2, 3]
        assert all(message.headers["redelivered"] for message in again)
        for message in again:
            message.ack()


def test_hints_that_a_replica_does_not_take_back_are_no_crash_each(
    connection: Connection, server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    put(connection, HINT, HINT)
    with connection.clone() as stopping, stopping.SimpleQueue(QUEUE) as queue:
        for _ in range(2):
            queue.get(timeout=PATIENCE)
        server.replicaof("127.0.0.1", "1")
    server.replicaof("NO", "ONE")
    assert [record.message for record in caplog.records if record.levelname == "CRITICAL"] == []


@pytest.mark.parametrize("task", [HINT, PUBLIC])
def test_a_rejected_message_comes_again_where_it_shall(connection: Connection, server: Redis, task: str) -> None:
    put(connection, task)
    with connection.SimpleQueue(QUEUE) as queue:
        queue.get(timeout=PATIENCE).reject(requeue=True)
        queue.get(timeout=PATIENCE).reject()
        with pytest.raises(queue.Empty):
            queue.get(timeout=0.1)
        assert (server.llen(QUEUE), server.hlen("unacked")) == (0, 0)


def test_only_what_callers_send_is_no_hint() -> None:
    ours = {name for name in Celery("names", set_as_current=False).tasks if name.startswith("dialstock.")}
    named = ("buy_number", "submit_order", "order_numbers", "take_number", "return_number", "release_number")
    public = {f"dialstock.{name}" for name in named}
    assert {name for name in ours if not name.startswith(PREFIX)} == public
    assert len(ours) > len(public)
