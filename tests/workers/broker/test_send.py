"""Messages as a worker takes them, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from celery import Celery
from celery.worker.request import Request
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from redis import Redis

from tasks.runtime import Message, utc_now
from tests.servers import RedisServer
from tests.waiting import PATIENCE
from workers.broker.send import BATCH, Sender

QUEUE = "purchases.acme"


@pytest.fixture
def app(redis_server: RedisServer) -> Iterator[Celery]:
    found = Celery("sending", broker=redis_server.url, set_as_current=False)
    found.conf.task_queues = [Queue(QUEUE, Exchange(QUEUE, type="direct"), routing_key=QUEUE)]
    yield found
    found.close()


def message(index: int) -> Message:
    return Message(task="dialstock.internal.buy", queue=QUEUE, kwargs={"index": index})


def taken(app: Celery, count: int) -> list[int]:
    """What a consumer gets that declares the queue when it comes, as a worker does."""
    found: list[int] = []
    with app.connection_for_read() as connection, connection.SimpleQueue(app.amqp.queues[QUEUE]) as queue:
        for _ in range(count):
            got = queue.get(timeout=PATIENCE)
            found.append(got.payload[1]["index"])
            got.ack()
    return found


def test_all_messages_come_in_order_whatever_their_number(app: Celery) -> None:
    Sender(app)(message(index) for index in range(BATCH + 5))
    assert taken(app, BATCH + 5) == list(range(BATCH + 5))


def test_messages_come_after_the_server_has_forgotten_its_queues(app: Celery, redis_server: RedisServer) -> None:
    send = Sender(app)
    send([message(1)])
    assert taken(app, 1) == [1]
    redis_server.flushall()
    send([message(2)])
    with Redis.from_url(redis_server.url) as client:
        assert client.llen(QUEUE) == 1
    assert taken(app, 1) == [2]


def test_a_broker_that_goes_away_is_told_of(app: Celery, redis_server: RedisServer) -> None:
    send = Sender(app)
    send([message(1)])
    redis_server.kill()
    with pytest.raises(OperationalError):
        send([message(2)])


def test_a_worker_reads_what_it_needs(app: Celery, redis_server: RedisServer) -> None:
    Sender(app)([message(1)])
    with app.connection_for_read() as connection, connection.SimpleQueue(app.amqp.queues[QUEUE]) as queue:
        got = queue.get(timeout=PATIENCE)

    @app.task(name="dialstock.internal.buy", shared=False)
    def task(index: int) -> int:
        return index

    request = Request(got, app=app, task=task, hostname="here")
    assert (request.id, request.name, request.kwargs) == (got.headers["id"], task.name, {"index": 1})
    assert request.ignore_result
    assert request.execute() == 1


def test_a_message_expires_where_it_says_so(app: Celery) -> None:
    now = utc_now()
    due, over = (replace(message(1), expires=now + timedelta(minutes=minutes)) for minutes in (5, -5))
    Sender(app)([message(1), due, over])

    @app.task(name="dialstock.internal.buy", shared=False)
    def task(index: int) -> int:
        return index

    with app.connection_for_read() as connection, connection.SimpleQueue(app.amqp.queues[QUEUE]) as queue:
        found = [Request(queue.get(timeout=PATIENCE), app=app, task=task, hostname="here") for _ in range(3)]
    assert [request.expires for request in found] == [None, due.expires, over.expires]
    assert [bool(request.maybe_expire()) for request in found] == [False, False, True]
