"""What lets a worker outlive a broker that comes and goes."""

from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as RedisAway

from tasks.server_errors import is_lost, redis_trouble
from tasks.server_errors.of_redis import NEW_ROLE
from workers.processes.signs import SIGNS
from workers.redis_access.tls_connection import TlsConnection

log = logging.getLogger(__name__)

ASK_EVERY = 2.0
"""Seconds between two attempts on a broker that is away, or that answers with errors."""

SIGN_EVERY = 1.0
"""Seconds between two signs that the event loop goes on."""

_LOOP = "event loop"

WELL_AFTER = 2.0 * ASK_EVERY
"""Seconds without an error after which a broker is well again."""

_celery = logging.getLogger("celery.worker.consumer.consumer")


class ReconnectingConsumer(Consumer):
    """Celery's consumer, which after half a minute without a broker would look for it twice a minute only.

    One that answers with errors (a replica since a failover, one whose memory or disk is full, rights that were taken
    away, a password that it asks for) is no reason to end either (`broker_channel_error_retry`): its connection is
    closed, and it is asked again. The log has each trouble once, with its mend, and its end.
    """

    _lost_at = -math.inf
    _recovery: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._told: set[str] = set()

    def ensure_connected(self, conn: Any) -> Any:
        """Ask for a broker that is away every 2 seconds, however long it is away."""
        ensure, private = conn.ensure_connection, conn._ensure_connection

        def tell(exc: Exception, _interval: float) -> None:
            if _in_the_loop():
                self._tell(exc)

        def ensure_connection(_errback: object, *args: Any, **kwargs: Any) -> Any:
            return ensure(tell, *args, interval_start=ASK_EVERY, interval_step=0, **kwargs)

        def ensured(errback: Any = None, *args: Any, **kwargs: Any) -> Any:
            found = _give_signs(private, errback or tell, *args, **kwargs)
            if _in_the_loop():
                self._soon_well()
            return found

        conn.ensure_connection = ensure_connection
        # Celery's heartbeat uses this one, in the event loop, where it asks for Redis until that is back.
        conn._ensure_connection = ensured
        return super().ensure_connected(conn)

    def register_with_event_loop(self, hub: Any) -> None:
        """Have the loop give signs of life, from this connection to the next."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(SIGN_EVERY, SIGNS.give, _LOOP)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Tell of an answer that is an error, and wait, which Celery does not."""
        self._tell(exc)
        self._wait(ASK_EVERY)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Close the connection, as Celery does; wait, but where a connection was lost that held for a while."""
        with _silent(_celery) if self._told else nullcontext(), warnings.catch_warnings():
            # With each connection that is lost, of a setting that is set here.
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
        before, self._lost_at = self._lost_at, time.monotonic()
        if not is_lost(exc) or self._lost_at - before < WELL_AFTER:
            self.on_connection_error_before_connected(exc)

    def on_ready(self) -> None:
        """The event loop begins."""
        super().on_ready()
        self._soon_well()

    def _tell(self, exc: Exception) -> None:
        self._not_yet_well()
        trouble = redis_trouble(exc)
        if trouble.what == NEW_ROLE:
            return  # what it can do in that, its next answer tells
        if trouble.what not in self._told:
            log.error("the broker cannot be used: it %s; it is asked every %g s", trouble, ASK_EVERY)
        self._told.add(trouble.what)

    def _soon_well(self) -> None:
        self._not_yet_well()
        if self._told:
            self._recovery = self.timer.call_after(WELL_AFTER, self._well)

    def _not_yet_well(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()

    def _well(self) -> None:
        self._told.clear()
        log.warning("the broker can be used again")

    @staticmethod
    def _wait(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            maybe_shutdown()
            SIGNS.give(_LOOP)
            time.sleep(0.1)


def _in_the_loop() -> bool:
    """Whether this thread is the event loop's: those of tasks send events, too."""
    return threading.current_thread() is threading.main_thread()


def _give_signs(ensure: Callable[..., Any], *args: Any, callback: Callable[[], None] | None = None, **kw: Any) -> Any:
    """kombu's, which calls *callback* before each attempt and every second between two."""

    def alive() -> None:
        if _in_the_loop():
            maybe_shutdown()
            SIGNS.give(_LOOP)
        if callback is not None:
            callback()

    return ensure(*args, callback=alive, **kw)


@contextmanager
def _silent(logger: logging.Logger) -> Iterator[None]:
    def drop(_record: logging.LogRecord) -> bool:
        return False

    logger.addFilter(drop)
    try:
        yield
    finally:
        logger.removeFilter(drop)


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
