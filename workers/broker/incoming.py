"""Messages that Celery itself drops, or would die of: they are kept and answered, and the worker lives on.

Celery drops a body that it cannot decode and a task that it does not know. Headers without an id, or an entry in the
broker's list that is no message at all, raise out of its event loop: that ends the worker, and a message that was not
acknowledged then ends the next one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from time import sleep
from typing import Any

from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport.redis import Transport
from kombu.transport.virtual import Message
from redis.exceptions import RedisError

from schemas.requests import RequestError
from tasks.lifecycle.accept import reject
from tasks.messages.public_names import PUBLIC
from tasks.outages.readiness import READINESS
from tasks.runtime import current
from workers.broker.dropped_messages import NotKept
from workers.broker.hints import HintQoS
from workers.broker.many_queues import ManyQueuesChannel
from workers.broker.message_form import faults_of_entry, faults_of_message
from workers.broker.reconnect import ReconnectingConsumer
from workers.broker.waiting_room import room

log = logging.getLogger(__name__)


PAUSE = 5.0
"""Seconds after which a message that could not be kept goes back to its queue."""


class KeepingConsumer(ReconnectingConsumer):
    """Celery's consumer; it tells nobody of a message that it cannot take, so this one does, before it drops it."""

    def on_ready(self) -> None:
        """The event loop begins."""
        super().on_ready()
        room.consumer = self

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Celery's handler of messages, which a strange one does not end."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Any) -> None:
            try:
                self._handle(handle, message)
            except NotKept as exc:
                log.warning("a message could not be kept (%s), and goes back to its queue in %g s", exc, PAUSE)
                self.timer.call_after(PAUSE, message.requeue)

        return on_message

    def _handle(self, handle: Callable[[Any], None], message: Any) -> None:
        try:
            handle(message)
        except (OSError, RedisError, OperationalError, NotKept):
            raise  # the broker is away, or the database
        except Exception as exc:  # noqa: BLE001 - whatever a message can hold
            self.on_decode_error(message, exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body that cannot be decoded."""
        if keep_invalid(message, exc):
            # Its sender is told what to mend: a stack of ours tells nobody more.
            message.ack()
        else:
            super().on_decode_error(message, exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """A message for a task of ours whose headers or body Celery cannot use."""
        if keep_invalid(message, exc):
            message.ack()
        else:
            super().on_invalid_task(body, message, exc)

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """A message that is no task message."""
        keep_invalid(message)
        super().on_unknown_message(body, message)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """A message for a task that does not exist."""
        headers = _headers(message)
        name = exc.args[0] if exc.args else headers.get("task")
        error = f"unknown task {name!r}: known are {', '.join(PUBLIC)}"
        _keep(getattr(message, "body", b""), name, headers.get("id"), RequestError(error, "unknown_task"))
        super().on_unknown_task(body, message, exc)


class NotAMessage(ValueError):
    """An entry in the broker's list that kombu can make no message of."""

    def __init__(self, entry: Any) -> None:
        told = "; ".join(faults_of_entry(entry)) or "the broker's list holds an entry that is no message"
        super().__init__(told)
        self.entry = entry


class _Message(Message):
    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
            known = self.delivery_info["exchange"], self.delivery_info["routing_key"], self.delivery_tag
        except Exception as exc:
            raise NotAMessage(payload) from exc
        if not all(isinstance(value, str) for value in known):
            raise NotAMessage(payload)


class KeepingChannel(ManyQueuesChannel):
    """kombu's channel; an entry that is no message raises NotAMessage. It asks for none while the database is away."""

    Message = _Message
    QoS = HintQoS
    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: FBT001, FBT002 - as kombu calls it
        """The client of this channel's pool: kombu builds one for each message it takes and each it acknowledges."""
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[misc]
        return self._kept

    def _brpop_start(self, timeout: float | None = None) -> None:
        # An answer that is under way is read all the same: it may hold a message, which goes back to its queue.
        if READINESS.ready:
            super()._brpop_start(timeout)


class KeepingTransport(Transport):
    """kombu's Redis transport; it keeps what it cannot read, and goes on."""

    Channel = KeepingChannel

    def on_readable(self, fileno: int) -> None:  # type: ignore[override]  # as kombu calls it
        """Read what the broker has sent."""
        try:
            super().on_readable(fileno)
        except (ValueError, RecursionError) as exc:
            # ValueError is what JSON and UTF-8 that are none come as, too.
            self._keep_entry(fileno, _entry(exc), exc)

    def _keep_entry(self, fileno: int, entry: Any, exc: Exception) -> None:
        """It is out of the broker's list already, and nowhere else: what cannot be kept goes back there, as the last.

        Nothing else is read meanwhile, so that it does not spin.
        """
        try:
            _keep(entry, *_named(exc), _invalid(exc))
        except NotKept:
            log.exception("an entry of the broker's list could not be kept, and goes back")
            sleep(PAUSE)
            channel = self.cycle._fd_to_chan[fileno][0]  # type: ignore[union-attr]
            with channel.conn_or_acquire() as client:
                client.lpush(min(channel.active_queues), entry)


def use_keeping_transport() -> None:
    """Have redis:// and rediss:// mean the transport that keeps; called before the first connection."""
    # Not by Celery's broker_transport: kombu turns TLS on by the scheme's name.
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:{KeepingTransport.__name__}"


def keep_invalid(message: Any, exc: BaseException | None = None) -> bool:
    """Keep what is no task message, or cannot be decoded; whether its sender is told what to mend. Raises NotKept."""
    headers, faults = _headers(message), faults_of_message(message)
    error = _invalid("; ".join(faults) or exc)
    _keep(getattr(message, "body", b""), headers.get("task"), headers.get("id"), error)
    return bool(faults)


def _headers(message: Any) -> dict[str, Any]:
    headers = getattr(message, "headers", None)
    return headers if isinstance(headers, dict) else {}


def _named(exc: Exception) -> tuple[object, object]:
    """The task and the id that an entry names, where it can be read."""
    entry = exc.entry if isinstance(exc, NotAMessage) else None
    headers = entry.get("headers") if isinstance(entry, dict) else None
    return (headers.get("task"), headers.get("id")) if isinstance(headers, dict) else (None, None)


def _invalid(told: BaseException | str | None) -> RequestError:
    why = f": {told}" if told is not None else ""
    return RequestError(f"not a Celery task message of protocol 2 in JSON{why}", "invalid_message")


def _entry(exc: Exception) -> Any:
    """What was in the list, where the error still has it."""
    if isinstance(exc, NotAMessage):
        return json.dumps(exc.entry, ensure_ascii=False)
    return getattr(exc, "doc", None) or getattr(exc, "object", b"")


def _keep(body: Any, task: object, message_id: object, exc: RequestError) -> None:
    try:
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        reject(current(), task, message_id, text, exc)
    except Exception as failed:
        raise NotKept(type(failed).__name__) from failed
