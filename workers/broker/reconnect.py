"""What lets a worker outlive a broker that comes and goes."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisAway

from workers.broker.tls_connection import TlsConnection


class ReconnectingConsumer(Consumer):
    """Celery's consumer, which after half a minute without a broker would look for it twice a minute only."""

    def ensure_connected(self, conn: Any) -> Any:
        """Ask for a broker that is away every 2 seconds, however long it is away."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_step=0)
        return super().ensure_connected(conn)


class ReconnectingChannel(Channel):
    """kombu's channel; kombu 5.7 lets an AttributeError end the worker where it outlives its connection.

    A task that ends after the broker has gone acknowledges on the old channel; Celery knows what to do where that is
    an error of the connection.
    """

    connection_class_ssl = TlsConnection

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        if self.connection is None or self.connection.client is None:
            raise RedisAway("the connection of this channel was given up")
        return super()._connparams(*args, **kwargs)  # type: ignore[misc]
