"""A provider that hangs must not slow another: 2,000 numbers at a fast one, alone and beside 500 calls of 30 s.

One worker process of 100 threads serves both; the slow one may have 50 calls under way, half of its threads.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass

from sqlalchemy import func, select

from schemas.tables.purchases import PURCHASE
from tests.bench.measuring import report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import ask, bought, consecutive, dialstock_environ, provider, submit
from tests.bench.measuring.harness import PATIENCE, celery, rounds, running, setting, stub
from tests.servers import PostgresServer, RedisServer
from tests.waiting import eventually
from workers.fleet import wait_for

FAST = 0.05
HANGS = 30.0
SLOW_AT_ONCE = 50
DATABASES = ("SQLite", "PostgreSQL")


def bench_isolation(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 2_000))
    beside = max(SLOW_AT_ONCE, bench.count // 4)
    runs = {kind: (_Run(bench, kind, 0), _Run(bench, kind, beside)) for kind in DATABASES}
    results = rounds({run.name: run.seconds for pair in runs.values() for run in pair})
    seconds = {name: statistics.median(times) for name, times in results.items()}
    report.publish(
        "Isolation",
        ("", "alone, s", "beside the other, s", "ratio"),
        [_row(kind, *(seconds[run.name] for run in pair)) for kind, pair in runs.items()],
        notes=(
            f"{bench.count} numbers at a provider that answers in {FAST * 1000:.0f} ms, without a limit, from their "
            f"acceptance to the last result; the other one hangs for {HANGS:.0f} s on each of {beside} numbers, "
            f"{SLOW_AT_ONCE} at once. One worker process; medians of {setting('ROUNDS', 3)} rounds; the aim is 1.2."
        ),
    )


@dataclass(frozen=True)
class _Run:
    """Buying at the fast provider while the other one hangs on *beside* numbers."""

    bench: Bench
    database: str
    beside: int

    @property
    def name(self) -> str:
        return f"{self.database}, {'beside the other' if self.beside else 'alone'}"

    def seconds(self) -> float:
        """From the acceptance of the last number to the last result."""
        first, *rest = consecutive(self.bench.count + 1)
        with ExitStack() as stack:
            url = stack.enter_context(self.bench.database(self.database))
            home = stack.enter_context(folder())
            fast, slow = (stack.enter_context(stub(latency)) for latency in (FAST, HANGS))
            providers = [provider(fast.url, "fast"), provider(slow.url, "slow", max_in_flight=SLOW_AT_ONCE)]
            environ = dialstock_environ(home, providers, self.bench.redis.url, url)
            worker = stack.enter_context(running(celery(APP), environ))
            wait_for(self.bench.redis.url, ["bench@bench"], PATIENCE)
            # The limiter that knows nothing waits for two seconds: not what is measured here.
            submit(environ, home, [first], "fast")
            fast.wait_for(1)
            if self.beside:
                submit(environ, home, consecutive(self.beside), "slow")
                slow.wait_for(SLOW_AT_ONCE)
            submit(environ, home, rest, "fast")
            fast.wait_for(self.bench.count + 1)
            eventually(lambda: bought(url, "fast") > self.bench.count, what="every purchase is recorded")
            # Not asked to stop: half of its calls would run on for half a minute.
            worker.kill()
            return _duration(url)


def _duration(url: str) -> float:
    at = PURCHASE.c
    query = select(func.max(at.created_at), func.max(at.finished_at)).where(at.provider == "fast")
    accepted, finished = ask(url, query)
    return float((finished - accepted).total_seconds())


def _row(kind: str, alone: float, beside: float) -> report.Row:
    return (kind, f"{alone:.1f}", f"{beside:.1f}", f"{beside / alone:.2f}")
