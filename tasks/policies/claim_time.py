"""How long before its slot a call is claimed: by what claims take from here, to the database and to Redis.

A claim that is ready too late misses its slot, which costs another, and the limit a call. So who is far from the
servers claims earlier, and pays for the distance with latency.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from schemas.config.policy import Policy

CLAIM_AHEAD = 0.1
"""Seconds before its slot that a call is claimed at the least: a slow commit or handshake does not miss the slot."""

MOST_AHEAD = 1.0
"""Seconds at the most: a call that is claimed is in doubt where its worker dies."""

CONNECT = 0.05
"""Seconds that are left to connect to the provider once the claim is ready."""

FIRST = 40
"""Round trips to the database that the first claims take: each connection is made, and finds out what was bought."""

_GAIN, _DEVIATION_GAIN, _DEVIATIONS = 1 / 8, 1 / 4, 4


class ClaimTime:
    """What this process's claims take, from any thread: a mean and four mean deviations, as TCP waits for answers.

    Before the first it is guessed by *trip*, the seconds of a round trip to the database.
    https://www.rfc-editor.org/rfc/rfc6298#section-2
    """

    def __init__(self, trip: Callable[[], float] = lambda: 0.0) -> None:
        self._trip = trip
        self._lock = threading.Lock()
        self._mean = self._deviation = 0.0
        self._known = False

    def took(self, seconds: float) -> None:
        """A claim was ready after so long. A longer one than could be waited for counts as that."""
        seconds = min(seconds, MOST_AHEAD)
        with self._lock:
            if not self._known:
                self._known, self._mean, self._deviation = True, seconds, seconds / 2
                return
            self._deviation += _DEVIATION_GAIN * (abs(seconds - self._mean) - self._deviation)
            self._mean += _GAIN * (seconds - self._mean)

    @property
    def longest(self) -> float:
        """Seconds that hardly a claim takes longer than."""
        if not self._known:
            return FIRST * self._trip()
        return self._mean + _DEVIATIONS * self._deviation

    def ahead(self, policy: Policy) -> float:
        """Seconds before its slot that a call is to be claimed. Its intent is fresh then for as long again."""
        most = min(MOST_AHEAD, policy.send_within / 2)
        return max(CLAIM_AHEAD, min(most, self.longest + CONNECT))
