"""How well a limit is used where the database and Redis are far away, and that it is never passed."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from tests.bench.bench_limit import BURST, JITTER, Log
from tests.bench.measuring import pictures, report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import consecutive, dialstock_environ, provider, submit
from tests.bench.measuring.grants import watched
from tests.bench.measuring.harness import LATENCY, celery, cpu_seconds, rounds, running, served, setting, stub
from tests.bench.measuring.windows import largest
from tests.servers import PostgresServer, RedisServer
from workers.fleet import wait_for

STARTS = 60.0
"""Seconds that workers have to start."""


@dataclass(frozen=True)
class Far:
    """Milliseconds one way to both servers, calls a second, worker processes, and the numbers to buy.

    *aim* is the part of the limit that should be used, *before* what it was on this machine while every call was
    claimed and released at fixed times before its slot.
    """

    distance: float
    limit: int
    workers: int
    numbers: int
    aim: float
    before: float

    def __str__(self) -> str:
        return f"{self.distance:g} ms, {self.limit}/s, {self.workers} workers"


CASES = (
    Far(0, 50, 2, 1_000, 0.98, before=0.98),
    Far(2, 50, 2, 1_000, 0.95, before=0.91),
    Far(2, 200, 4, 3_000, 0.95, before=0.71),
    Far(10, 50, 2, 1_000, 0.9, before=0.49),
)


def bench_distance(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    runs = [_Run(case, redis_server, postgres_server) for case in CASES]
    results = rounds({str(run.case): run.buy for run in runs})
    picture = pictures.distance(
        {str(run.case): _used(run, results[str(run.case)]) for run in runs},
        {str(case): case.aim for case in CASES},
        {str(case): case.before for case in CASES},
    )
    report.publish(
        "Use of the limit at a distance",
        ("one way", "numbers", "used", "aim", "most at the provider", "most granted", "slots a call", "CPU ms"),
        [_row(run, results[str(run.case)]) for run in runs],
        notes=(
            "The database and Redis behind a proxy that sends everything on later, each way; 0 ms: what the proxy "
            "itself costs. From the first call to the last answer. Most in any window as in the use of the limit. "
            f"PostgreSQL; medians of {setting('ROUNDS', 3)} rounds, the most of all rounds."
        ),
        picture=picture,
    )


@dataclass(frozen=True)
class _Far(Log):
    """*cpu* in milliseconds a call, of all worker processes."""

    cpu: float = field(default=0.0)


@dataclass(frozen=True)
class _Run:
    case: Far
    redis: RedisServer
    postgres: PostgresServer

    @property
    def count(self) -> int:
        return min(self.case.numbers, setting("COUNT", self.case.numbers))

    @property
    def ideal(self) -> float:
        return (self.count - BURST) / self.case.limit + LATENCY

    def buy(self) -> _Far:
        """Buy all through idle workers that are far from their servers."""
        names = [f"worker{number}" for number in range(self.case.workers)]
        with ExitStack() as stack:
            url = stack.enter_context(Bench(self.redis, self.postgres, self.count).database("PostgreSQL"))
            home, target = stack.enter_context(folder()), stack.enter_context(stub())
            providers = [provider(target.url, rate=f"{self.case.limit}/second")]
            near = dialstock_environ(home, providers, self.redis.url, url)
            far = stack.enter_context(_far(self.case.distance / 1000, near))
            workers = [stack.enter_context(running(celery(APP, name), far)) for name in names]
            if not wait_for(self.redis.url, [f"{name}@bench" for name in names], STARTS):
                raise TimeoutError(
                    f"no {self.case.workers} workers in {STARTS:.0f} s: build/bench/workers.log tells why"
                )
            with watched(self.redis.url) as grants:
                before = sum(map(cpu_seconds, workers))
                submit(near, home, consecutive(self.count))
                target.wait_for(self.count)
                spent = sum(map(cpu_seconds, workers)) - before
            arrivals = target.times()
            took = arrivals[-1] - arrivals[0] + LATENCY
            return _Far(arrivals, grants.times(), took, spent / self.count * 1000)


@contextmanager
def _far(seconds: float, near: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment *near*, with both servers so far away."""
    redis, database = urlsplit(near["REDIS_URL"]), make_url(near["DATABASE_URL"])
    socket = f"{database.query['host']}/.s.PGSQL.5432"
    with served("delay", seconds, socket, f"{redis.hostname}:{redis.port}") as way:
        postgres, fast = way.url.split()
        there = database.set(query={}, host="127.0.0.1", port=int(postgres))
        redis_url = redis._replace(netloc=f"127.0.0.1:{fast}").geturl()
        yield {**near, "DATABASE_URL": there.render_as_string(hide_password=False), "REDIS_URL": redis_url}


def _used(run: _Run, logs: Sequence[_Far]) -> float:
    return run.ideal / statistics.median(log.seconds for log in logs)


def _row(run: _Run, logs: Sequence[_Far]) -> report.Row:
    arrived = max(largest(log.arrivals, 1 - JITTER) for log in logs)
    granted = max(largest(log.slots, 1) for log in logs)
    slots = statistics.median(len(log.slots) for log in logs) / run.count
    cpu = statistics.median(log.cpu for log in logs)
    shares = (f"{_used(run, logs):.3f}", f"{run.case.aim:g}")
    return (str(run.case), str(run.count), *shares, str(arrived), str(granted), f"{slots:.2f}", f"{cpu:.2f}")
