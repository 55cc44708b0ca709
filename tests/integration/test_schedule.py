"""Audits and pools as beat has real workers run them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select, update

from schemas.events import STREAM
from schemas.tables.audits import AUDIT_RUN
from schemas.tables.pools import POOL, POOL_NUMBER, POOL_RUN, Slot
from schemas.tables.purchases import PURCHASE
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests import forked
from tests.servers import RedisServer
from tests.waiting import PATIENCE, eventually, fair_clock
from tests.workers.cli.running import NUMBERS, sandbox_config_text
from workers.cli.processes.worker_beat_flower import beat_arguments, worker_arguments
from workers.database.connections import SqlDatabase
from workers.launch import celery_command


class Deployment:
    """Celery processes on one Redis and one database, with the sandbox as the providers."""

    def __init__(self, folder: Path, redis: RedisServer, database: SqlDatabase, url: str, stack: ExitStack) -> None:
        self.database = database
        self._folder = folder
        self._stack = stack
        ours = ("DIALSTOCK_", "DATABASE_URL", "REDIS_URL", "CELERY_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        places = {
            "DATABASE_URL": url,
            "REDIS_URL": redis.url,
            "DIALSTOCK_HOME": str(folder),
            "SANDBOX_TOKEN": "sandbox",
        }
        self._environ = {**kept, **places}

    def configure(self, url: str, policy: str, pools: str = "") -> None:
        (self._folder / "providers.toml").write_text(sandbox_config_text(url, policy) + pools)

    def start(self, name: str, arguments: list[str]) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(self._running(name, arguments))

    def worker(self) -> subprocess.Popen[bytes]:
        return self.start("worker", worker_arguments("one@test", 8, "INFO", events=False))

    def beat(self, name: str = "beat") -> subprocess.Popen[bytes]:
        return self.start(name, beat_arguments("INFO"))

    def rows(self, query: Any) -> list[Any]:
        with self.database.read() as conn:
            return list(conn.execute(query))

    def runs(self) -> dict[str, Any]:
        with self.database.read() as conn:
            return {row.provider: row for row in conn.execute(select(AUDIT_RUN))}

    def log(self, name: str) -> str:
        return (self._folder / f"{name}.log").read_text(errors="replace")

    @contextmanager
    def _running(self, name: str, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = forked.start(
                celery_command(arguments), env=self._environ, cwd=self._folder, stdout=log, stderr=log
            )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def deployment(tmp_path: Path, redis_server: RedisServer, sqlite_url: str) -> Iterator[Deployment]:
    database = SqlDatabase(sqlite_url)
    with ExitStack() as stack:
        stack.callback(database.close)
        yield Deployment(tmp_path, redis_server, database, sqlite_url, stack)


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer() as server:
        yield server


def waited(deployment: Deployment, check: Callable[[], Any], what: str) -> Any:
    try:
        return eventually(check, what=what)
    except AssertionError as exc:
        raise AssertionError(f"{exc}\n{deployment.log('worker')[-3000:]}") from exc


def test_beat_and_a_worker_audit_and_tell(
    deployment: Deployment, sandbox: SandboxServer, redis_server: RedisServer
) -> None:
    deployment.configure(sandbox.url, "audit_every = '1s'")
    listing = [name for name, kind in kinds().items() if kind.lists_owned]
    for kind in listing:
        sandbox.control.own(kind, NUMBERS[:2])
    deployment.worker()
    deployment.beat()

    def told() -> set[tuple[str, str]]:
        with Redis.from_url(redis_server.url) as client:
            events = [fields[b"event"].decode() for _, fields in client.xrange(STREAM)]
        return {(kind, one) for kind in deployment.runs() for one in events if f"providers/{kind}" in one}

    waited(deployment, lambda: len(told()) == 2 * len(listing), "two findings each")
    found = told()
    assert all("dialstock.audit.orphan" in event for _, event in found)
    # audited again and again, and told once
    began = {kind: run.began_at for kind, run in deployment.runs().items()}
    waited(deployment, lambda: all(run.began_at > began[kind] for kind, run in deployment.runs().items()), "more runs")
    assert len(told()) == 2 * len(listing)


def test_a_worker_that_is_told_to_stop_leaves_its_walk(deployment: Deployment, sandbox: SandboxServer) -> None:
    deployment.configure(sandbox.url, "audit_every = '1s'\nlookup_rate_limits = ['1/second']")
    sandbox.control.own("vogent", [f"+1415{n}" for n in range(5_000_000, 5_006_000)])
    worker = deployment.worker()
    deployment.beat()
    waited(deployment, lambda: "vogent" in deployment.runs(), "a walk of a minute begins")
    worker.send_signal(signal.SIGTERM)
    with fair_clock() as clock:
        assert worker.wait(PATIENCE) == 0, deployment.log("worker")
        # a minute of walking is left, and most of it is not waited for
        assert clock() < 20
    run = deployment.runs()["vogent"]
    assert (run.ended_at, run.error, run.due_at) == (None, None, run.began_at)


POOL_TEXT = """
[pools.support]
providers = ["bird", "signalwire"]
prefix = "415"
low = 3
target = 6
daily_limit = 0
schedule = "10s"
"""


def test_two_beats_and_a_worker_keep_a_pool_filled(
    deployment: Deployment, sandbox: SandboxServer, tmp_path: Path
) -> None:
    deployment.configure(sandbox.url, "poll_every = '1s'", POOL_TEXT)
    deployment.worker()
    beats = [deployment.beat("beat"), deployment.beat("standby")]
    ready = select(POOL_NUMBER).where(POOL_NUMBER.c.status == Slot.AVAILABLE)
    waited(deployment, lambda: len(deployment.rows(ready)) == 6, "six numbers are there")
    # a killed beat, and a new one, change nothing
    beats[0].kill()
    deployment.beat("third")
    taken = update(POOL_NUMBER).where(POOL_NUMBER.c.slot <= 5).values(status=Slot.TAKEN)
    with deployment.database.write() as conn:
        conn.execute(taken)
    waited(deployment, lambda: len(deployment.rows(ready)) == 6, "what was taken is replaced")
    before = deployment.rows(select(POOL.c.last_run_at))
    waited(deployment, lambda: deployment.rows(select(POOL.c.last_run_at)) > before, "it is looked at again")
    assert [run.ordered for run in deployment.rows(select(POOL_RUN).order_by(POOL_RUN.c.id))] == [6, 5]
    assert len(deployment.rows(select(PURCHASE))) == 11
    assert "Traceback" not in "".join(deployment.log(name) for name in ("worker", "beat", "standby", "third"))
    assert [*tmp_path.glob("*schedule*")] == []
