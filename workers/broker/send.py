"""Celery messages, many at once on one connection (kombu's producer.batch)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from celery import Celery
from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]  # new in kombu 5.7
from uuid_utils import uuid4

from tasks.runtime import Message

BATCH = 1000


def sender(app: Celery) -> Sender:
    """What `Runtime.send` is."""
    return Sender(app)


class Sender:
    """Publishes messages; raises kombu.exceptions.OperationalError where the broker is away."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def __call__(self, messages: Iterable[Message]) -> None:
        """Publish all messages, in batches of 1,000."""
        iterator = iter(messages)
        while batch := list(islice(iterator, BATCH)):
            self._send(batch)

    def _send(self, batch: list[Message]) -> None:
        # celery-types does not know kombu 5.7's batch yet.
        pool: Any = self._app.producer_pool
        with pool.acquire(block=True) as producer:
            try:
                with producer.batch(BATCH):
                    for message in batch:
                        _publish(producer, message)
            except (BatchPublishError, *producer.connection.recoverable_connection_errors) as exc:
                raise OperationalError(str(exc)) from exc


def _publish(producer: Any, message: Message) -> None:
    """Publish by Celery's message protocol 2, with what it requires and no more.

    Three times quicker than app.send_task, and the worker has less to read.
    https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
    """
    identity = str(uuid4())
    headers = {
        "lang": "py",
        "task": message.task,
        "id": identity,
        "root_id": identity,
        "parent_id": None,
        "group": None,
        "argsrepr": "()",
        "kwargsrepr": str(message.kwargs),
        "ignore_result": True,
        **({"expires": message.expires.isoformat()} if message.expires else {}),
    }
    # Redis needs no declaring: a message to a queue by name goes to the list of that name.
    producer.publish(
        ((), message.kwargs, {}),
        exchange="",
        routing_key=message.queue,
        serializer="json",
        headers=headers,
        correlation_id=identity,
    )
