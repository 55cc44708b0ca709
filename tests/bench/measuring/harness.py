"""Runs workers against the stub provider and measures them in the steady state.

Rates come from the stub's own log of arrivals, between the tenth and the ninetieth of a hundred calls; CPU time from
the worker's processes over the same stretch. Nothing here is asserted: figures belong to the machine, ratios to us.

Shorter, or longer: COUNT (numbers), ROUNDS (of which the medians are shown) and ROWS in the environment.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

THREADS = 100
LATENCY = 0.2
PATIENCE = 300.0
"""Seconds that one candidate may take."""

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "build" / "bench"
"""Where results go, and what the workers print."""

R = TypeVar("R")


@dataclass(frozen=True)
class Measure:
    """`rate` in calls a second, `cpu` and `database_cpu` in milliseconds a call, `memory` in MB at the end."""

    rate: float
    cpu: float
    database_cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.rate:.0f}/s, {self.cpu:.2f} ms + {self.database_cpu:.2f} ms, {self.memory:.0f} MB"


def setting(name: str, default: int) -> int:
    """A number from the environment, like COUNT=500."""
    return int(os.environ.get(name) or default)


@dataclass(frozen=True)
class Stub:
    """The stub provider, in a process of its own."""

    url: str
    process: subprocess.Popen[str]

    def times(self) -> list[float]:
        """When each call arrived, in Unix time, in order."""
        return sorted(httpx.get(f"{self.url}/times").json())

    def wait_for(self, count: int) -> tuple[int, float]:
        """How many calls came, once there are *count*, and when the last one did. Raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            seen, last = httpx.get(f"{self.url}/count").json()
            if seen >= count:
                return seen, last
            time.sleep(0.1)
        raise TimeoutError(f"only {seen} of {count} calls in {PATIENCE:.0f} s")


@contextmanager
def stub(latency: float = LATENCY, port: int = 0) -> Iterator[Stub]:
    """A running stub provider; gone at the end."""
    with served("stub", latency, port) as found:
        yield found


@contextmanager
def served(module: str, *arguments: object) -> Iterator[Stub]:
    """A running provider of one of our modules; gone at the end."""
    command = [sys.executable, "-m", f"tests.bench.measuring.{module}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Stub((process.stdout.readline() if process.stdout else "").strip(), process)
        finally:
            process.terminate()


@contextmanager
def running(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[psutil.Process]:
    """Python with *arguments*; ended with SIGTERM, so that what runs may end. It prints to workers.log."""
    command = [sys.executable, *arguments]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        (FOLDER / "workers.log").open("ab") as log,
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environ}, stdout=log, stderr=log) as process,
    ):
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def celery(app: str, name: str = "bench") -> list[str]:
    """The command of a Celery worker of 100 threads that answers as *name*@bench."""
    quiet = ["--without-mingle", "--without-gossip", "--loglevel=ERROR", f"--hostname={name}@bench"]
    return ["-m", "celery", "-A", app, "worker", "--pool=threads", f"--concurrency={THREADS}", *quiet]


def measure(provider: Stub, worker: psutil.Process, count: int, database: psutil.Process | None = None) -> Measure:
    """Wait for *count* calls at the stub, and measure from the tenth to the ninetieth of a hundred."""
    if count < 3 * THREADS:
        raise ValueError(f"{count} numbers are over before anything is steady: COUNT={3 * THREADS} or more")
    started, began = provider.wait_for(count // 10)
    before, database_before = cpu_seconds(worker), cpu_seconds(database)
    ended, until = provider.wait_for(count - count // 10)
    spent, database_spent = cpu_seconds(worker) - before, cpu_seconds(database) - database_before
    provider.wait_for(count)
    calls = ended - started
    return Measure(calls / (until - began), spent / calls * 1000, database_spent / calls * 1000, memory(worker))


def memory(process: psutil.Process) -> float:
    """What a process and its children hold, in MB."""
    return sum(one.memory_info().rss for one in _family(process)) / 2**20


def rounds(candidates: Mapping[str, Callable[[], R]]) -> dict[str, list[R]]:
    """What each candidate came to in each round; a round runs every one once, so that all share the machine's moods."""
    results: dict[str, list[R]] = {name: [] for name in candidates}
    total = setting("ROUNDS", 3)
    for number in range(1, total + 1):
        for name, run in candidates.items():
            results[name].append(run())
            print(f"\n  round {number} of {total}: {name}: {results[name][-1]}", end="", flush=True)
    return results


def medians(results: Mapping[str, Sequence[Measure]]) -> dict[str, Measure]:
    """The median of each figure over the rounds."""
    fields = ("rate", "cpu", "database_cpu", "memory")
    return {
        name: Measure(*(statistics.median(getattr(one, field) for one in measures) for field in fields))
        for name, measures in results.items()
    }


def postgres_process(url: str) -> psutil.Process:
    """The server's first process, of which all others are children."""
    import psycopg  # noqa: PLC0415 - the benchmarks on SQLite need no driver

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        backend: Any = connection.execute("SELECT pg_backend_pid()").fetchone()
        parent = psutil.Process(backend[0]).parent()
    assert parent is not None
    return parent


def cpu_seconds(process: psutil.Process | None) -> float:
    """Seconds of CPU time of a process, its children, and those of them that have ended."""
    if process is None:
        return 0.0
    ended = process.cpu_times()
    living = [one.cpu_times() for one in _family(process)]
    return ended.children_user + ended.children_system + sum(one.user + one.system for one in living)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]
