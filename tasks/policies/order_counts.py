"""How much of an order's limit is left, as it was counted last: a count of what a large order bought takes long."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

REMEMBERED = 1.0
"""Seconds for which a count of what an order bought is remembered while it is far from its limit."""

MOST_A_SECOND = 100_000
"""More than any database lets all workers together release of one order, which each locks for it, whatever their limits
are, or an audit settle: so much is taken for bought since it was counted."""

SPARE = 2_000
"""Purchases that are left at the least, where a count is remembered: of fewer each is counted."""


@dataclass
class _Counted:
    at: datetime
    since: float
    used: int


class Counts:
    """What this process counted of orders that are far from their limit.

    With a hundred thousand bought a count takes longer than all else in a release, and there are ten in a second. It is
    forgotten after a second of the database's and of this machine's clock: one may be set, and who stood still does not
    know what others have bought meanwhile.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        # Not a default value: whoever replaces the clock did so after this module was read.
        self._clock = clock or time.monotonic
        self._found: dict[str, _Counted] = {}

    def left(self, order_id: str, limit: int, now: datetime, wanted: int) -> int | None:
        """How many are left of *limit* at the least; None where it is to be counted. *wanted* are taken for bought."""
        found = self._found.get(order_id)
        if found is None or now < found.at:
            return None
        passed = max((now - found.at).total_seconds(), self._clock() - found.since)
        left = limit - found.used - int(passed * MOST_A_SECOND)
        if passed >= REMEMBERED or left < SPARE + wanted:
            return None
        found.used += wanted
        return left

    def note(self, order_id: str, limit: int, now: datetime, used: int) -> None:
        """Remember what was counted with the order locked."""
        since = self._clock()
        self._found = {one: known for one, known in self._found.items() if since - known.since < REMEMBERED}
        if limit - used >= SPARE:
            self._found[order_id] = _Counted(now, since, used)
        else:
            self._found.pop(order_id, None)

    def far(self) -> list[str]:
        """Orders that were far from their limit when they were counted last, lately."""
        since = self._clock() - 2 * REMEMBERED
        return [order_id for order_id, one in [*self._found.items()] if one.since > since]
