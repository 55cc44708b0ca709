"""Orders that have come to their limit: a count finds the same until one of their purchases fails, and takes long."""

from __future__ import annotations

import time
from collections.abc import Callable

REMEMBERED = 1.0
"""Seconds for which an order that was counted and may buy no more is not counted again."""


class FullOrders:
    """What this process knows of orders that may buy no more. Whoever is wrong about it buys later, never more."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        # Not a default value: whoever replaces the clock did so after this module was read.
        self._clock = clock or time.monotonic
        self._since: dict[str, float] = {}

    def note(self, order_id: str) -> None:
        """Remember that a count found nothing left."""
        self._since = {one: self._since[one] for one in self.known()} | {order_id: self._clock()}

    def known(self) -> list[str]:
        """The orders that were counted lately and may buy no more."""
        now = self._clock()
        return [order_id for order_id, since in [*self._since.items()] if 0 <= now - since < REMEMBERED]
