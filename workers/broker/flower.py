"""Flower's count of the messages that wait, behind Redis Sentinel: its own asks one sentinel, and no database but 0."""

from __future__ import annotations

from typing import Any

import flower.views
from flower.utils.broker import Broker, RedisBase
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from workers.broker.sentinel import address_of
from workers.redis_access.master import PATIENCE
from workers.redis_access.sentinel_url import is_sentinel


class SentinelQueues(RedisBase):  # type: ignore[misc]
    """What Flower asks for the lengths of queues."""

    def __init__(self, broker_url: str, *args: Any, **kwargs: Any) -> None:
        # Flower reads a host and a port out of it, which a list has not.
        super().__init__("sentinel://", *args, **kwargs)
        address = address_of(broker_url)
        secure: dict[str, Any] = {} if address.tls is None else {"ssl": True, **address.tls}
        patience: dict[str, Any] = {
            "socket_timeout": PATIENCE,
            "socket_connect_timeout": PATIENCE,
            "retry": Retry(NoBackoff(), 0),
        }
        own = {"username": address.sentinel_username, "password": address.sentinel_password}
        sentinel = Sentinel(address.sentinels, sentinel_kwargs={**own, **patience, **secure})  # type: ignore[no-untyped-call]
        servers: dict[str, Any] = {"username": address.username, "password": address.password, "db": address.db}
        self.redis = sentinel.master_for(address.name, **servers, **patience, **secure)


def use_sentinels() -> None:
    """Have Flower know our URLs; called in its process."""
    flower.views.Broker = _broker


def _broker(broker_url: str, *args: Any, **kwargs: Any) -> Any:
    return (SentinelQueues if is_sentinel(broker_url) else Broker)(broker_url, *args, **kwargs)
