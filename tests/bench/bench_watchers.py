"""Ten people who watch the pages of a long past must not slow the buying: an order, with and without them by turns."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import islice

import psutil

from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import dialstock_environ, provider, submit
from tests.bench.measuring.harness import PATIENCE, celery, cpu_seconds, rounds, running, setting, stub
from tests.bench.measuring.places import Place, place
from tests.servers import PostgresServer, RedisServer
from tests.waiting import eventually
from workers.fleet import wait_for

LATENCY = 0.05
WATCHERS = 10
PAGES = (("orders/last", 2.0), ("orders", 3.0), ("providers", 3.0), ("held", 3.0), ("pools", 5.0))
"""What is watched, and how often a browser asks for it again, in seconds."""

STRETCH = 2.5
SETTLED = 0.5
"""Seconds of a stretch that is counted, and of what is left out before it: looks that began in the one before."""

TURNS = (False, True, True, False)
"""Whether they watch in a stretch: what grows or shrinks all the while is the same for both."""

BLOCKS = 6
"""How often the turns are taken: each block is compared for itself, as the machine's moods last longer than one."""

DATABASES = ("SQLite", "PostgreSQL")
SIGNED_IN = {"Accept": "text/html", "Authorization": f"Basic {b64encode(b'ann:word').decode()}"}


def bench_watchers(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 30_000))
    rows = setting("ROWS", 1_000_000)
    with ExitStack() as stack:
        runs = {kind: _Run(stack.enter_context(place(bench, kind, rows))) for kind in DATABASES}
        results = rounds({kind: run.rates for kind, run in runs.items()})
    report.publish(
        "Watchers",
        ("", "nobody watches, calls/s", f"{WATCHERS} watch, calls/s", "slower by, %", "CPU for them, %", "a page, ms"),
        [_row(kind, results[kind], runs[kind].pages) for kind in DATABASES],
        notes=(
            f"One order beside {rows:,} purchases of the past, at a provider that answers in {LATENCY * 1000:.0f} ms, "
            f"without a limit, in stretches of {STRETCH} s with watchers and without by turns; Flower runs in all. "
            f"Medians of {BLOCKS} blocks of {len(TURNS)} stretches in each of {setting('ROUNDS', 3)} rounds, with the "
            "quarters they lie between; the aim is 2 %."
        ),
    )


@dataclass(frozen=True)
class _Rates:
    """Calls a second while nobody watches and while they do, and how much more of one core Flower takes then."""

    alone: float
    watched: float
    cpu: float

    @property
    def slower(self) -> float:
        """By how many per cent."""
        return 100 * (1 - self.watched / self.alone)


def _row(kind: str, found: list[list[_Rates]], pages: list[float]) -> report.Row:
    blocks = [block for one in found for block in one]
    figures = ([one.alone for one in blocks], [one.watched for one in blocks], [100 * one.cpu for one in blocks], pages)
    alone, watched, cpu, page = map(statistics.median, figures)
    low, middle, high = statistics.quantiles([one.slower for one in blocks])
    slower = f"{middle:.1f} ({low:.1f} to {high:.1f})"
    return (kind, f"{alone:.0f}", f"{watched:.0f}", slower, f"{cpu:.1f}", f"{page:.0f}")


@dataclass(frozen=True)
class _Run:
    """Buying while people look now and then; `pages` gets the milliseconds that each page took."""

    place: Place
    pages: list[float] = field(default_factory=list)

    def rates(self) -> list[_Rates]:
        """Of each block of an order, or of as much of it as the blocks take."""
        place, bench = self.place, self.place.bench
        first, *rest = islice(place.numbers, bench.count + 1)
        bench.redis.flushall()
        with ExitStack() as stack:
            home = stack.enter_context(folder())
            fast = stack.enter_context(stub(LATENCY, place.port))
            environ = dialstock_environ(home, [provider(fast.url)], bench.redis.url, place.url)
            worker = stack.enter_context(running(celery(APP), environ))
            wait_for(bench.redis.url, ["bench@bench"], PATIENCE)
            # The limiter that knows nothing waits for two seconds: not what is measured here.
            submit(environ, home, [first])
            fast.wait_for(1)
            flower, port = stack.enter_context(_flower(environ))
            on = stack.enter_context(_watchers(port, self.pages))
            submit(environ, home, rest)
            fast.wait_for(bench.count // 20)
            blocks = [self._block(flower, on) for _ in range(BLOCKS)]
            times = fast.times()
            if len(times) > bench.count:
                raise RuntimeError(f"the order was over before the last stretch: COUNT={2 * bench.count} or more")
            # Nobody waits for the rest.
            worker.kill()
        return [_rates(times, *block) for block in blocks]

    @staticmethod
    def _block(flower: psutil.Process, on: threading.Event) -> tuple[list[float], float]:
        """When the stretches began, in Unix time, and how many more CPU seconds Flower took while people watched."""
        began, more = [], 0.0
        for watched in TURNS:
            if watched:
                on.set()
            else:
                on.clear()
            time.sleep(SETTLED)
            before = cpu_seconds(flower)
            began.append(time.time())
            time.sleep(STRETCH)
            more += (cpu_seconds(flower) - before) * (1 if watched else -1)
        return began, more


def _rates(times: list[float], began: list[float], more: float) -> _Rates:
    counts = {True: 0, False: 0}
    for at, watched in zip(began, TURNS, strict=True):
        counts[watched] += sum(at <= one < at + STRETCH for one in times)
    seconds = STRETCH * len(TURNS) / 2
    return _Rates(counts[False] / seconds, counts[True] / seconds, more / seconds)


@contextmanager
def _flower(environ: dict[str, str]) -> Iterator[tuple[psutil.Process, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    program = ["-c", "from workers.cli import main; main()", "flower", "--port", str(port)]
    with running(program, {**environ, "FLOWER_BASIC_AUTH": "ann:word"}) as process:
        eventually(lambda: _answers(port), what="Flower answers")
        yield process, port


def _answers(port: int) -> bool:
    try:
        with _browser(port) as browser:
            _look(browser, "orders")
    except (OSError, HTTPException):
        return False
    return True


def _browser(port: int) -> closing[HTTPConnection]:
    return closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE))


def _look(browser: HTTPConnection, page: str) -> None:
    browser.request("GET", f"/dialstock/{page}", headers=SIGNED_IN)
    answer = browser.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


@contextmanager
def _watchers(port: int, pages: list[float]) -> Iterator[threading.Event]:
    """They look as long as the event that is given is set."""
    on, over = threading.Event(), threading.Event()
    threads = [
        threading.Thread(target=_watch, args=(port, *PAGES[n % len(PAGES)], n / WATCHERS, on, over, pages))
        for n in range(WATCHERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield on
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _watch(
    port: int, page: str, every: float, phase: float, on: threading.Event, over: threading.Event, pages: list[float]
) -> None:
    """Look every so often, where it is time for one while people watch; not all of them at once."""
    wait = every * phase
    with _browser(port) as browser:
        while not over.wait(wait):
            took = 0.0
            if on.is_set():
                began = time.monotonic()
                _look(browser, page)
                took = time.monotonic() - began
                pages.append(1000 * took)
            # as dialstock.js has it
            wait = max(every, 4 * took)
