"""The one place that makes clients of Redis, whatever the URL names: a server, one behind TLS, or sentinels."""

from __future__ import annotations

from typing import Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from workers.redis_access import sentinel_url
from workers.redis_access.connections import connection_options
from workers.redis_access.master import OVERLAP
from workers.redis_access.tls_connection import TlsConnection

TIMEOUT = 5.0
MAX_CONNECTIONS = 10_000
"""redis-py's own limit is 100, and each thread of a worker has one."""


class Client(redis.Redis):
    """redis-py's, which knows what all of this installation's names begin with.

    `overlap` is for how many seconds a server that another one took over from may still answer other processes.
    """

    key_prefix = ""
    overlap = 0.0


def connect_redis(url: str, key_prefix: str = "", *, timeout: float = TIMEOUT, tries: int = 2) -> Client:
    """A client that notices a dead server within *timeout* seconds; a connection that breaks is tried *tries* times."""
    options: dict[str, Any] = {
        "max_connections": MAX_CONNECTIONS,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "health_check_interval": 15,
        "retry": Retry(ExponentialBackoff(cap=0.2), tries - 1),
    }
    client = _to_master(url, options) if sentinel_url.is_sentinel(url) else _to_server(url, options)
    client.key_prefix = key_prefix
    return client


def _to_server(url: str, options: dict[str, Any]) -> Client:
    secure = {"connection_class": TlsConnection} if url.startswith("rediss:") else {}
    return cast(Client, Client.from_url(url, **secure, **options))


def _to_master(url: str, options: dict[str, Any]) -> Client:
    pool = redis.ConnectionPool(**connection_options(sentinel_url.parse(url)), **options)
    client = cast(Client, Client.from_pool(pool))
    client.overlap = OVERLAP
    return client
