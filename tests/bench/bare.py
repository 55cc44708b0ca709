"""The yardstick: a Celery task that posts, and does nothing else."""

from __future__ import annotations

import os
import threading

import httpx
from celery import Celery

app = Celery("bare", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    task_default_queue="bare",
    broker_transport_options={"visibility_timeout": 3600},
)

_context = httpx.create_ssl_context()
_local = threading.local()


@app.task(name="bare.post")
def post(url: str, number: str) -> None:
    """Post once, with one client for each thread."""
    client = getattr(_local, "client", None)
    if client is None:
        client = _local.client = httpx.Client(verify=_context, timeout=30)
    client.post(url, json={"number": number}).raise_for_status()
