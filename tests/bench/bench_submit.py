"""A large order: how long it takes to go in, how much memory, and how fast it is shown."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress

import psutil

from tests.bench.measuring import report
from tests.bench.measuring.candidates import Bench, folder
from tests.bench.measuring.dialing import command, consecutive, dialstock, dialstock_environ, order_file, provider
from tests.bench.measuring.harness import setting
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
        answer, peak = _run(environ, "order", "submit", str(path), "--json")
        submitted = time.perf_counter() - started
        order = json.loads(answer.splitlines()[-1])
        started = time.perf_counter()
        dialstock(environ, "order", "show", order.get("order_id") or order["id"])
        shown = time.perf_counter() - started
    return (kind, f"{submitted:.1f}", f"{peak:.0f}", f"{shown:.2f}")


def _run(environ: Mapping[str, str], *arguments: str) -> tuple[str, float]:
    """What our command line prints, and the most memory that it took, in MB."""
    peak = 0.0
    everything = {**os.environ, **environ}
    with psutil.Popen(command(*arguments), env=everything, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            with suppress(psutil.Error):
                peak = max(peak, process.memory_info().rss / 2**20)
            time.sleep(0.01)
        answer = process.stdout.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return answer, peak
