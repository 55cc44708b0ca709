"""The stage: real servers, a database, the sandboxes, the fleet, and what the suite knows of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from redis import Redis

from schemas.events import STREAM
from tasks.policies.pace import Pace
from tasks.providers.configured import load_config, sandbox_config
from tasks.providers.registry import kinds
from tasks.runtime import Runtime
from tasks.sandbox import SandboxControl
from tasks.watermark import Watermark
from tests import forked
from tests.chaos.faults.clock import SetClock
from tests.chaos.faults.command import Commands
from tests.chaos.faults.traps import Traps
from tests.chaos.fleet import ROOT, Fleet
from tests.chaos.history import keep_history
from tests.quick_policy import QUICK
from tests.servers import PostgresServer, RedisServer
from tests.waiting import lateness
from workers.database.connections import SqlDatabase
from workers.wiring import bind_providers

KINDS = tuple(kinds())

POLICY: dict[str, Any] = {
    **QUICK,
    "rate_limits": ["50/second"],
    "rate_guard": 0.2,
    "lookup_rate_limits": ["50/second"],
    "audit_every": 10.0,
    "settle_after": 10.0,
}
"""The defaults' minutes as seconds. A sandbox shows a purchase 2 s late at most, before the last look. The guard is
wide: on a busy machine a call's way to the provider takes long now and then."""

RATES = {
    "error_before": 0.02,
    "error_after": 0.02,
    "cut_before": 0.02,
    "cut_after": 0.02,
    "silence_before": 0.01,
    "silence_after": 0.01,
    "drip": 0.01,
    "html": 0.01,
    "missing_item": 0.01,
    "wrong_number": 0.01,
    "late_show": 0.02,
    "throttle": 0.02,
    "refuse": 0.02,
    "slow": 0.02,
    "account": 0.002,
}
BEAT_NUMBER = "+14159999999"


@dataclass
class World:
    """Everything of one run.

    `seen` are the events that stood in the stream, before it was wiped out or at the end; `resumed` tells for each
    time that Redis was away for how long, and after how long the first purchase call was made, in seconds;
    `missed` are the points at which a blow met nobody. `desk` is held by who works with the database in this process.
    `late` tells by how many seconds this machine woke a thread late at worst.
    `undone` are the events that a restored database has lost, and `ordered` the numbers of orders whose commands are
    killed.
    """

    folder: Path
    redis: RedisServer
    postgres: PostgresServer | None
    runtime: Runtime
    database: SqlDatabase
    broker: Celery
    shop: SandboxControl
    fleet: Fleet
    traps: Traps
    clock: SetClock
    command: Commands
    late: Callable[[], float]
    seen: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    undone: set[str] = field(default_factory=set)
    ordered: set[str] = field(default_factory=set)
    desk: threading.Lock = field(default_factory=threading.Lock)
    resumed: list[tuple[float, float]] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    batch: int = 1

    @property
    def database_name(self) -> str:
        return self.database.engine.dialect.name

    def client(self) -> Redis:
        return Redis.from_url(self.redis.url)

    def save_stream(self) -> None:
        """Remember what stands in the stream."""
        with self.client() as client:
            self._remember(client.xrange(STREAM))

    def flush(self) -> None:
        """FLUSHALL, with what the stream held in the same instant."""
        with self.client() as client:
            pipeline = client.pipeline(transaction=True)
            pipeline.xrange(STREAM)
            pipeline.flushall()
            entries, _ = pipeline.execute()
            self._remember(entries)

    def lose_redis(self, back_to: Path | None = None) -> None:
        """SIGKILL, and start again without any data, or with an older copy of it.

        Writes stand still meanwhile, so that the stream is known.
        """
        with self.client() as client:
            client.execute_command("CLIENT", "PAUSE", 10_000, "WRITE")
            self._remember(client.xrange(STREAM))
        self.redis.kill()
        self.redis.lose_data()
        if back_to is not None:
            self.redis.put_back(back_to)
        self.redis.restart()

    def _remember(self, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        # A stream that went back in time shows entries again.
        self.seen |= {key: json.loads(fields[b"event"]) for key, fields in entries}


@contextmanager
def stage(
    folder: Path,
    url: str,
    redis: RedisServer,
    postgres: PostgresServer | None,
    *,
    seed: int,
    rates: Mapping[str, float] | None = None,
    policy: Mapping[str, Any] | None = None,
    batch: int = 1,
    beats: int = 0,
) -> Iterator[World]:
    """Set everything up, and take it down again. *batch* numbers go in a call where a provider takes so many."""
    with open_shop(folder, seed, RATES if rates is None else rates) as shop_url, SandboxControl(shop_url) as shop:
        config = folder / "providers.toml"
        config.write_text(_toml(shop_url, {**POLICY, **(policy or {})}, batch))
        environ = {
            "DATABASE_URL": url,
            "REDIS_URL": redis.url,
            "CELERY_BROKER_URL": redis.url,
            "DIALSTOCK_CONFIG": str(config),
            "DIALSTOCK_HOME": str(folder),
            "CHAOS_BEAT_NUMBER": BEAT_NUMBER,
        }
        database = SqlDatabase(url)
        keep_history(database.engine)
        traps, clock = Traps(folder), SetClock(folder)
        broker = Celery(broker=redis.url, set_as_current=False)
        try:
            with (
                Commands(folder, environ) as command,
                Fleet(folder, environ, beats=beats) as fleet,
                lateness() as late,
            ):
                runtime = _runtime(config, database, redis.url, clock)
                servers = (redis, postgres, runtime, database, broker)
                yield World(folder, *servers, shop, fleet, traps, clock, command, late, batch=batch)
        finally:
            broker.close()
            database.close()


@contextmanager
def open_shop(folder: Path, seed: int, rates: Mapping[str, float]) -> Iterator[str]:
    """The sandboxes' address."""
    command = [sys.executable, "-m", "tests.chaos.shop", str(seed), json.dumps(dict(rates)), str(folder)]
    with forked.start(command, env=os.environ, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def _runtime(config_path: Path, database: SqlDatabase, redis_url: str, clock: SetClock) -> Runtime:
    """What loads orders in this process: as the command line has it, it accepts and leaves the rest to workers."""
    config = load_config(config_path)
    providers = bind_providers(config, {})
    client = Redis.from_url(redis_url)
    return Runtime(
        config=config,
        providers=providers,
        kinds={alias: binding.kind for alias, binding in providers.items()},
        database=database,
        redis=client,
        pace=Pace(client),
        watermark=Watermark(client),
        send=lambda _messages: None,
        now=clock,
    )


def _toml(url: str, policy: Mapping[str, Any], batch: int) -> str:
    """A providers.toml of the sandboxes; plain values look the same in TOML as in JSON."""
    lines = []
    for alias, provider in sandbox_config(url).providers.items():
        fields = provider.model_dump(exclude={"policy"}, exclude_defaults=True, mode="json")
        rules = {**policy, "max_batch": min(batch, kinds()[provider.kind].max_batch)}
        lines += [f"[providers.{alias}]", *(f"{name} = {json.dumps(value)}" for name, value in fields.items())]
        lines += [f"[providers.{alias}.policy]", *(f"{name} = {json.dumps(value)}" for name, value in rules.items())]
    return "\n".join(lines)
