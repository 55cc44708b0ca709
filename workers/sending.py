"""Celery messages, many at once on one connection (kombu's producer.batch)."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from celery import Celery

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
        with pool.acquire(block=True) as producer, producer.batch(BATCH):
            for message in batch:
                self._app.send_task(
                    message.task,
                    kwargs=dict(message.kwargs),
                    queue=message.queue,
                    producer=producer,
                    # Redis needs no declaring: a message to a queue by name goes to the list of that name.
                    declare=(),
                    argsrepr="()",
                    kwargsrepr=str(dict(message.kwargs)),
                    ignore_result=True,
                    retry=False,
                )
