"""What was released and waits in its queue still: a message that is only late is not sent again.

A queue is taken in order. So while a message is taken late, those that were released with it, or after it, are not
lost: they wait behind it. To send them again would make the queue longer by each of them.
"""

from __future__ import annotations

import threading
from datetime import datetime


class Backlog:
    """Which messages this process took late, of any of its queues, from any thread: it takes of all of them in turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: datetime | None = None

    def took(self, released_at: datetime, taken_at: datetime, take_within: float) -> None:
        """A purchase was taken, which is due again *take_within* seconds after its release: late is after half of it.

        Both times are by the database's clock.
        """
        if (taken_at - released_at).total_seconds() > take_within / 2:
            with self._lock:
                self._since = released_at if self._since is None else min(self._since, released_at)

    def since(self) -> datetime | None:
        """When the first was released of those that were taken late since this was asked last; None without one."""
        with self._lock:
            found, self._since = self._since, None
        return found
