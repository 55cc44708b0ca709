"""The one place in which everything is put together."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import redis
from celery import Celery
from sqlalchemy import Connection

from schemas.config.errors import ConfigError
from schemas.config.file import Config
from schemas.config.provider import ProviderConfig, read_token
from tasks.accounts import identity
from tasks.ledger.queue.dispatch import ensure_providers
from tasks.policies.claim_time import ClaimTime
from tasks.policies.pace import Pace
from tasks.pools.stock import ensure_pools
from tasks.providers.adapter import Adapter
from tasks.providers.registry import build, kinds_of
from tasks.providers.token_rotation import rotating
from tasks.providers.transport.http import ssl_context
from tasks.restored_database import detect
from tasks.runtime import Binding, Runtime
from tasks.server_errors import explained
from tasks.watermark import Watermark
from workers.broker.send import Sender
from workers.config_file import read_config
from workers.database.clock import EVERY, DatabaseClock
from workers.database.connect_options import WORKER
from workers.database.connections import SqlDatabase, migrate
from workers.periodic.timers import Timer
from workers.redis_access.client import connect_redis
from workers.settings import Settings
from workers.shared_secrets import shared_secrets

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


def wire(
    settings: Settings, app: Celery, environ: Mapping[str, str] | None = None, config: Config | None = None
) -> Wiring:
    """Build the runtime; *config* where that was read before. The embedded database is brought up to date by itself.

    Raises ConfigError, naming every provider whose secret is missing.
    """
    environ = os.environ if environ is None else environ
    config = config or read_config(settings)
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
        claims=ClaimTime(lambda: now.trip),
    )
    clock = Timer("clock", EVERY, now.ask)
    clock.start()
    return Wiring(runtime=runtime, database=database, clock=clock)


def with_config(runtime: Runtime, config: Config, environ: Mapping[str, str]) -> Runtime:
    """The same with another configuration, made ready as at a start. What did not change keeps its adapter.

    Raises ConfigError where a worker would not start with it: a secret is missing, or an alias is another account and
    would leave purchases behind (AccountChanged).
    """
    try:
        bound = bind_providers(config, environ, runtime)
    except ConfigError as exc:
        hint = "restart for a new variable, or use token_file: the environment of a running process stays as it was"
        raise ConfigError(f"{exc} ({hint})" if "environment variable" in str(exc) else str(exc)) from exc
    found = replace(runtime, config=config, providers=bound, kinds=kinds_of(config))
    prepare_providers(found)
    return found


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
        runtime.pace.all_next_in(lane for one in runtime.providers.values() for lane in (one.buying, one.looking))
    except redis.exceptions.RedisError as exc:
        log.warning("Redis %s", explained(exc))


def _compare_history(runtime: Runtime) -> None:
    try:
        detect.compare(runtime)
    except redis.exceptions.RedisError as exc:
        # Nothing is claimed on a connection that nobody looked at.
        log.warning("the database cannot be compared with what was bought, Redis %s", explained(exc))


def bind_providers(config: Config, environ: Mapping[str, str], present: Runtime | None = None) -> dict[str, Binding]:
    """Adapters with their secrets; those that *present* has for the same table already, with their connections.

    Raises ConfigError with one line for each missing secret, and each that two accounts share.
    """
    bindings: dict[str, Binding] = {}
    problems: list[str] = []
    for alias, provider in config.providers.items():
        if present is not None and present.config.providers.get(alias) == provider:
            bindings[alias] = present.providers[alias]
            continue
        try:
            adapter = _adapter(alias, provider, environ)
        except ConfigError as exc:
            problems.append(f"[providers.{alias}] {exc}")
            continue
        bindings[alias] = Binding(
            alias=alias, kind=provider.kind, account=provider.account, policy=provider.policy, adapter=adapter
        )
    problems += shared_secrets(config, environ)
    if problems:
        raise ConfigError("\n".join(problems))
    return bindings


def _adapter(alias: str, provider: ProviderConfig, environ: Mapping[str, str]) -> Adapter:
    """Raises ConfigError."""
    if provider.token_file is None:
        return build(provider, read_token(provider, environ))
    return rotating(alias, provider.token_file, partial(read_token, provider, environ), partial(build, provider))
