"""The one place in which everything is put together."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import redis
from celery import Celery
from sqlalchemy import Connection

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import ProviderConfig, read_token
from tasks import restored_database
from tasks.accounts import identity
from tasks.ledger.queue.dispatch import ensure_providers
from tasks.policies.pace import Pace
from tasks.pools.stock import ensure_pools
from tasks.providers.adapter import Adapter
from tasks.providers.configured import load_config, sandbox_config
from tasks.providers.registry import build, kinds_of
from tasks.providers.rotating import rotating
from tasks.providers.transport.http import ssl_context
from tasks.runtime import Binding, Runtime
from tasks.server_errors import explained
from tasks.watermark import Watermark
from workers.broker.send import Sender
from workers.database.clock import EVERY, DatabaseClock
from workers.database.connect_options import WORKER
from workers.database.connections import SqlDatabase, migrate
from workers.periodic.timers import Timer
from workers.redis_access.client import connect_redis
from workers.settings import SANDBOX, Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The runtime, and what has to be closed after it."""

    runtime: Runtime
    database: SqlDatabase
    clock: Timer

    def close(self) -> None:
        """Stop asking for the time, and give back connections."""
        self.clock.stop()
        self.database.close()
        self.runtime.redis.close()


def wire(settings: Settings, app: Celery, environ: Mapping[str, str] | None = None) -> Wiring:
    """Build the runtime. The embedded database is brought up to date by itself.

    Raises ConfigError, naming every provider whose secret is missing.
    """
    environ = os.environ if environ is None else environ
    config = read_config(settings)
    providers = bind_providers(config, environ)
    if settings.embedded_database:
        migrate(settings.database_url)
    database = SqlDatabase(settings.database_url, connections=settings.database_connections, program=WORKER)
    client = connect_redis(settings.redis_url, settings.key_prefix)
    now = DatabaseClock(database)
    runtime = Runtime(
        config=config,
        providers=providers,
        kinds=kinds_of(config),
        database=database,
        redis=client,
        pace=Pace(client),
        watermark=Watermark(client),
        send=Sender(app),
        now=now,
        watch=now.watch,
    )
    clock = Timer("clock", EVERY, now.ask)
    clock.start()
    return Wiring(runtime=runtime, database=database, clock=clock)


def prepare_providers(runtime: Runtime) -> None:
    """Have a state row for each provider and pool, so that a release finds one to lock, and what a first call needs.

    Building the SSL context takes longer than a call may be late for its slot. A database that went back in time stops
    buying before anything is released. Raises AccountChanged.
    """
    identity.settle(runtime)
    identity.tell_stranded(runtime)
    ssl_context()
    _prime_pace(runtime)

    def have_rows(conn: Connection) -> None:
        ensure_providers(conn, list(runtime.providers), runtime.now())
        ensure_pools(conn, runtime.config.pools, runtime.now())

    _compare_history(runtime)

    runtime.database.run(have_rows)


def _prime_pace(runtime: Runtime) -> None:
    """Let limiters that Redis does not know begin to fill now, and not at the first purchase."""
    try:
        for binding in runtime.providers.values():
            runtime.pace.next_in(binding.buying)
            runtime.pace.next_in(binding.looking)
    except redis.exceptions.RedisError as exc:
        log.warning("Redis %s", explained(exc))


def _compare_history(runtime: Runtime) -> None:
    try:
        restored_database.compare(runtime)
    except redis.exceptions.RedisError as exc:
        # Nothing is claimed on a connection that nobody looked at.
        log.warning("the database cannot be compared with what was bought, Redis %s", explained(exc))


class NoConfig(ConfigError):
    """There is no configuration file, and nobody chose the sandbox."""


def read_config(settings: Settings) -> Config:
    """The configuration file; the five sandboxes only where they were chosen. Raises ConfigError, NoConfig."""
    if settings.sandbox_url:
        return _sandboxes(settings.sandbox_url)
    # A link to nowhere is a file that cannot be read.
    if not os.path.lexists(settings.config_path):
        raise NoConfig(
            f"there is no {settings.config_path}, so there is nobody to buy from: write it (providers.example.toml "
            "shows how) or name it in DIALSTOCK_CONFIG; to try things out: `dialstock sandbox`, and beside it "
            "`dialstock --sandbox COMMAND`"
        )
    return load_config(settings.config_path)


def read_config_if_any(settings: Settings) -> Config:
    """For what buys nothing: without a file no provider is known. Raises ConfigError."""
    try:
        return read_config(settings)
    except NoConfig:
        return Config(providers={})


def _sandboxes(url: str) -> Config:
    try:
        return sandbox_config(url)
    except ConfigError as exc:
        raise ConfigError(f"{SANDBOX} names {url!r}, where no sandbox can be: {exc}") from exc


def bind_providers(config: Config, environ: Mapping[str, str]) -> dict[str, Binding]:
    """Adapters with their secrets. Raises ConfigError with one line for each missing secret."""
    bindings: dict[str, Binding] = {}
    problems: list[str] = []
    for alias, provider in config.providers.items():
        try:
            adapter = _adapter(alias, provider, environ)
        except ConfigError as exc:
            problems.append(f"[providers.{alias}] {exc}")
            continue
        bindings[alias] = Binding(
            alias=alias, kind=provider.kind, account=provider.account, policy=provider.policy, adapter=adapter
        )
    if problems:
        raise ConfigError("\n".join(problems))
    return bindings


def _adapter(alias: str, provider: ProviderConfig, environ: Mapping[str, str]) -> Adapter:
    """Raises ConfigError."""
    if provider.token_file is None:
        return build(provider, read_token(provider, environ))
    return rotating(alias, provider.token_file, partial(read_token, provider, environ), partial(build, provider))
