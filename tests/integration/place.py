"""One deployment on this machine: a database, a Redis, a sandbox of all providers, a configuration, and workers."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, Self

from celery import Celery
from pytest_celery import (
    CeleryBrokerCluster,
    CeleryTestSetup,
    CeleryTestWorker,
    CeleryWorkerCluster,
    RedisTestBroker,
)
from sqlalchemy import Table, select

from schemas.tables.purchases import ATTEMPT, PURCHASE, REJECTED
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests.integration.containers import LocalProcess, LocalRedis, LocalWorker
from tests.integration.results import Results
from tests.servers import RedisServer
from workers.database.connections import SqlDatabase

KINDS = tuple(kinds())
TOKEN = "tok-4f1d-SECRET-0b9c"
BIN = Path(sys.executable).parent

# Long enough for a busy machine, short enough to see a whole life in a test.
POLICY: dict[str, Any] = {
    "timeout": 5.0,
    "send_within": 1.0,
    "take_within": 3.0,
    "reconcile_after": [0.3, 0.8, 1.5],
    "poll_every": 0.3,
    "backoff_initial": 0.1,
    "backoff_max": 1.0,
    "pause_cooldown": 1.0,
    "rate_limits": ["50/second"],
    "lookup_rate_limits": ["50/second"],
    "daily_limit": 0,
}
Tables = Mapping[str, Mapping[str, Any]]
"""Tables of the configuration, by name."""

# Filled when a test says so: no beat runs beside the workers that tests share.
POOLS: Tables = {
    name: {
        "providers": ["signalwire"],
        "prefix": prefix,
        "low": 1,
        "target": target,
        "daily_limit": 0,
        "schedule": "1h",
    }
    for name, prefix, target in (("triple", "202", 3), ("single", "212", 1), ("late", "305", 1))
}


@cache
def _client() -> subprocess.Popen[str]:
    """One for all tests of this process: its start takes longer than to send."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("client.py"))]
    # Celery prefers a broker that stands there.
    env = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
    client = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(client.communicate)
    return client


class Setup(CeleryTestSetup):
    """pytest-celery's setup, whose app stays its own affair."""

    @classmethod
    def create_setup_app(cls, celery_setup_config: dict[str, Any], celery_setup_app_name: str) -> Celery:
        app = Celery(celery_setup_app_name, set_as_current=False)
        app.config_from_object(celery_setup_config)
        return app

    def teardown(self) -> None:
        self.app.close()


class Place:
    """A context manager; what it starts ends with it."""

    def __init__(
        self, home: Path, database_url: str, redis: RedisServer, *, pools: Tables | None = None, **policy: Any
    ) -> None:
        self.home = home
        self.database_url = database_url
        self.redis = redis
        self.sandbox = SandboxServer(seed=7, token=TOKEN)
        self.control = self.sandbox.control
        self.policy = {**POLICY, **policy}
        self.database = SqlDatabase(database_url)
        self.pools = pools or {}
        self.workers: list[CeleryTestWorker] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.sandbox)
        self._stack.callback(self.database.close)
        self.configure(self.pools)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environ(self) -> dict[str, str]:
        """What a process of this deployment finds in its environment; nothing of ours from outside."""
        ours = ("DIALSTOCK_", "DATABASE_", "REDIS_", "CELERY_", "FLOWER_", "COVERAGE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {
            **kept,
            "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis.url,
            "DIALSTOCK_HOME": str(self.home / "home"),
            "DIALSTOCK_CONFIG": str(self.home / "providers.toml"),
            "PROVIDERS_TOKEN": TOKEN,
        }

    def configure(self, pools: Tables, names: Sequence[str] = KINDS) -> None:
        """Write the configuration that processes started from now on find."""
        config = configuration(self.sandbox.url, self.policy, names, pools)
        (self.home / "providers.toml").write_text(config, encoding="utf-8")

    def start_beat(self, name: str) -> LocalProcess:
        """A beat process, as `dialstock beat` is one."""
        process = LocalProcess(name, ["dialstock", "beat"], self.environ, self.home / f"{name}.log")
        self._stack.callback(process.stop)
        return process

    def start_worker(self, name: str, program: Path | None = None) -> CeleryTestWorker:
        """A worker process, not ready yet; *program* is the folder of another release's packages."""
        command = LocalWorker.command("-n", f"{name}@%h")
        environ = {**self.environ, "PYTHONPATH": str(program)} if program else self.environ
        process = LocalProcess(name, command, environ, self.home / f"{name}.log")
        worker = CeleryTestWorker(LocalWorker(process), app=None)
        self._stack.callback(worker.teardown)
        self.workers.append(worker)
        return worker

    def setup(self, *names: str) -> CeleryTestSetup:
        """Workers of these names that are ready, with this place's Redis, as pytest-celery hands them to a test."""
        workers = CeleryWorkerCluster(*[self.start_worker(name) for name in names])
        brokers = CeleryBrokerCluster(RedisTestBroker(LocalRedis(self.redis)))
        config = Setup.config({"celery_broker_cluster_config": brokers.config()})
        setup = Setup(workers, brokers, None, Setup.create_setup_app(config, "caller"))
        self._stack.callback(setup.teardown)
        assert setup.ready()
        return setup

    def results(self) -> Results:
        """A reader of the results channel, from now on; close it."""
        return Results(self.redis.url)

    def send(self, *messages: Mapping[str, Any]) -> list[str]:
        """Send messages from a process that knows only Celery; returns their ids."""
        client = _client()
        assert client.stdin is not None
        assert client.stdout is not None
        print(json.dumps([self.redis.url, messages]), file=client.stdin, flush=True)
        sent: list[str] = json.loads(client.stdout.readline())
        return sent

    def purchase(self, number: str) -> dict[str, Any]:
        """The newest purchase of a number."""
        return self.rows(PURCHASE, number=number)[-1]

    def attempts(self, purchase_id: str) -> list[dict[str, Any]]:
        return self.rows(ATTEMPT, purchase_id=purchase_id)

    def rejected(self, message_id: str) -> list[dict[str, Any]]:
        return self.rows(REJECTED, message_id=message_id)

    def rows(self, table: Table, **wanted: Any) -> list[dict[str, Any]]:
        """The rows with these values, in the order of their key."""
        query = select(table).where(*(table.c[name] == value for name, value in wanted.items()))
        with self.database.read() as conn:
            return [dict(row) for row in conn.execute(query.order_by(*table.primary_key)).mappings()]

    def charged(self, numbers: Iterable[str]) -> Counter[str]:
        """How often the sandbox's own ledger says that each of the numbers was charged."""
        wanted = set(numbers)
        return Counter(charge["number"] for charge in self.control.charges() if charge["number"] in wanted)


def configuration(
    base_url: str, policy: Mapping[str, Any], names: Sequence[str] = KINDS, pools: Tables | None = None
) -> str:
    """A providers.toml for the sandbox at *base_url*; aliases are the kinds."""
    providers = [
        f'[providers.{kind}]\nkind = "{kind}"\nbase_url = "{base_url}/{kind}"\ntoken_env = "PROVIDERS_TOKEN"\n'
        f"{_lines(kinds()[kind].sandbox.fields)}\n[providers.{kind}.policy]\n{_lines(policy)}\n"
        for kind in names
    ]
    return "\n".join([*providers, *(f"[pools.{name}]\n{_lines(table)}\n" for name, table in (pools or {}).items())])


def _lines(table: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in table.items())
