"""The yardstick: a Celery task that posts, and does nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

import httpx
from celery import Celery

from tests.bench.peers.settings import celery_settings

app = Celery("bare", broker=os.environ["REDIS_URL"])
app.conf.update(celery_settings("bare"))

_context = httpx.create_ssl_context()
_local = threading.local()


@app.task(name="bare.post")
def post(number: str) -> None:
    """Post once, with one client for each thread."""
    client = getattr(_local, "client", None)
    if client is None:
        client = _local.client = httpx.Client(verify=_context, timeout=30)
    client.post(os.environ["PROVIDER_URL"], json={"number": number}).raise_for_status()


def send(numbers: Iterable[str]) -> None:
    """One message for each number."""
    with app.producer_pool.acquire(block=True) as producer, producer.batch(1000):
        for number in numbers:
            post.apply_async((number,), producer=producer)
