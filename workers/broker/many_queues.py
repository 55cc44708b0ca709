"""A worker that listens to a thousand queues pays for them once a second, not with each message.

kombu asks for each queue under each of its four priorities whenever it asks for a message, and puts the list of queues
together anew at each turn of the event loop. All that we send to a provider's queue is of the first priority. So with
many queues the other priorities are asked for once a second: what somebody sent under one of them is not left.
"""

from __future__ import annotations

from time import monotonic

from workers.broker.reconnect import ReconnectingChannel

MANY = 16
"""Queues from which on the other priorities are not asked for with each message."""

ALL_EVERY = 1.0
"""Seconds between two questions for all priorities."""


class ManyQueuesChannel(ReconnectingChannel):
    """kombu's channel, at a cost a message that hardly grows with the queues."""

    _listened: list[str] = []  # noqa: RUF012 - replaced, never changed
    _all_at = 0.0
    _words: _Words | None = None

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
        self._ask_first_priority(timeout)

    def _ask_first_priority(self, timeout: float | None) -> None:
        """What kombu's `_brpop_start` does, of the first priority alone, which has no name beside the queue's."""
        if self._words is None:
            self._words = _Words(self.global_keyprefix)
        queues = self._queue_cycle.consume(len(self._listened))  # type: ignore[attr-defined]
        keys = b"".join(map(self._words.__getitem__, queues))
        command = b"*%d\r\n%b%b%b" % (len(queues) + 2, _BRPOP, keys, _word(str(timeout or self.brpop_timeout or 0)))
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = monotonic()
        connection.send_packed_command([command])


def _word(text: str) -> bytes:
    """A word of a command, as Redis's protocol has it."""
    data = text.encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


class _Words(dict[str, bytes]):
    """Queues as such words, each put together once."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def __missing__(self, queue: str) -> bytes:
        word = self[queue] = _word(f"{self._prefix}{queue}")
        return word


_BRPOP = _word("BRPOP")
