"""What our promises cost: dialstock against a bare Celery task, and against hand-written ones on three libraries.

One worker process of 100 threads, a stub provider of 200 ms and no limit, everything accepted before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.bench.measuring import pictures, report
from tests.bench.measuring.candidates import Bench
from tests.bench.measuring.harness import Measure, medians, rounds, setting
from tests.servers import PostgresServer, RedisServer

BARE = "bare Celery task that posts"
HAND = {
    "Celery, by hand": "celery_by_hand",
    "dramatiq, by hand": "dramatiq_by_hand",
    "huey, by hand": "huey_by_hand",
}
DATABASES = ("SQLite", "PostgreSQL")


def bench_peers(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 10_000))
    candidates = {BARE: bench.bare}
    for database in DATABASES:
        candidates[f"dialstock, {database}"] = partial(bench.dialstock, database)
        candidates |= {f"{name}, {database}": partial(bench.by_hand, peer, database) for name, peer in HAND.items()}
    results = medians(rounds(candidates))
    rows = report.measure_rows(results, dict.fromkeys(results, BARE))
    report.publish(
        "Against the same work by hand",
        (*report.MEASURE_HEADER, "dialstock against it"),
        [(*row, _of_ours(results, row[0])) for row in rows],
        notes=(
            f"{bench.count} numbers, accepted before; medians of {setting('ROUNDS', 3)} rounds; ratios to the bare "
            "task. By hand: one row before the call and its result after it, bounded retries, one message to Redis; "
            "none of our promises (tests/bench/peers/by_hand.py). PostgreSQL runs without waiting for the disk; SQLite "
            "syncs each commit for dialstock, and none for the others."
        ),
        picture=pictures.peers(results, BARE),
    )


def _of_ours(results: Mapping[str, Measure], name: str) -> str:
    """Our throughput, over that of *name* on the same database."""
    ours = results.get(f"dialstock, {name.rpartition(', ')[2]}")
    return f"{ours.rate / results[name].rate:.2f}" if ours else "-"
