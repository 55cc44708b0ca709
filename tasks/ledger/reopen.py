"""Completed orders of which a line is settled anew: they complete again, and `dialstock.order.updated` tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from schemas.status import OrderStatus
from schemas.tables import LINE, ORDER


def reopen_orders(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> list[str]:
    """Open the completed orders again that have one of the purchases on a line, own or shared. Returns their ids."""
    lines = select(LINE.c.order_id).where(LINE.c.purchase_id.in_(purchase_ids))
    # Open orders are locked too: who completes one at this instant must count this settlement, or come before it.
    query = select(ORDER.c.id, ORDER.c.status).where(ORDER.c.id.in_(lines)).order_by(ORDER.c.id).with_for_update()
    completed = [order.id for order in conn.execute(query) if order.status == OrderStatus.COMPLETED]
    if completed:
        opened = {"status": OrderStatus.OPEN, "cancel_requested_at": None, "updated_at": now}
        conn.execute(update(ORDER).where(ORDER.c.id.in_(completed)).values(**opened))
    return completed
