"""Slots that a process has taken for calls that are not ready yet: the next goes to the call that is ready first.

A claim takes longer now and then than those that it was begun by. If each call had a slot of its own from the start, it
would miss that, while others, claimed already, wait for theirs. So a slot is a call's own only once that is ready.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import defaultdict
from operator import attrgetter

from tasks.policies.pace import Lane, Slot


class HeldSlots:
    """One process's, by lane, from any thread. Each is had by one call at the most, at its own time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: defaultdict[Lane, list[Slot]] = defaultdict(list)

    def hold(self, lane: Lane, slot: Slot) -> None:
        """Keep *slot* for a call of *lane* that is about to be claimed."""
        with self._lock:
            insort(self._held[lane], slot, key=attrgetter("at"))

    def first(self, lane: Lane, guard: float) -> Slot | None:
        """Take the nearest that is not missed under a rate guard of *guard* seconds. None where none is left."""
        with self._lock:
            held = self._held[lane]
            while held:
                slot = held.pop(0)
                if not slot.missed(guard):
                    return slot
        return None

    def last(self, lane: Lane) -> Slot | None:
        """Take the farthest: there is one call less, and it alone may be given back. None where none is left."""
        with self._lock:
            held = self._held[lane]
            return held.pop() if held else None
