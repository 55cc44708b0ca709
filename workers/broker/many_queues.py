"""A worker that listens to a thousand queues pays for them once a second, not with each message.

kombu asks for each queue under each of its four priorities whenever it asks for a message, and puts the list of queues
together anew at each turn of the event loop. All that we send to a provider's queue is of the first priority. So with
many queues the other priorities are asked for once a second: what somebody sent under one of them is not left.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from workers.broker.reconnect import ReconnectingChannel

MANY = 16
"""Queues from which on the other priorities are not asked for with each message."""

ALL_EVERY = 1.0
"""Seconds between two questions for all priorities."""


class ManyQueuesChannel(ReconnectingChannel):
    """kombu's channel, at a cost a message that hardly grows with the queues."""

    _listened: list[str] = []  # noqa: RUF012 - replaced, never changed
    _all_at = 0.0

    @property
    def active_queues(self) -> list[str]:  # type: ignore[override]  # as kombu reads it
        """The queues that are listened to, as they were at the last change."""
        return self._listened

    def _update_queue_cycle(self) -> None:
        self._listened = [*super().active_queues]
        super()._update_queue_cycle()  # type: ignore[misc]

    def _brpop_start(self, timeout: float | None = None) -> None:
        now = monotonic()
        if len(self._listened) < MANY or now >= self._all_at:
            self._all_at = now + ALL_EVERY
            super()._brpop_start(timeout)  # type: ignore[misc]
            return
        every: Any = self.priority_steps
        self.priority_steps = every[:1]
        try:
            super()._brpop_start(timeout)  # type: ignore[misc]
        finally:
            self.priority_steps = every
