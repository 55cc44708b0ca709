"""Ten people who watch the pages must not slow the buying: an order with none, and with ten who poll as browsers do."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import httpx
from sqlalchemy import func, select

from schemas.tables.purchases import PURCHASE
from tests.bench import report
from tests.bench.candidates import APP, Bench, folder
from tests.bench.dialing import ask, bought, consecutive, dialstock_environ, provider, submit
from tests.bench.harness import PATIENCE, celery, rounds, running, setting, stub
from tests.servers import PostgresServer, RedisServer
from tests.waiting import eventually
from workers.fleet import wait_for

LATENCY = 0.05
WATCHERS = 10
PAGES = (("orders/last", 2.0), ("orders", 3.0), ("providers", 3.0), ("held", 3.0), ("pools", 5.0))
"""What is watched, and how often a browser asks for it again, in seconds."""

DATABASES = ("SQLite", "PostgreSQL")


def bench_watchers(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 2_000))
    runs = {kind: [_Run(bench, kind, watchers) for watchers in (0, WATCHERS)] for kind in DATABASES}
    results = rounds({run.name: run.seconds for pair in runs.values() for run in pair})
    seconds = {name: statistics.median(times) for name, times in results.items()}
    rows = []
    for kind, (alone, watched) in runs.items():
        slower = seconds[watched.name] / seconds[alone.name]
        page = statistics.median(watched.pages)
        rows.append(
            (kind, f"{seconds[alone.name]:.1f}", f"{seconds[watched.name]:.1f}", f"{slower:.3f}", f"{page:.0f}")
        )
    report.publish(
        "Watchers",
        ("", "nobody watches, s", f"{WATCHERS} watch, s", "ratio", "a page, ms"),
        rows,
        notes=(
            f"{bench.count} numbers at a provider that answers in {LATENCY * 1000:.0f} ms, without a limit, from their "
            f"acceptance to the last result. Flower runs in both; medians of {setting('ROUNDS', 3)} rounds; the aim is "
            "1.02."
        ),
    )


@dataclass(frozen=True)
class _Run:
    """Buying while so many *watchers* look; `pages` gets the milliseconds that each page took."""

    bench: Bench
    database: str
    watchers: int
    pages: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.database}, {self.watchers} watch"

    def seconds(self) -> float:
        """From the acceptance of the last number to the last result."""
        first, *rest = consecutive(self.bench.count + 1)
        with ExitStack() as stack:
            url = stack.enter_context(self.bench.database(self.database))
            home = stack.enter_context(folder())
            fast = stack.enter_context(stub(LATENCY))
            environ = dialstock_environ(home, [provider(fast.url)], self.bench.redis.url, url)
            stack.enter_context(running(celery(APP), environ))
            wait_for(self.bench.redis.url, ["bench@bench"], PATIENCE)
            # The limiter that knows nothing waits for two seconds: not what is measured here.
            submit(environ, home, [first])
            fast.wait_for(1)
            address = stack.enter_context(_flower(environ))
            stack.enter_context(_watching(address, self.watchers, self.pages))
            submit(environ, home, rest)
            fast.wait_for(self.bench.count + 1)
            eventually(lambda: bought(url) > self.bench.count, what="every purchase is recorded")
            at = PURCHASE.c
            accepted, finished = ask(url, select(func.max(at.created_at), func.max(at.finished_at)))
            return float((finished - accepted).total_seconds())


@contextmanager
def _flower(environ: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = ["-c", "from workers.cli import main; main()", "flower", "--port", str(port)]
    with running(program, {**environ, "FLOWER_BASIC_AUTH": "ann:word"}):
        address = f"http://ann:word@127.0.0.1:{port}/dialstock/"
        eventually(lambda: _answers(address), what="Flower answers")
        yield address


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def _watching(address: str, watchers: int, pages: list[float]) -> Iterator[None]:
    over = threading.Event()
    threads = [
        threading.Thread(target=_watch, args=(address, *PAGES[n % len(PAGES)], over, pages)) for n in range(watchers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _watch(address: str, page: str, every: float, over: threading.Event, pages: list[float]) -> None:
    with httpx.Client(timeout=PATIENCE) as browser:
        while not over.is_set():
            began = time.monotonic()
            browser.get(f"{address}{page}").raise_for_status()
            took = time.monotonic() - began
            pages.append(1000 * took)
            # as dialstock.js has it
            over.wait(max(every, 4 * took))
