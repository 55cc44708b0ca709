"""Purchases of an order that is still loading, wanted by somebody else meanwhile: they change hands.

They would wait for the load to end, and be cancelled with it where the loader died.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from schemas.status import OrderStatus, Status
from schemas.tables import LINE, ORDER, PURCHASE
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
    ids = set(taken.scalars())
    lines = update(LINE).where(LINE.c.order_id.in_(loading), LINE.c.purchase_id.in_(ids))
    conn.execute(lines.values(shared=True))
    return ids


def _waits(row: Row) -> bool:
    return bool(row["status"] == Status.QUEUED and row["attempts"] == 0)


def _loading(conn: Connection, order_ids: set[Any]) -> set[str]:
    if not order_ids:
        return set()
    query = select(ORDER.c.id).where(ORDER.c.id.in_(order_ids), ORDER.c.status == OrderStatus.LOADING)
    return set(conn.execute(query).scalars())
