"""Commands that talk to a provider themselves, by free calls: the configuration and the secrets, no database.

Their calls take their turns among the workers' look-ups, and places among all calls at once. Where Redis is away nobody
knows of those, and each call waits as long as the look-up limit has two of them apart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress

from redis import Redis
from redis.exceptions import RedisError

from schemas.config.file import Config
from schemas.config.provider import ProviderConfig, read_token
from tasks.policies.concurrency import Concurrency, Places, places_of
from tasks.policies.pace import HORIZON, Lane, Later, Pace, Slot, looking_lane
from tasks.providers.adapter import Adapter, ProviderError
from tasks.providers.registry import build
from tasks.providers.transport.turns import Gate, in_turn
from tasks.reading_turns import wait_for_turn
from workers.config_file import read_config
from workers.settings import load_settings
from workers.views.desk import known_provider, open_redis

PATIENCE = 30.0
"""Seconds that a person waits for a turn."""

POLL = 0.1
"""Seconds until a place is asked for again where all are taken."""


def read_providers() -> Config:
    """The configured providers. Raises SettingsError or ConfigError."""
    return read_config(load_settings())


def adapter_of(config: Config, alias: str, environ: Mapping[str, str] | None = None) -> Adapter:
    """The adapter of one provider; others may lack their secrets. Raises Failure or ConfigError."""
    provider: ProviderConfig = known_provider(config, alias)
    return build(provider, read_token(provider, os.environ if environ is None else environ))


@contextmanager
def asking(config: Config, alias: str, shared: Redis | None = None) -> Iterator[Adapter]:
    """The adapter of one provider, for reading calls of this thread. Raises Failure or ConfigError.

    *shared* is a client for all that are asked at once; without it each turn has a connection of its own.
    """
    adapter = adapter_of(config, alias)
    provider = config.providers[alias]
    lane, pace = looking_lane(provider.account, provider.policy), _PaceOfAPerson(shared)

    def turn(throttled: ProviderError | None) -> Gate:
        if throttled is not None:
            raise throttled
        return wait_for_turn(
            pace,
            lane,
            alias,
            guard=provider.policy.rate_guard,
            sleep=time.sleep,
            places=places_of(provider.account, provider.policy),
            patience=PATIENCE,
        )

    with in_turn(turn):
        yield adapter


@contextmanager
def sharing() -> Iterator[Redis | None]:
    """A client for all that are asked at once: fifty connections at a time take longer than the calls. None without."""
    try:
        client = open_redis(load_settings())
    except RedisError:
        yield None
        return
    with client:
        yield client


def _client(shared: Redis | None) -> AbstractContextManager[Redis]:
    return open_redis(load_settings()) if shared is None else nullcontext(shared)


class _PaceOfAPerson(Pace):
    """The workers' pace; without Redis a lane's own interval before each call."""

    def __init__(self, shared: Redis | None) -> None:
        self._shared = shared
        self.concurrency = _PlacesOfAPerson(shared)

    def reserve(self, lane: Lane, horizon: float = HORIZON, *, notice: float = 0.0) -> Slot | Later:
        try:
            with _client(self._shared) as client:
                return Pace(client).reserve(lane, horizon, notice=notice)
        except RedisError:
            return Slot(lane.interval, 0)

    def refund(self, lane: Lane, slot: Slot) -> bool:
        """Give it back, unless it is none of Redis's."""
        with suppress(RedisError), _client(self._shared) as client:
            return slot.token != 0 and Pace(client).refund(lane, slot)
        return False


class _PlacesOfAPerson(Concurrency):
    """The workers' places; without Redis nobody knows which are taken."""

    def __init__(self, shared: Redis | None) -> None:
        super().__init__(shared)
        self._shared = shared

    def take(self, places: Places, until: float, sleep: Callable[[float], None]) -> Callable[[], None] | None:
        """Ask no more often than a new connection each time allows."""
        return super().take(places, until, lambda nap: sleep(max(nap, POLL)))

    def _run(self, places: Places, place: str, limit: int) -> int:
        try:
            with _client(self._shared) as client:
                return Concurrency(client)._run(places, place, limit)
        except RedisError:
            return 1
