"""The hand-written task on dramatiq, with its default middleware; it acknowledges late by design."""

from __future__ import annotations

import os
from collections.abc import Iterable

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.bench.peers import by_hand

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))


@dramatiq.actor
def buy(number: str) -> None:
    """Buy one number."""
    by_hand.buy(number)


def send(numbers: Iterable[str]) -> None:
    """One message for each number."""
    for number in numbers:
        buy.send(number)
