"""Runs one worker against the stub provider and measures it in the steady state.

Rates come from the stub's own log of arrivals, between the tenth and the ninetieth of a hundred calls; CPU time from
the worker's process over the same stretch. Nothing here is asserted: figures belong to the machine, ratios to us.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

THREADS = 100
LATENCY = 0.2
PATIENCE = 180.0
ROOT = Path(__file__).parents[2]

_PROVIDERS = """\
[providers.stub]
kind = "signalwire"
base_url = "{url}"
token_env = "STUB_TOKEN"
project_id = "bench"

[providers.stub.policy]
rate_limits = ["{rate}"]
max_in_flight = 200
daily_limit = 0
"""


@dataclass(frozen=True)
class Measure:
    """`rate` in calls a second, `cpu` in milliseconds of the worker a call, `memory` in MB at the end."""

    rate: float
    cpu: float
    memory: float


@contextmanager
def stub(latency: float = LATENCY) -> Iterator[str]:
    """The stub provider in a process of its own; yields its URL."""
    command = [sys.executable, "-m", "tests.bench.stub", str(latency)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield (process.stdout.readline() if process.stdout else "").strip()
        finally:
            process.terminate()


@contextmanager
def worker(app: str, environ: Mapping[str, str], *options: str) -> Iterator[psutil.Process]:
    """A Celery worker of 100 threads; ended with SIGTERM."""
    command = [sys.executable, "-m", "celery", "-A", app, "worker", "--pool=threads", f"--concurrency={THREADS}"]
    quiet = ["--without-mingle", "--without-gossip", "--loglevel=ERROR", *options]
    with subprocess.Popen([*command, *quiet], cwd=ROOT, env={**os.environ, **environ}) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def measure(url: str, process: psutil.Process, count: int) -> Measure:
    """Wait for *count* calls at the stub, and measure from the tenth to the ninetieth of a hundred."""
    started = _wait_for(url, count // 10)
    before = _cpu(process)
    ended = _wait_for(url, count - count // 10)
    cpu = _cpu(process) - before
    _wait_for(url, count)
    rate = (len(ended) - len(started)) / (ended[-1] - started[-1])
    memory = process.memory_info().rss / 2**20
    return Measure(rate=rate, cpu=cpu / (len(ended) - len(started)) * 1000, memory=memory)


def dialstock_environ(folder: Path, url: str, redis_url: str, database_url: str, rate: str) -> dict[str, str]:
    """What our processes need to buy from the stub at *rate*."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "providers.toml"
    config.write_text(_PROVIDERS.format(url=url, rate=rate), encoding="utf-8")
    return {
        "DIALSTOCK_HOME": str(folder),
        "DIALSTOCK_CONFIG": str(config),
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "STUB_TOKEN": "bench",
    }


def order_file(folder: Path, count: int, first: int = 0) -> Path:
    """A CSV of *count* numbers for the stub."""
    path = folder / f"numbers-{first}-{count}.csv"
    lines = [f"+1415{first + index:07d},stub" for index in range(count)]
    path.write_text("\n".join(["number,provider", *lines, ""]), encoding="utf-8")
    return path


def dialstock(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run our command line; raises CalledProcessError where it fails."""
    command = [str(Path(sys.executable).parent / "dialstock"), *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, check=True, capture_output=True, text=True)


def rounds(count: int, candidates: Mapping[str, Callable[[], Measure]]) -> dict[str, Measure]:
    """The median of *count* rounds; each round runs every candidate once, so that the machine's moods are shared."""
    seen: dict[str, list[Measure]] = {name: [] for name in candidates}
    for _ in range(count):
        for name, run in candidates.items():
            seen[name].append(run())
    return {name: _median(measures) for name, measures in seen.items()}


def table(title: str, yardstick: str, results: Mapping[str, Measure]) -> str:
    """A table of the results, each set against the yardstick."""
    base = results[yardstick]
    lines = [
        f"\n{title} ({os.cpu_count()} cores)",
        f"{'':34}{'calls/s':>9}{'ratio':>8}{'CPU ms':>9}{'ratio':>8}{'MB':>7}",
    ]
    for name, one in results.items():
        ratios = f"{one.rate:9.0f}{one.rate / base.rate:8.2f}{one.cpu:9.2f}{one.cpu / base.cpu:8.2f}{one.memory:7.0f}"
        lines.append(f"{name:34}{ratios}")
    return "\n".join(lines)


def _median(measures: list[Measure]) -> Measure:
    return Measure(
        rate=statistics.median(one.rate for one in measures),
        cpu=statistics.median(one.cpu for one in measures),
        memory=max(one.memory for one in measures),
    )


def _wait_for(url: str, count: int) -> list[float]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        times: list[float] = sorted(httpx.get(f"{url}/times").json())
        if len(times) >= count:
            return times
        time.sleep(0.2)
    raise TimeoutError(f"only {len(times)} of {count} calls in {PATIENCE:.0f} s")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
