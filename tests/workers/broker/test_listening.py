"""The queues of a worker, as providers come and go."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery
from kombu import Queue

from workers.broker.listening import Listening

QUEUES = ["purchases", "purchases.one"]


class Consumer:
    """Of Celery's, what changes its queues; without a connection it only remembers."""

    def __init__(self, app: Celery) -> None:
        self.app = app
        self.task_consumer = SimpleNamespace()
        self.done: list[tuple[str, str]] = []

    def call_soon(self, action: Any, *args: Any) -> None:
        action(*args)

    def add_task_queue(self, name: str) -> None:
        self.done.append(("add", name))

    def cancel_task_queue(self, name: str) -> None:
        self.done.append(("cancel", name))


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    with Celery("x", broker="memory://", set_as_current=False) as app:
        app.conf.task_queues = [Queue(name) for name in QUEUES]
        yield Consumer(app)


def test_a_new_one_is_listened_to_and_one_that_went_is_not(consumer: Consumer) -> None:
    listening = Listening(consumer, QUEUES)
    listening.follow(QUEUES)
    assert consumer.done == []
    for _ in range(2):
        listening.follow(["purchases", "purchases.two"])
    assert consumer.done == [("add", "purchases.two"), ("cancel", "purchases.one")]
    assert set(consumer.app.amqp.queues.consume_from) == {"purchases", "purchases.two"}


def test_without_a_connection_it_is_remembered_for_the_next(consumer: Consumer) -> None:
    consumer.task_consumer = None  # type: ignore[assignment]
    Listening(consumer, QUEUES).follow(["purchases", "purchases.two"])
    assert consumer.done == []
    assert set(consumer.app.amqp.queues.consume_from) == {"purchases", "purchases.two"}


def test_who_was_told_which_queues_are_his_keeps_to_them(consumer: Consumer, caplog: pytest.LogCaptureFixture) -> None:
    consumer.app.amqp.queues.select(["purchases.one"])
    listening = Listening(consumer, QUEUES)
    for _ in range(2):
        listening.follow([*QUEUES, "purchases.two"])
    assert set(consumer.app.amqp.queues.consume_from) == {"purchases.one"}
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "this worker keeps to the queues of its -Q or -X: restart it for purchases.two"
    ]
