"""How well a provider's limit is used, and that it is never passed, by 1, 2 and 4 worker processes together."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.bench.measuring import pictures, report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import consecutive, dialstock_environ, provider, submit
from tests.bench.measuring.grants import watched
from tests.bench.measuring.harness import LATENCY, PATIENCE, celery, rounds, running, setting, stub
from tests.bench.measuring.windows import largest
from tests.servers import PostgresServer, RedisServer
from workers.fleet import wait_for

LIMITS = {20: 600, 200: 3_000}
"""Numbers to buy at each limit, in calls a second."""

WORKERS = (1, 2, 4)
BURST = 1
JITTER = 0.020
"""Seconds: what a call may be late by on its way, so that the next seems to come too soon."""


def bench_limit(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    runs = [
        _Run(Bench(redis_server, postgres_server, min(count, setting("COUNT", count))), limit, workers)
        for limit, count in LIMITS.items()
        for workers in WORKERS
    ]
    results = rounds({run.name: run.buy for run in runs})
    report.publish(
        "Use of the limit",
        ("", "numbers", "ideal, s", "took, s", "ratio", "most at the provider", "most granted", "slots a call"),
        [_row(run, results[run.name]) for run in runs],
        notes=(
            f"From the first call to the last answer; ideal = (numbers - {BURST}) / limit + latency; the aim is 1.05. "
            f"Most in any window: of {1 - JITTER:.2f} s in the provider's log, of 1 s among the slots by Redis's "
            f"clock. PostgreSQL; medians of {setting('ROUNDS', 3)} rounds, the most of all rounds."
        ),
        picture=pictures.limit({(run.limit, run.workers): results[run.name][-1].arrivals for run in runs}),
    )


@dataclass(frozen=True)
class Log:
    """What one run left: when calls arrived at the provider, and which slots were given, in Unix time."""

    arrivals: list[float] = field(repr=False)
    slots: list[float] = field(repr=False)
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {len(self.slots)} slots"


@dataclass(frozen=True)
class _Run:
    """Buying at *limit* calls a second with some worker processes."""

    bench: Bench
    limit: int
    workers: int

    @property
    def name(self) -> str:
        return f"{self.limit}/s, {self.workers} worker{'s'[: self.workers - 1]}"

    @property
    def ideal(self) -> float:
        return (self.bench.count - BURST) / self.limit + LATENCY

    def buy(self) -> Log:
        """Buy all through idle workers, and log it."""
        names = [f"worker{number}" for number in range(self.workers)]
        with ExitStack() as stack:
            url = stack.enter_context(self.bench.database("PostgreSQL"))
            home = stack.enter_context(folder())
            target = stack.enter_context(stub())
            providers = [provider(target.url, rate=f"{self.limit}/second")]
            environ = dialstock_environ(home, providers, self.bench.redis.url, url)
            for name in names:
                stack.enter_context(running(celery(APP, name), environ))
            wait_for(self.bench.redis.url, [f"{name}@bench" for name in names], PATIENCE)
            with watched(self.bench.redis.url) as grants:
                submit(environ, home, consecutive(self.bench.count))
                target.wait_for(self.bench.count)
            arrivals = target.times()
            return Log(arrivals, grants.times(), arrivals[-1] - arrivals[0] + LATENCY)


def _row(run: _Run, logs: Sequence[Log]) -> report.Row:
    took = statistics.median(log.seconds for log in logs)
    arrived = max(largest(log.arrivals, 1 - JITTER) for log in logs)
    granted = max(largest(log.slots, 1) for log in logs)
    slots = statistics.median(len(log.slots) for log in logs) / run.bench.count
    times = (f"{run.ideal:.1f}", f"{took:.1f}", f"{took / run.ideal:.3f}")
    return (run.name, str(run.bench.count), *times, str(arrived), str(granted), f"{slots:.2f}")
