"""Accepting and buying one number on an idle worker, over the provider's own latency."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path

import redis
from celery import Celery

from schemas.events import CHANNEL
from tests.bench.harness import LATENCY, dialstock, dialstock_environ, stub, worker
from tests.servers import RedisServer

COUNT = int(os.environ.get("SINGLES", "30"))


def bench_latency(redis_server: RedisServer, tmp_path: Path) -> None:
    with stub() as url:
        environ = dialstock_environ(
            tmp_path, url, redis_server.url, f"sqlite:///{tmp_path}/bench.db", rate="1000/second"
        )
        dialstock(environ, "migrate")
        with worker("workers.app:app", environ):
            seen = _buy_singles(redis_server.url)
    extra = sorted((one - LATENCY) * 1000 for one in seen[1:])
    print(
        f"\none number on an idle worker, message to event, over the provider's {LATENCY * 1000:.0f} ms: "
        f"median {statistics.median(extra):.0f} ms, slowest {extra[-1]:.0f} ms"
    )


def _buy_singles(url: str) -> list[float]:
    app = Celery(broker=url)
    seen = []
    with redis.Redis.from_url(url) as client, client.pubsub() as channel:
        channel.subscribe(CHANNEL)
        for index in range(COUNT):
            number = f"+1415{index:07d}"
            started = time.perf_counter()
            app.send_task("dialstock.buy_number", kwargs={"number": number, "provider": "stub"}, queue="purchases")
            _wait_until_bought(channel, number)
            seen.append(time.perf_counter() - started)
    app.close()
    return seen


def _wait_until_bought(channel: redis.client.PubSub, number: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        message = channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
        if message:
            event = json.loads(message["data"])
            if event["type"].endswith(".purchased") and event["subject"] == number:
                return
    raise TimeoutError(f"{number} was not bought in 30 s")
