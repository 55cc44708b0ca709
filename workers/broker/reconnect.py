"""What lets a worker outlive a broker that comes and goes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisAway
from redis.exceptions import ResponseError

from tasks.server_errors import explained
from workers.broker.tls_connection import TlsConnection
from workers.processes.signs import SIGNS

log = logging.getLogger(__name__)

ASK_EVERY = 2.0
"""Seconds between two attempts on a broker that is away, or that answers with errors."""

SIGN_EVERY = 1.0
"""Seconds between two signs that the event loop goes on."""

_LOOP = "event loop"

WELL_AFTER = 2.0 * ASK_EVERY
"""Seconds without an error after which a broker is well again."""


class ReconnectingConsumer(Consumer):
    """Celery's consumer, which after half a minute without a broker would look for it twice a minute only.

    One that answers with errors (a replica since a failover, one whose memory or disk is full, rights that were taken
    away) is no reason to end either (`broker_channel_error_retry`): its connection is closed, and it is asked again.
    """

    _in_trouble = False
    _recovery: Any = None

    def ensure_connected(self, conn: Any) -> Any:
        """Ask for a broker that is away every 2 seconds, however long it is away."""
        conn.ensure_connection = partial(conn.ensure_connection, interval_step=0)
        # Celery's heartbeat uses this one, in the event loop, where it asks for Redis until that is back.
        conn._ensure_connection = partial(_give_signs, conn._ensure_connection)
        return super().ensure_connected(conn)

    def register_with_event_loop(self, hub: Any) -> None:
        """Have the loop give signs of life, from this connection to the next."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(SIGN_EVERY, SIGNS.give, _LOOP)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the connection, as Celery does; tell of an answer that is an error once, and wait."""
        super().on_connection_error_after_connected(exc)
        if self._recovery is not None:
            self._recovery.cancel()
        if isinstance(exc, ResponseError):
            if not self._in_trouble:
                log.error("the broker answers with errors: it %s; it is asked every %g s", explained(exc), ASK_EVERY)
            self._in_trouble = True
            self._wait(ASK_EVERY)

    def on_ready(self) -> None:
        """The event loop begins."""
        super().on_ready()
        if self._in_trouble:
            self._recovery = self.timer.call_after(WELL_AFTER, self._well)

    def _well(self) -> None:
        self._in_trouble = False
        log.warning("the broker answers again")

    @staticmethod
    def _wait(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            maybe_shutdown()
            SIGNS.give(_LOOP)
            time.sleep(0.1)


def _give_signs(ensure: Callable[..., Any], *args: Any, callback: Callable[[], None] | None = None, **kw: Any) -> Any:
    """kombu's, which calls *callback* before each attempt and every second between two."""

    def alive() -> None:
        if threading.current_thread() is threading.main_thread():
            maybe_shutdown()
            SIGNS.give(_LOOP)
        if callback is not None:
            callback()

    return ensure(*args, callback=alive, **kw)


class ReconnectingChannel(Channel):
    """kombu's channel; kombu 5.7 lets an AttributeError end the worker where it outlives its connection.

    A task that ends after the broker has gone acknowledges on the old channel; Celery knows what to do where that is
    an error of the connection.
    """

    connection_class_ssl = TlsConnection

    @property
    def open_client(self) -> Any:
        """kombu's Connection that this is a channel of. Raises redis.ConnectionError once that was given up."""
        if self.connection is None or self.connection.client is None:
            raise RedisAway("the connection of this channel was given up")
        return self.connection.client

    def _connparams(self, *args: Any, **kwargs: Any) -> Any:
        _ = self.open_client
        return super()._connparams(*args, **kwargs)  # type: ignore[misc]
