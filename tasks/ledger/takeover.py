"""Purchases that somebody else wants meanwhile change hands: of an order that is still loading, or of a cancel.

The former would wait for the load to end, and be cancelled with it where the loader died; the latter would be cancelled
as soon as their call and its doubt are settled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from schemas.status import UNSETTLED, OrderStatus, Status
from schemas.tables import LINE, ORDER, PURCHASE
from tasks.ledger.limits import allowance
from tasks.ledger.rows import Row


def take_over(conn: Connection, rows: Sequence[Row], order_id: str | None) -> set[str]:
    """Make those of *rows* that wait in another's loading order belong to *order_id* (None: to no order).

    Returns the ids of the purchases that changed hands; their old order's lines point to them as shared.
    """
    loading = _loading(conn, {row["order_id"] for row in rows if _waits(row)} - {None, order_id})
    wanted = [row["id"] for row in rows if row["order_id"] in loading]
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


def go_on(conn: Connection, rows: Sequence[Row], order_id: str | None) -> set[str]:
    """Take the cancel back of those of *rows* that wait for the end of their call, and make them belong to *order_id*.

    Only as many as the order may buy: each may be bought by now. No revision: the call keeps its claim. Returns the ids
    of the purchases that changed hands, as `take_over` does.
    """
    wanted = dict.fromkeys(row["id"] for row in rows if _stops(row, order_id))
    if not wanted:
        return set()
    at = PURCHASE.c
    may = list(wanted)[: allowance(conn, order_id)]
    kept = conn.execute(
        update(PURCHASE)
        .where(at.id.in_(may), at.status.in_(UNSETTLED), at.cancel_requested_at.is_not(None))
        .values(order_id=order_id, cancel_requested_at=None)
        .returning(at.id)
    )
    return _share(conn, kept.scalars())


def _share(conn: Connection, purchase_ids: Iterable[str]) -> set[str]:
    """Have the lines that stand already wait for purchases that are another's now. Returns the purchases' ids."""
    ids = set(purchase_ids)
    conn.execute(update(LINE).where(LINE.c.purchase_id.in_(ids)).values(shared=True))
    return ids


def _stops(row: Row, order_id: str | None) -> bool:
    stops = row["status"] in UNSETTLED and row["cancel_requested_at"] is not None
    return stops and (order_id is None or row["order_id"] != order_id)


def _waits(row: Row) -> bool:
    return bool(row["status"] == Status.QUEUED and row["attempts"] == 0)


def _loading(conn: Connection, order_ids: set[Any]) -> set[str]:
    if not order_ids:
        return set()
    query = select(ORDER.c.id).where(ORDER.c.id.in_(order_ids), ORDER.c.status == OrderStatus.LOADING)
    return set(conn.execute(query).scalars())
