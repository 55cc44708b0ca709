"""What is done once for each new name of something, by whichever thread meets it first."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Once:
    """`last` is the name that it was done for last; none, at first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.last = ""

    def is_done(self, name: str) -> bool:
        """Whether it was done for *name*, and for no other since; what has no name needs nothing."""
        return name in ("", self.last)

    def do(self, name: str, action: Callable[[], object]) -> None:
        """Do it where it was not done for *name*; who comes meanwhile waits for that. Raises what *action* raises."""
        if self.is_done(name):
            return
        with self._lock:
            if not self.is_done(name):
                action()
                self.last = name
