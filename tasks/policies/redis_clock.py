"""How far Redis's clock is ahead of this process's own, by what its answers say."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

PROMPT = 0.005
"""Seconds within which an answer tells Redis's time well enough to begin with."""

TRIES = 10
"""How often Redis is asked for its time before a process's first slot, until an answer is prompt."""

STEP, DRIFT = 0.01, 0.001
"""Seconds, and their share of what passed since the last answer: by more no clock goes ahead that was not set."""


@dataclass(frozen=True)
class Ahead:
    """By how many seconds Redis's clock is ahead of time.monotonic: `least` makes no slot too early.

    An answer that came late, or waited for its thread, must not make the call late: the quickest answers tell best.
    """

    least: float = -math.inf
    most: float = math.inf
    heard: float = -math.inf

    def stepped(self, theirs: float, heard: float) -> bool:
        """Whether Redis's clock was set ahead before it said *theirs*, which was *heard* then."""
        return theirs - heard - self.most > max(STEP, DRIFT * (heard - self.heard))

    def narrowed(self, theirs: float, asked: float, heard: float) -> Ahead:
        """By what Redis said between *asked* and *heard*; where that contradicts what was known, it is believed."""
        low, high = theirs - heard, theirs - asked
        return Ahead(min(max(self.least, low), high), max(min(self.most, high), low), heard)


class RedisClock:
    """A process's knowledge of Redis's clock, from any thread. `steps`: how often that was seen to be set ahead."""

    def __init__(self) -> None:
        self._ahead = Ahead()
        self.steps = 0

    @property
    def known(self) -> bool:
        """Whether an answer has told anything."""
        return self._ahead.heard > -math.inf

    def ask(self, theirs: Callable[[], float]) -> None:
        """Learn it from *theirs*. Else a first reservation whose answer comes late would have its call go late."""
        for _ in range(TRIES):
            asked = time.monotonic()
            told = theirs()
            self.hear(told, asked, heard := time.monotonic())
            if heard - asked <= PROMPT:
                return

    def hear(self, theirs: float, asked: float, heard: float) -> Ahead:
        """Learn from an answer that was given at Redis's time *theirs*, between *asked* and *heard*."""
        before = self._ahead
        if before.stepped(theirs, heard):
            self.steps += 1
            before = Ahead()
        ahead = self._ahead = before.narrowed(theirs, asked, heard)
        return ahead
