"""A large order: how long it takes to go in, how much memory, and how fast it is shown."""

from __future__ import annotations

import json
import resource
import time

from tests.bench import report
from tests.bench.candidates import Bench, folder
from tests.bench.dialing import consecutive, dialstock, dialstock_environ, order_file, provider
from tests.bench.harness import setting
from tests.servers import PostgresServer, RedisServer

DATABASES = ("SQLite", "PostgreSQL")


def bench_submit(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 100_000))
    report.publish(
        "A large order",
        ("", "submit, s", "memory, MB", "show, s"),
        [_submit(bench, kind) for kind in DATABASES],
        notes=f"An order of {bench.count:,} lines, with the start of the program; no worker runs.",
    )


def _submit(bench: Bench, kind: str) -> report.Row:
    with bench.database(kind) as url, folder() as home:
        environ = dialstock_environ(home, [provider("http://127.0.0.1:9")], bench.redis.url, url)
        path = order_file(home, consecutive(bench.count))
        started = time.perf_counter()
        order = json.loads(dialstock(environ, "order", "submit", str(path), "--json").stdout.splitlines()[-1])
        submitted = time.perf_counter() - started
        # The largest of all children so far: nothing else that was run comes near.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        started = time.perf_counter()
        dialstock(environ, "order", "show", order.get("order_id") or order["id"])
        shown = time.perf_counter() - started
    return (kind, f"{submitted:.1f}", f"{peak:.0f}", f"{shown:.2f}")
