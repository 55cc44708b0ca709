"""Accepting and buying one number on an idle worker, over the provider's own latency."""

from __future__ import annotations

import json
import statistics
import time

import redis
from celery import Celery

from schemas.events import CHANNEL
from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import consecutive, dialstock_environ, provider
from tests.bench.measuring.harness import LATENCY, celery, running, setting, stub
from tests.servers import PostgresServer, RedisServer

DATABASES = ("SQLite", "PostgreSQL")


def bench_latency(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, min(30, setting("COUNT", 30)))
    report.publish(
        "One number on an idle worker",
        ("", "median, ms", "slowest, ms"),
        [_row(kind, _extra(bench, kind)) for kind in DATABASES],
        notes=f"From the message to the event, over the provider's {LATENCY * 1000:.0f} ms; {bench.count} numbers.",
    )


def _row(kind: str, extra: list[float]) -> report.Row:
    return (kind, f"{statistics.median(extra):.0f}", f"{max(extra):.0f}")


def _extra(bench: Bench, kind: str) -> list[float]:
    """Milliseconds over the provider's own; the first purchase waits for the worker, and is left out."""
    with bench.database(kind) as url, stub() as target, folder() as home:
        environ = dialstock_environ(home, [provider(target.url)], bench.redis.url, url)
        with running(celery(APP), environ):
            seconds = _buy_singles(bench.redis.url, consecutive(bench.count + 1))
    return [(one - LATENCY) * 1000 for one in seconds[1:]]


def _buy_singles(url: str, numbers: list[str]) -> list[float]:
    app = Celery(broker=url)
    seen = []
    with redis.Redis.from_url(url) as client, client.pubsub() as channel:
        channel.subscribe(CHANNEL)
        for number in numbers:
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
