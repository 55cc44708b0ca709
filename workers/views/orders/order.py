"""An order's row and counts, and its cancelling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from schemas.status import OrderStatus
from schemas.tables.wishes import WishState
from tasks import orders
from tasks.ledger.orders.cancel import STOPPABLE, left_to_others
from tasks.ledger.orders.wishes import wishes_of
from tasks.operator.retry_order import RETRIED, would_retry
from tasks.reports.queries import order_counts
from tasks.runtime import Runtime
from workers.views.orders.progress import Progress, by_count

_NOT_WHOLE = (OrderStatus.LOADING, OrderStatus.ABANDONED)


def totals(conn: Connection, order_id: str) -> dict[str, int]:
    """How many lines are in each of COUNTS."""
    counts: Counter[str] = Counter()
    for row in order_counts(conn, order_id):
        counts[row["status"]] += row["count"]
    return by_count(counts)


def as_shown(order: Mapping[str, Any], counts: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The order's row. One that was opened again is not completed: the table keeps when it was the last time.

    With *counts*, its `totals`, one that never was whole has as many lines as came in.
    """
    shown = {**order, "completed_at": None} if order["status"] == OrderStatus.OPEN else dict(order)
    return {**shown, "lines": sum(counts.values())} if counts and order["status"] in _NOT_WHOLE else shown


def order_actions(conn: Connection, now: Progress) -> list[str]:
    """What would change an order as it is: cancel, retry."""
    order = now.order
    stops = any(now.statuses.get(status) for status in STOPPABLE) or any(
        wish["state"] == WishState.OPEN for wish in now.wishes
    )
    open_yet = order["status"] == OrderStatus.LOADING or (order["status"] == OrderStatus.OPEN and stops)
    cancels = open_yet and order["cancel_requested_at"] is None
    dead = any(now.statuses.get(status) for status in RETRIED)
    return [*(["cancel"] if cancels else []), *(["retry"] if would_retry(conn, dict(order), dead=dead) else [])]


def cancel_order(runtime: Runtime, order_id: str) -> dict[str, int]:
    """Cancel what is not bought yet, and complete the order if that is all.

    Returns how many lines were asked to stop, how many are left to others that want the same numbers, and how many
    wishes look for no more.
    """
    with runtime.database.read() as conn:
        ended = sum(wish["state"] == WishState.OPEN for wish in wishes_of(conn, order_id))
    cancelled = orders.cancel(runtime, order_id)
    orders.complete_finished(runtime)
    with runtime.database.read() as conn:
        return {"cancelled": cancelled, "left": left_to_others(conn, order_id), "ended": ended}
