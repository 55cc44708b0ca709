"""Taking numbers out of a pool of a thousand and of a hundred thousand, by fifty at once; and topping up a full one.

Numbers are taken by threads of one process that share its transactions; then by messages to one worker process, from
the first message to the last event.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from typing import Any

import redis
from celery import Celery
from sqlalchemy import insert

from schemas.events import CHANNEL
from schemas.pool_requests import TakeNumber
from schemas.tables.pools import POOL_NUMBER
from tasks.pools.requests import take_and_return
from tasks.providers.configured import load_config
from tasks.replenish import replenish
from tasks.runtime import Runtime
from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import dialstock_environ, provider
from tests.bench.measuring.harness import PATIENCE, celery, rounds, running, setting
from tests.servers import PostgresServer, RedisServer
from tests.tasks.pools.stocking import slots
from tests.tasks.support import make_world
from workers.database.connections import SqlDatabase, migrate
from workers.fleet import wait_for
from workers.wiring import bind_providers

FEW = 1_000
AT_ONCE = 50
CHUNK = 10_000
RUNS = 20
POOL = "bench"
EMPTY = "empty"
DATABASES = ("SQLite", "PostgreSQL")

_POOL = """\
[pools.{name}]
providers = ["stub"]
country = "US"
prefix = "415"
low = {size}
target = {size}
daily_limit = 0
"""


def bench_taking(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    places = _places(redis_server, postgres_server)
    _publish("Taking from a pool", places, rounds({one.name: one.by_threads for one in places}))


def bench_taking_by_message(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    places = _places(redis_server, postgres_server)
    _publish("Taking from a pool by message", places, rounds({one.name: one.by_messages for one in places}))


def bench_full_pool(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    report.publish(
        "A pool that needs nothing",
        ("", "median, ms", "slowest, ms", "calls to the provider"),
        [place.top_up() for place in _places(redis_server, postgres_server)],
        notes=f"{RUNS} runs for a pool at its target, one after the other.",
    )


@dataclass(frozen=True)
class Takes:
    """`rate` in takes a second; `twice` counts the numbers that two takers got."""

    rate: float
    twice: int

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s"


@dataclass(frozen=True)
class _Place:
    """A pool of *size* available numbers, filled anew for each run."""

    bench: Bench
    kind: str
    size: int

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.size:,} numbers"

    def by_threads(self) -> Takes:
        """Take with threads that share a process."""
        with self.bench.database(self.kind) as url, _filled(url, self.size) as database:
            runtime = make_world(database).runtime

            def take(index: int) -> dict[str, Any]:
                return take_and_return.take(runtime, TakeNumber(pool=POOL), f"take-{index}")

            with ThreadPoolExecutor(AT_ONCE) as executor:
                started = time.perf_counter()
                answers = list(executor.map(take, range(self.bench.count)))
                return _takes(answers, time.perf_counter() - started)

    def by_messages(self) -> Takes:
        """Take with one worker process; as many messages are on their way as there are takers."""
        with self.bench.database(self.kind) as url, folder() as home:
            environ = dialstock_environ(home, self._config("http://127.0.0.1:9"), self.bench.redis.url, url)
            with _filled(url, self.size), running(celery(APP), environ):
                wait_for(self.bench.redis.url, ["bench@bench"], PATIENCE)
                started = time.perf_counter()
                answers = _ask(self.bench.redis.url, self.bench.count)
                return _takes(answers, time.perf_counter() - started)

    def top_up(self) -> report.Row:
        """Run for a pool that needs nothing, then for one that does: only that one may ask the provider."""
        with self.bench.database(self.kind) as url, _provider() as (address, calls), folder() as home:
            environ = dialstock_environ(home, self._config(address), self.bench.redis.url, url)
            config = load_config(Path(environ["DIALSTOCK_CONFIG"]))
            with _filled(url, self.size) as database:
                runtime = replace(
                    make_world(database).runtime, config=config, providers=bind_providers(config, environ)
                )
                seconds = [_run(runtime, POOL) for _ in range(RUNS)]
                asked = len(calls)
                _run(runtime, EMPTY)
        if len(calls) == asked:
            raise RuntimeError("a measure of nothing: no run asks the provider")
        milliseconds = [f"{1000 * one:.1f}" for one in (statistics.median(seconds), max(seconds))]
        return (self.name, *milliseconds, str(asked))

    def _config(self, url: str) -> list[str]:
        return [provider(url), _POOL.format(name=POOL, size=self.size), _POOL.format(name=EMPTY, size=1)]


@contextmanager
def _filled(url: str, size: int) -> Iterator[SqlDatabase]:
    """A database with *size* numbers to take."""
    migrate(url)
    database = SqlDatabase(url)
    rows = slots(size, pool=POOL, now=datetime.now(UTC))
    try:
        with database.write() as conn:
            while chunk := list(islice(rows, CHUNK)):
                conn.execute(insert(POOL_NUMBER), chunk)
        yield database
    finally:
        database.close()


def _ask(url: str, count: int) -> list[dict[str, Any]]:
    """The answers to *count* takes, of which as many are under way as there are takers."""
    app = Celery(broker=url)
    answers: list[dict[str, Any]] = []
    with redis.Redis.from_url(url) as client, client.pubsub() as channel:
        channel.subscribe(CHANNEL)
        sent = 0
        deadline = time.monotonic() + PATIENCE
        while len(answers) < count and time.monotonic() < deadline:
            for _ in range(min(AT_ONCE, count - len(answers)) - (sent - len(answers))):
                app.send_task("dialstock.take_number", kwargs={"pool": POOL}, queue="purchases")
                sent += 1
            message = channel.get_message(ignore_subscribe_messages=True, timeout=1.0)
            event = json.loads(message["data"]) if message else {"type": ""}
            if event["type"] in ("dialstock.pool.taken", "dialstock.pool.refused"):
                answers.append(event["data"])
    app.close()
    return answers


def _takes(answers: Sequence[dict[str, Any]], seconds: float) -> Takes:
    """Raises RuntimeError where a take was refused: a refusal is quick."""
    numbers = [one["number"] for answer in answers for one in answer["numbers"]]
    if len(numbers) != len(answers):
        raise RuntimeError(f"a measure of nothing: {len(numbers)} numbers of {len(answers)} takes")
    return Takes(len(numbers) / seconds, len(numbers) - len(set(numbers)))


@contextmanager
def _provider() -> Iterator[tuple[str, list[str]]]:
    """The address of a provider that has nothing to sell, and the list of the calls that it got."""
    calls: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(200)
            self.send_header("content-length", "12")
            self.end_headers()
            self.wfile.write(b'{"data": []}')

        def log_message(self, *_: Any) -> None:
            """Not to the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", calls
        server.shutdown()


def _run(runtime: Runtime, pool: str) -> float:
    started = time.perf_counter()
    replenish.run(runtime, pool, by_person=True)
    return time.perf_counter() - started


def _places(redis_server: RedisServer, postgres_server: PostgresServer) -> list[_Place]:
    bench = Bench(redis_server, postgres_server, min(FEW, setting("COUNT", FEW)))
    return [_Place(bench, kind, size) for kind in DATABASES for size in (FEW, setting("ROWS", 100_000))]


def _publish(title: str, places: Sequence[_Place], results: dict[str, list[Takes]]) -> None:
    report.publish(
        title,
        ("", "takes/s", f"to {FEW:,}", "given twice"),
        [_row(place, results) for place in places],
        notes=(
            f"{places[0].bench.count} takes of one number each, {AT_ONCE} at once; medians of {setting('ROUNDS', 3)} "
            "rounds, ratios to a pool of 1,000 numbers. Given twice are numbers that two takers got."
        ),
    )


def _row(place: _Place, results: dict[str, list[Takes]]) -> report.Row:
    rate = _rate(results[place.name])
    base = _rate(results[_Place(place.bench, place.kind, FEW).name])
    twice = sum(one.twice for one in results[place.name])
    return (place.name, f"{rate:.0f}", f"{rate / base:.2f}", str(twice))


def _rate(takes: Sequence[Takes]) -> float:
    return statistics.median(one.rate for one in takes)
