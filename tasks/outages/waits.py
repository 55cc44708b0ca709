"""What waits for the database or Redis is told of in a line when that begins, and in one when it is over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import RedisError

from tasks.server_errors import trouble_of

log = logging.getLogger(__name__)

QUIET = 5.0
"""Seconds without a refusal after which another's success says that it is over: where one table refuses, what needs
only others goes well in between."""

TOLD_AGAIN = 300.0
"""Seconds after which what still waits is told of again."""


def _seconds() -> float:
    """Asked anew at each call, so that a clock put in its place is used."""
    return time.monotonic()


@dataclass
class _Wait:
    what: str
    told: float
    refused: float


class Waits:
    """What this process waits for, by the name of what waits."""

    def __init__(self, clock: Callable[[], float] = _seconds) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}

    def refused(self, name: str, exc: Exception, who: Callable[[], str] | None = None) -> None:
        """A server refused *name* with *exc*; *who* tells what waits, where the name does not."""
        trouble = trouble_of(exc)
        server = "Redis" if isinstance(exc, RedisError) else "the database"
        if self._is_new(name, f"{server} {trouble.what}"):
            log.warning("%s waits: %s %s", who() if who else name, server, trouble)

    def done(self, name: str, *, waited: bool = False) -> None:
        """*name* went well; *waited* says that this is what was refused before."""
        with self._lock:
            wait = self._waits.get(name)
            if wait is None or not (waited or self._clock() - wait.refused >= QUIET):
                return
            del self._waits[name]
        log.info("%s works again", name)

    def forget(self) -> None:
        """Wait for nothing any more, as at the start."""
        self._waits.clear()

    def _is_new(self, name: str, what: str) -> bool:
        now = self._clock()
        with self._lock:
            wait = self._waits.get(name)
            new = wait is None or wait.what != what or now - wait.told >= TOLD_AGAIN
            told = now if wait is None or new else wait.told
            self._waits[name] = _Wait(what=what, told=told, refused=now)
        return new


WAITS = Waits()
"""Those of this process."""
