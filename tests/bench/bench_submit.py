"""A large order: how long it takes to go in, how much memory, and how fast it is shown."""

from __future__ import annotations

import json
import os
import resource
import time
from pathlib import Path

from tests.bench.harness import dialstock, dialstock_environ, order_file

ROWS = int(os.environ.get("ROWS", "100000"))


def bench_submit(tmp_path: Path) -> None:
    environ = dialstock_environ(
        tmp_path, "http://127.0.0.1:9", "redis://127.0.0.1:9", f"sqlite:///{tmp_path}/bench.db", rate="100/second"
    )
    dialstock(environ, "migrate")
    path = order_file(tmp_path, ROWS)
    started = time.perf_counter()
    order = json.loads(dialstock(environ, "order", "submit", str(path), "--json").stdout.splitlines()[-1])
    submitted = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    identity = order.get("order_id") or order["id"]
    started = time.perf_counter()
    dialstock(environ, "order", "show", identity)
    shown = time.perf_counter() - started
    print(f"\norder submit of {ROWS} rows: {submitted:.1f} s, {peak:.0f} MB at most; order show: {shown:.2f} s")
