"""Completed orders of which a line is settled anew: they complete again, and `dialstock.order.updated` tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from schemas.status import OrderStatus, Status
from schemas.tables import LINE, ORDER, PURCHASE


def reopen_orders(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> list[str]:
    """Open the completed orders again that have one of the purchases on a line, own or shared. Returns their ids."""
    lines = select(LINE.c.order_id).where(LINE.c.purchase_id.in_(purchase_ids))
    # Open orders are locked too: who completes one at this instant must count this settlement, or come before it.
    query = select(ORDER.c.id, ORDER.c.status).where(ORDER.c.id.in_(lines)).order_by(ORDER.c.id).with_for_update()
    completed = [order.id for order in conn.execute(query) if order.status == OrderStatus.COMPLETED]
    if completed:
        opened = {"status": OrderStatus.OPEN, "cancel_requested_at": None, "updated_at": now}
        conn.execute(update(ORDER).where(ORDER.c.id.in_(completed)).values(**opened))
    _resume(conn, purchase_ids, now)
    return completed


def _resume(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> None:
    """Have open orders buy again that were cancelled, and one of whose purchases was brought back since."""
    at = PURCHASE.c
    back = select(at.order_id).where(at.id.in_(purchase_ids), at.status == Status.QUEUED, at.order_id.is_not(None))
    stopped = (ORDER.c.status == OrderStatus.OPEN, ORDER.c.cancel_requested_at.is_not(None))
    conn.execute(update(ORDER).where(ORDER.c.id.in_(back), *stopped).values(cancel_requested_at=None, updated_at=now))
