"""The hand-written task on Celery: threads, late acknowledgement."""

from __future__ import annotations

import os
from collections.abc import Iterable

from celery import Celery

from tests.bench.peers import by_hand
from tests.bench.peers.settings import celery_settings

app = Celery("by-hand", broker=os.environ["REDIS_URL"])
app.conf.update(celery_settings("by-hand"))


@app.task(name="by_hand.buy")
def buy(number: str) -> None:
    """Buy one number."""
    by_hand.buy(number)


def send(numbers: Iterable[str]) -> None:
    """One message for each number."""
    with app.producer_pool.acquire(block=True) as producer, producer.batch(1000):
        for number in numbers:
            buy.apply_async((number,), producer=producer)
