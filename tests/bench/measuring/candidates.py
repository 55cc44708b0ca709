"""What is run and measured: dialstock, and the peers, each on a fresh database."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.bench.measuring.dialing import bought, consecutive, dialstock_environ, provider, submit
from tests.bench.measuring.harness import ROOT, THREADS, Measure, celery, measure, postgres_process, running, stub
from tests.bench.peers.store import open_store
from tests.servers import PostgresServer, RedisServer

APP = "workers.app:app"

PEERS = {
    "bare_celery": celery("tests.bench.peers.bare_celery:app"),
    "celery_by_hand": celery("tests.bench.peers.celery_by_hand:app"),
    "dramatiq_by_hand": [
        *("-m", "dramatiq", "tests.bench.peers.dramatiq_by_hand", "--skip-logging"),
        *("--processes", "1", "--threads", str(THREADS)),
    ],
    "huey_by_hand": [
        *("-m", "huey.bin.huey_consumer", "tests.bench.peers.huey_by_hand.huey", "--quiet", "--no-periodic"),
        *("--worker-type", "thread", "--workers", str(THREADS), "--graceful-signal", "TERM"),
    ],
}


@dataclass(frozen=True)
class Bench:
    """The servers that all candidates share."""

    redis: RedisServer
    postgres: PostgresServer
    count: int

    def dialstock(self, database: str) -> Measure:
        """One worker process of ours, everything accepted before it starts."""
        with self.database(database) as url, stub() as target, folder() as home:
            environ = dialstock_environ(home, [provider(target.url)], self.redis.url, url)
            submit(environ, home, consecutive(self.count))
            with running(celery(APP), environ) as worker:
                measured = measure(target, worker, self.count, self.server_process(database))
            self.check(bought(url))
            return measured

    def by_hand(self, peer: str, database: str) -> Measure:
        """One worker process of a peer, every message sent before it starts."""
        with self.database(database, ours=False) as url, stub() as target, closing(open_store(url)) as store:
            store.create()
            environ = {"DATABASE_URL": url, "REDIS_URL": self.redis.url, "PROVIDER_URL": target.url}
            self._send(peer, environ)
            with running(PEERS[peer], environ) as worker:
                measured = measure(target, worker, self.count, self.server_process(database))
            self.check(store.bought())
            return measured

    def bare(self) -> Measure:
        """A Celery worker that posts, and does nothing else."""
        self.redis.flushall()
        with stub() as target:
            environ = {"REDIS_URL": self.redis.url, "PROVIDER_URL": target.url}
            self._send("bare_celery", environ)
            with running(PEERS["bare_celery"], environ) as worker:
                return measure(target, worker, self.count)

    @contextmanager
    def database(self, kind: str, *, ours: bool = True) -> Iterator[str]:
        """The URL of a fresh database, beside an empty Redis."""
        self.redis.flushall()
        if kind == "PostgreSQL":
            with self.postgres.database(empty=not ours) as url:
                yield url
        else:
            with folder() as home:
                yield f"sqlite:///{home}/bench.db"

    def server_process(self, kind: str) -> psutil.Process | None:
        """The database's own process; None where the worker does its work."""
        return postgres_process(self.postgres.url) if kind == "PostgreSQL" else None

    def check(self, done: int) -> None:
        """Raises RuntimeError where a candidate was quick because it did not do its work."""
        if done != self.count:
            raise RuntimeError(f"a measure of nothing: {done} purchases recorded of {self.count}")

    def _send(self, peer: str, environ: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.bench.peers.send", peer, str(self.count)]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, check=True)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes at the end: a database of a million rows is no small file."""
    with tempfile.TemporaryDirectory(prefix="dialstock-bench-") as name:
        yield Path(name)
