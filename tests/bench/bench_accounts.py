"""What a thousand accounts cost: an idle worker, its start, the commands that tell of all, and what it buys.

Every figure stands beside that of one account, measured in the same round. ACCOUNTS says how many ("5 100 1000").
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.measuring import pictures, report
from tests.bench.measuring.candidates import APP, Bench, folder
from tests.bench.measuring.dialing import (
    bought_in_all,
    consecutive,
    dialstock,
    dialstock_environ,
    provider,
    submit_file,
)
from tests.bench.measuring.harness import PATIENCE, celery, cpu_seconds, memory, rounds, running, setting, stub
from tests.servers import PostgresServer, RedisServer
from workers.fleet import wait_for

ACCOUNTS = "5 100 500 1000"
LATENCY = 0.05
SETTLES, IDLE = 3.0, 10.0
"""Seconds after a start until a worker is idle, and for how long it is measured then."""

BEFORE = {"5 accounts": 0.05, "100 accounts": 0.22, "500 accounts": 0.63}
"""An idle worker's share of a core on this machine as it asked each account, to be seen beside what it is."""

NAME = "accounts@bench"


def bench_accounts(redis_server: RedisServer, postgres_server: PostgresServer) -> None:
    bench = Bench(redis_server, postgres_server, setting("COUNT", 1_000))
    counts = [1, *map(int, (os.environ.get("ACCOUNTS") or ACCOUNTS).split())]
    runs = {_name(count): _Run(bench, count) for count in counts}
    results = rounds({name: run.measure for name, run in runs.items()})
    base = results[_name(1)]
    costs = {
        name: tuple(statistics.median(of) for of in zip(*((one.idle, one.rate) for one in found), strict=True))
        for name, found in results.items()
    }
    report.publish(
        "Accounts",
        ("", "idle, cores", "memory, MB", "ratio", "start, s", "provider list, s", "doctor, s", "numbers/s", "ratio"),
        [_row(name, found, base) for name, found in results.items()],
        notes=(
            f"One worker process on SQLite, a provider that answers in {LATENCY * 1000:.0f} ms and has no limit. Idle: "
            f"over {IDLE:.0f} s. {bench.count} numbers, evenly over the accounts, from the first call to the last. "
            f"Ratios to one account; medians of {setting('ROUNDS', 3)} rounds."
        ),
        picture=pictures.accounts(costs, BEFORE),
    )


@dataclass(frozen=True)
class Cost:
    """`idle` in cores, `memory` in MB, the others in seconds; `rate` in numbers a second."""

    idle: float
    memory: float
    start: float
    listed: float
    examined: float
    rate: float

    def __str__(self) -> str:
        idle = f"idle {self.idle:.3f}, {self.memory:.0f} MB, start {self.start:.1f} s"
        return f"{idle}, list {self.listed:.1f} s, doctor {self.examined:.1f} s, {self.rate:.0f}/s"


@dataclass(frozen=True)
class _Run:
    bench: Bench
    accounts: int

    def measure(self) -> Cost:
        """Start a worker, let it idle, ask the commands, and buy."""
        with ExitStack() as stack:
            url = stack.enter_context(self.bench.database("SQLite"))
            home, target = stack.enter_context(folder()), stack.enter_context(stub(LATENCY))
            aliases = [f"account{number:05d}" for number in range(self.accounts)]
            providers = [provider(target.url, alias) for alias in aliases]
            environ = dialstock_environ(home, providers, self.bench.redis.url, url)
            began = time.monotonic()
            worker = stack.enter_context(running(celery(APP, "accounts"), environ))
            if not wait_for(self.bench.redis.url, [NAME], PATIENCE):
                raise TimeoutError(f"no worker of {self.accounts} accounts in {PATIENCE:.0f} s")
            start = time.monotonic() - began
            idle, used = _idle(worker), memory(worker)
            listed, examined = (_seconds(environ, *command) for command in (["provider", "list"], ["doctor"]))
            submit_file(environ, _file(home, aliases, self.bench.count))
            target.wait_for(self.bench.count)
            times = target.times()
            self.bench.check(bought_in_all(url, self.bench.count))
            return Cost(idle, used, start, listed, examined, self.bench.count / (times[-1] - times[0] + LATENCY))


def _idle(worker: psutil.Process) -> float:
    time.sleep(SETTLES)
    before, began = cpu_seconds(worker), time.monotonic()
    time.sleep(IDLE)
    return (cpu_seconds(worker) - before) / (time.monotonic() - began)


def _seconds(environ: dict[str, str], *command: str) -> float:
    """How long a command takes; `doctor` ends with a status of its own, for there is no beat."""
    began = time.monotonic()
    with suppress(subprocess.CalledProcessError):
        dialstock(environ, *command)
    return time.monotonic() - began


def _file(home: Path, aliases: Sequence[str], count: int) -> Path:
    path = home / "accounts.csv"
    lines = [f"{number},{aliases[place % len(aliases)]}" for place, number in enumerate(consecutive(count))]
    path.write_text("\n".join(["number,provider", *lines, ""]), encoding="utf-8")
    return path


def _name(accounts: int) -> str:
    return f"{accounts:,} account{'s'[: accounts - 1]}"


def _row(name: str, found: Sequence[Cost], base: Sequence[Cost]) -> report.Row:
    def of(field: str, costs: Sequence[Cost] = found) -> float:
        return statistics.median(getattr(one, field) for one in costs)

    used, rate = of("memory"), of("rate")
    seconds = [f"{of(field):.1f}" for field in ("start", "listed", "examined")]
    memories = (f"{used:.0f}", f"{used / of('memory', base):.2f}")
    return (name, f"{of('idle'):.3f}", *memories, *seconds, f"{rate:.0f}", f"{rate / of('rate', base):.2f}")
