"""Purchases that somebody else wants meanwhile change hands: of an order that is still loading, or of a cancel.

The former would wait for the load to end, and be cancelled with it where the loader died; the latter would be cancelled
as soon as their call and its doubt are settled, or as soon as their order's cancel comes to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select, update

from schemas.status import UNSETTLED, OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks.ledger.locking import reserve
from tasks.ledger.orders.cancelled import STOPPABLE
from tasks.ledger.orders.limits import allowance
from tasks.ledger.queue.requeue import take_back_some
from tasks.ledger.rows import Row


def change_hands(
    conn: Connection, rows: Sequence[Row], stopping: Sequence[Row], order_id: str | None, now: datetime
) -> set[str]:
    """Make those of *rows* that wait in another's loading order belong to *order_id* (None: to no order).

    The same for those of *stopping* that a cancel has not come to yet, and that goes on then: they wait for the end of
    their call, or stand in an order whose cancel is under way, or was left half way.
    Returns the ids of the purchases that changed hands; their old order's lines point to them as shared.
    """
    others = {row["order_id"] for row in rows if _waits(row)} - {order_id}
    loading = _orders(conn, others, ORDER.c.status == OrderStatus.LOADING)
    waiting = [row["id"] for row in rows if row["order_id"] in loading]
    going = [row for row in stopping if _goes(row, order_id)]
    half = {row["order_id"] for row in going if row["status"] in STOPPABLE}
    cancelled = _orders(conn, half, ORDER.c.cancel_requested_at.is_not(None))
    stopped = [row["id"] for row in going if row["cancel_requested_at"]]
    stopped += [row["id"] for row in going if row["status"] in STOPPABLE and row["order_id"] in cancelled]
    reserve(conn, [*waiting, *stopped])
    taken = _take_over(conn, waiting, loading, order_id)
    going_on = _go_on(conn, [*dict.fromkeys(stopped)], cancelled, order_id)
    if going_on and _orders(conn, {order_id}, ORDER.c.status == OrderStatus.LOADING):
        # Nothing is called for before its order is whole: it may be given up.
        take_back_some(conn, going_on, now)
    return taken | going_on


def _take_over(conn: Connection, wanted: Sequence[str], loading: set[str], order_id: str | None) -> set[str]:
    if not wanted:
        return set()
    at = PURCHASE.c
    taken = conn.execute(
        update(PURCHASE)
        .where(at.id.in_(wanted), at.status == Status.QUEUED, at.order_id.in_(loading))
        .values(order_id=order_id)
        .returning(at.id)
    )
    return _share(conn, taken.scalars())


def _go_on(conn: Connection, wanted: Sequence[str], cancelled: set[str], order_id: str | None) -> set[str]:
    """Only as many as the order may buy: each may be bought by now. No revision: the call keeps its claim."""
    if not wanted:
        return set()
    at = PURCHASE.c
    may = wanted[: allowance(conn, order_id, wanted=len(wanted))]
    kept = conn.execute(
        update(PURCHASE)
        .where(at.id.in_(may), at.status.in_(UNSETTLED))
        .where(or_(at.cancel_requested_at.is_not(None), at.order_id.in_(cancelled)))
        .values(order_id=order_id, cancel_requested_at=None)
        .returning(at.id)
    )
    return _share(conn, kept.scalars())


def _share(conn: Connection, purchase_ids: Iterable[str]) -> set[str]:
    """Have the lines that stand already wait for purchases that are another's now. Returns the purchases' ids."""
    ids = set(purchase_ids)
    conn.execute(update(LINE).where(LINE.c.purchase_id.in_(ids)).values(shared=True))
    return ids


def _goes(row: Row, order_id: str | None) -> bool:
    return row["status"] in UNSETTLED and (order_id is None or row["order_id"] != order_id)


def _waits(row: Row) -> bool:
    return bool(row["status"] == Status.QUEUED and row["attempts"] == 0)


def _orders(conn: Connection, order_ids: set[Any], which: ColumnElement[bool]) -> set[str]:
    """Those of the orders, of which one may be None, that are as *which* says."""
    known = order_ids - {None}
    if not known:
        return set()
    return set(conn.execute(select(ORDER.c.id).where(ORDER.c.id.in_(known), which)).scalars())
