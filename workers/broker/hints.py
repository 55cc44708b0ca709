"""Hints: messages that tell a worker to look at a row of ours are not kept in Redis while it has them.

kombu writes each message that it takes to two keys in Redis and removes it there when it is acknowledged: two round
trips of the worker's event loop, which all of its purchases wait for. A row whose hint is lost with its process is
due again soon, so that the hint need not be.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kombu.transport import virtual
from kombu.transport.redis import QoS
from redis.exceptions import ResponseError

PREFIX = "dialstock.internal."
"""What the names of the tasks begin with whose messages are hints."""


class HintQoS(QoS):
    """kombu's account of the messages under way; of hints it is in this process alone."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Count a message that was taken."""
        if _is_hint(message):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Count it no longer."""
        if self._hint(delivery_tag) is None:
            super().ack(delivery_tag)
        else:
            virtual.QoS.ack(self, delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: FBT001, FBT002
        """Give a message back to its queue: its worker stops, or rejects it."""
        hint = self._hint(tag)
        if hint is None:
            super().restore_by_tag(tag, client, leftmost)
            return
        info = hint.delivery_info
        channel: Any = self.channel
        with channel.conn_or_acquire(client) as connected, connected.pipeline(transaction=False) as pipe:
            channel._do_restore_message(hint._raw, info["exchange"], info["routing_key"], pipe, leftmost)
            # What the broker refuses is told once, and not with each hint: a row without one is due again.
            with suppress(ResponseError):
                pipe.execute()

    def _hint(self, delivery_tag: str) -> Any:
        delivered: Any = self._delivered
        message = delivered.get(delivery_tag)
        return message if message is not None and _is_hint(message) else None


def _is_hint(message: Any) -> bool:
    # A foreign message may have anything for headers.
    headers = message.headers
    task = headers.get("task") if isinstance(headers, dict) else None
    return isinstance(task, str) and task.startswith(PREFIX)
