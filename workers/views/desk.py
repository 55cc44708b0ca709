"""What a command and a page work on: settings, configuration and database, without secrets or a Celery app."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, cast

import redis
from redis.exceptions import RedisError

from schemas.config.accounts_file import alias_hint
from schemas.config.file import Config
from schemas.config.provider import ProviderConfig
from tasks.lifecycle.outbox_relay import LEASE_KEY
from tasks.policies.pace import Pace
from tasks.providers.adapter import Adapter
from tasks.providers.registry import kinds_of
from tasks.redis_keys import named
from tasks.runtime import Binding, Message, Runtime
from tasks.server_errors import redis_trouble
from tasks.watermark import Mark, Watermark
from tasks.watermark.store import KEPT
from workers.database.clock import DatabaseClock
from workers.database.connections import SqlDatabase
from workers.processes.redis_supervisor import Files
from workers.redaction import cleaning, redacted
from workers.redis_access.client import connect_redis
from workers.settings import Settings
from workers.views import redis_server
from workers.views.errors import NotThere

_REDIS_PATIENCE = 1.0


@dataclass(frozen=True)
class Desk:
    """Where a command or a page works. The runtime buys nothing itself: workers find what is due in the table."""

    settings: Settings
    runtime: Runtime


def known_provider(config: Config, alias: str) -> ProviderConfig:
    """The provider that *alias* names. Raises Failure."""
    if alias not in config.providers:
        raise NotThere(f"provider {alias!r} is not configured: {alias_hint(alias, config.providers)}")
    return config.providers[alias]


def worker_hint(settings: Settings) -> str | None:
    """What to do where no worker seems to run; None where one does. Workers' relay keeps a key fresh in Redis."""
    up = "dialstock --sandbox up" if settings.sandbox_url else "dialstock up"
    start = f"no worker seems to be running: start them with `{up}`"
    try:
        with open_redis(settings) as client:
            return None if client.exists(named(client, LEASE_KEY)) else start
    except RedisError as exc:
        if settings.embedded_redis:
            return start
        why = redis_trouble(exc).without(cleaning(settings.redis_url))
        return f"Redis at {redacted(settings.redis_url)} {why}; nothing is bought without it"


def open_redis(settings: Settings) -> redis.Redis:
    """A client that gives up quickly, to be closed. Raises RedisError where there was no embedded server yet."""
    url = settings.redis_url or Files(settings.home).read_url()
    if not url:
        raise redis.ConnectionError("the embedded server never ran")
    return connect_redis(url, settings.key_prefix, timeout=_REDIS_PATIENCE, tries=1)


def reading_runtime(settings: Settings, config: Config, database: SqlDatabase) -> Runtime:
    """A runtime that works on the tables alone: it calls no provider, reserves no pace, and sends nothing."""
    bindings = {
        alias: Binding(
            alias=alias,
            kind=provider.kind,
            account=provider.account,
            policy=provider.policy,
            adapter=cast(Adapter, _NOT_HERE),
        )
        for alias, provider in config.providers.items()
    }
    return Runtime(
        config=config,
        providers=bindings,
        kinds=kinds_of(config),
        database=database,
        redis=_NOT_HERE,
        pace=cast(Pace, _NOT_HERE),
        watermark=_Marks(settings),
        send=_send_nothing,
        now=DatabaseClock(database),
    )


class _Marks(Watermark):
    """The watermark, for whom an account is written anew, or left: Redis is reached where that is so, and not before.

    Raises Away or EmbeddedError.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def link(self, former: str, account: str, *, same: bool) -> None:
        with self._reached() as marks:
            marks.link(former, account, same=same)

    def newest(self, account: str, count: int = KEPT, others: Iterable[str] = ()) -> list[Mark]:
        with self._reached() as marks:
            return marks.newest(account, count, others)

    def pools(self, account: str, others: Iterable[str] = ()) -> dict[str, str]:
        with self._reached() as marks:
            return marks.pools(account, others)

    def references(self, account: str, others: Iterable[str] = ()) -> dict[tuple[str, int], list[str]]:
        with self._reached() as marks:
            return marks.references(account, others)

    @contextmanager
    def _reached(self) -> Iterator[Watermark]:
        with redis_server.open_redis(self._settings) as client:
            yield Watermark(client)


class _NotHere:
    """Stands for what only workers have."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{name}: commands and pages call no provider and reserves no pace")


_NOT_HERE = _NotHere()


def _send_nothing(_messages: Iterable[Message]) -> None:
    raise AssertionError("commands and pages send no messages: workers find what is due in the table")
