"""The life of a purchase: its statuses, and the moves between them that exist."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The statuses of a purchase, as the table shows them."""

    QUEUED = "queued"
    DISPATCHED = "dispatched"
    PURCHASING = "purchasing"
    PROCESSING = "processing"
    UNKNOWN = "unknown"
    HELD = "held"
    PURCHASED = "purchased"
    RELEASING = "releasing"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RELEASED = "released"


class OrderStatus(StrEnum):
    """An order is loading until it is whole, open until every line is settled, then completed.

    An order whose loading stopped half way is abandoned: nothing of it was bought.
    """

    LOADING = "loading"
    OPEN = "open"
    COMPLETED = "completed"
    ABANDONED = "abandoned"


S = Status

DEAD = frozenset({S.FAILED, S.CANCELLED, S.RELEASED})
"""Statuses that let the same number be bought again."""

SETTLED = frozenset({S.PURCHASED, S.RELEASING, S.HELD}) | DEAD
"""Statuses that complete an order's line: terminal, bought and on its way back, or waiting for a person."""

UNSETTLED = frozenset(S) - SETTLED
"""Statuses in which the machine still has work to do."""

MOVES: dict[Status, frozenset[Status]] = {
    S.QUEUED: frozenset({S.DISPATCHED, S.FAILED, S.CANCELLED, S.PURCHASED, S.PROCESSING, S.HELD}),
    S.DISPATCHED: frozenset({S.QUEUED, S.PURCHASING, S.CANCELLED, S.PURCHASED, S.PROCESSING, S.HELD}),
    S.PURCHASING: frozenset({S.PURCHASED, S.PROCESSING, S.FAILED, S.QUEUED, S.UNKNOWN, S.HELD, S.CANCELLED}),
    S.PROCESSING: frozenset({S.PURCHASED, S.FAILED, S.HELD}),
    S.UNKNOWN: frozenset({S.PURCHASED, S.PROCESSING, S.QUEUED, S.HELD, S.FAILED}),
    S.HELD: frozenset({S.PURCHASED, S.PROCESSING, S.QUEUED, S.FAILED, S.CANCELLED}),
    S.PURCHASED: frozenset({S.RELEASING, S.RELEASED}),
    S.RELEASING: frozenset({S.PURCHASED, S.RELEASED}),
    S.FAILED: frozenset({S.PURCHASED, S.PROCESSING}),
    S.CANCELLED: frozenset({S.PURCHASED, S.PROCESSING}),
    S.RELEASED: frozenset(),
}
"""From each status, the statuses that may follow. From *queued* and *dispatched*, *held* is the end of a cancel that
meets a doubt: the machine never cancels what may have been bought; *purchased* and *processing* are late evidence, and
so they are from *failed* and *cancelled*: the number is ours and paid for, whatever a person said of it. From *held* to
*failed* goes what a person, or an audit much later, found not to be ours, and to *cancelled* what such an audit found
where a cancel was asked for. From *releasing* back to *purchased* goes what the provider keeps."""

SUCCESS: dict[Status, bool] = {
    S.PURCHASED: True,
    S.RELEASING: True,
    S.FAILED: False,
    S.CANCELLED: False,
    S.RELEASED: False,
}
"""What the column `success` says; null for every other status. What is given back is ours until it is gone."""


def success_of(status: Status) -> bool | None:
    """True, False, or None while the purchase is open or held."""
    return SUCCESS.get(status)
