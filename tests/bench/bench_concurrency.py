"""How well a limit of calls at once is used by 1 and 4 worker processes together, and that it is never passed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import consecutive, dialstock_environ, provider, submit
from tests.bench.measuring.harness import LATENCY, PATIENCE, celery, rounds, running, setting, stub
from tests.bench.measuring.windows import largest
from tests.servers import PostgresServer, RedisServer
from workers.fleet import wait_for

PLACES = 10
NUMBERS = 1_000
WORKERS = (1, 4)
TIMEOUT = 2.0
"""Seconds: with the stub's latency far below, and short, for a fresh Redis gives no place before it has passed."""


def bench_concurrency(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", NUMBERS))
    runs = {f"{workers} worker{'s'[: workers - 1]}": _Run(bench, workers) for workers in WORKERS}
    results = rounds({name: run.buy for name, run in runs.items()})
    report.publish(
        "Use of a limit of calls at once",
        ("", "numbers", "ideal, s", "took, s", "used", "most at once"),
        [_row(name, runs[name], results[name]) for name in runs],
        notes=(
            f"{PLACES} calls at once, each of {LATENCY:g} s at the provider. From the first call to the last answer; "
            f"ideal = numbers x latency / {PLACES}; the aim is 0.95. Most at once is counted at the provider. "
            f"PostgreSQL; medians of {setting('ROUNDS', 3)} rounds, the most of all rounds."
        ),
    )


@dataclass(frozen=True)
class _Log:
    """When the calls of one run arrived at the provider, in Unix time."""

    arrivals: list[float]

    @property
    def seconds(self) -> float:
        return self.arrivals[-1] - self.arrivals[0] + LATENCY

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s"


@dataclass(frozen=True)
class _Run:
    """Buying with some worker processes."""

    bench: Bench
    workers: int

    @property
    def ideal(self) -> float:
        return self.bench.count * LATENCY / PLACES

    def buy(self) -> _Log:
        """Buy all through idle workers."""
        names = [f"worker{number}" for number in range(self.workers)]
        with ExitStack() as stack:
            url = stack.enter_context(self.bench.database("PostgreSQL"))
            home = stack.enter_context(folder())
            target = stack.enter_context(stub())
            more = f"max_concurrent_calls = {PLACES}\ntimeout = {TIMEOUT}"
            environ = dialstock_environ(home, [provider(target.url, more=more)], self.bench.redis.url, url)
            for name in names:
                stack.enter_context(running(celery(APP, name), environ))
            wait_for(self.bench.redis.url, [f"{name}@bench" for name in names], PATIENCE)
            submit(environ, home, consecutive(self.bench.count))
            target.wait_for(self.bench.count)
            return _Log(target.times())


def _row(name: str, run: _Run, logs: Sequence[_Log]) -> report.Row:
    took = statistics.median(log.seconds for log in logs)
    most = max(largest(log.arrivals, LATENCY) for log in logs)
    return (name, str(run.bench.count), f"{run.ideal:.1f}", f"{took:.1f}", f"{run.ideal / took:.3f}", str(most))
