"""Which workers answer, and what they listen to: asked over Celery's remote control."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery.app.control import Control
from kombu import Producer
from kombu.exceptions import KombuError
from kombu.pidbox import Mailbox
from redis.exceptions import RedisError

from tasks.server_errors import explained
from workers.broker.app import broker_app


class FleetError(RuntimeError):
    """The workers could not be asked: the broker is away, or broke the connection off."""


class _OneTry(Producer):
    """A broker that goes away while it is asked is no reason to wait for it: kombu's mailbox would do so for ever."""

    def publish(self, *args: Any, **kwargs: Any) -> Any:
        return super().publish(*args, **{**kwargs, "retry": False})


class _Mailbox(Mailbox):
    @contextmanager
    def producer_or_acquire(self, producer: Producer | None = None, channel: Any = None) -> Iterator[Producer]:
        yield producer or _OneTry(channel, auto_declare=False)


class _Control(Control):
    Mailbox = _Mailbox


def listening(
    broker_url: str, *, timeout: float, names: Sequence[str] | None = None, key_prefix: str = ""
) -> dict[str, set[str]]:
    """The queues of each worker that answers within *timeout* seconds, by its node name; of *names* only, if given.

    Waits the whole time unless all of *names* answer. Raises FleetError.
    """
    app = broker_app("dialstock-asking", broker_url, key_prefix, set_as_current=False, control=_Control)
    app.conf.broker_transport_options |= {
        "socket_timeout": timeout + 2,
        "socket_connect_timeout": 2,
        "max_retries": 1,
        "interval_start": 0,
    }
    try:
        # The app's pool is the process's, by address: a connection from it may be one to a server that is gone.
        with app.connection_for_write() as connection:
            limit = len(names) if names else None
            inspect = app.control.inspect(destination=names, timeout=timeout, limit=limit, connection=connection)
            replies = inspect.active_queues() or {}
    except (KombuError, RedisError, OSError) as exc:
        raise FleetError(f"the broker {explained(exc)}") from exc
    finally:
        app.close()
    return {name: {queue["name"] for queue in queues} for name, queues in replies.items()}


def wait_for(broker_url: str, names: Sequence[str], seconds: float, *, key_prefix: str = "") -> bool:
    """Whether all of *names* answer within about *seconds*; a broker that is away is asked again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if set(names) <= set(listening(broker_url, timeout=0.5, names=names, key_prefix=key_prefix)):
                return True
        except FleetError:
            time.sleep(0.2)
    return False
