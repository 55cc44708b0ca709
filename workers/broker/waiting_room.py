"""Messages that are to be tried again later: meanwhile they hold up nothing else.

A task that slept would keep a thread from other messages, and a message that is not acknowledged keeps its place among
those that a worker takes at once. So the thread goes on, and the worker takes one message more for each that waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

PAUSE = 5.0
"""Seconds before a message goes back to its queue."""

PER_SECOND = 100
"""How many go back in a second at the most: each is looked at again then, perhaps by this very worker."""


class WaitingRoom:
    """That of this process. `consumer` is Celery's, once there is one."""

    def __init__(self) -> None:
        self.consumer: Any = None
        self._lock = threading.Lock()
        self._count = 0

    def wait(self, give_back: Callable[[], None]) -> None:
        """Have *give_back* called after the pause, by the event loop; at once where there is none."""
        consumer = self.consumer
        if consumer is None or consumer.qos is None:
            give_back()
            return
        # A connection that breaks has another account of what may be taken.
        account = consumer.qos
        account.increment_eventually()
        with self._lock:
            self._count += 1
            seconds = max(PAUSE, self._count / PER_SECOND)

        def end() -> None:
            with self._lock:
                self._count -= 1
            account.decrement_eventually()
            give_back()

        consumer.call_soon(consumer.timer.call_after, seconds, end)


room = WaitingRoom()
