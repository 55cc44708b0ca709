"""An order's own limit: at most so many of its numbers are bought; the rest is cancelled."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from schemas.status import OrderStatus, Status
from schemas.tables import ORDER, PURCHASE, UNFINISHED

_MOVING = (Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING, Status.UNKNOWN)
# What is held may have been bought: it counts.
_COUNTED = (*_MOVING, Status.PURCHASED, Status.HELD, Status.RELEASED)


def allowance(conn: Connection, order_id: str | None) -> int | None:
    """How many more of the order's purchases may be released, with the order locked; None for no limit."""
    if order_id is None:
        return None
    query = select(ORDER.c.max_purchases).where(ORDER.c.id == order_id, ORDER.c.max_purchases.is_not(None))
    limit = conn.execute(query.with_for_update()).scalar()
    return None if limit is None else max(0, limit - _count(conn, order_id, _COUNTED))


def used_up(conn: Connection) -> list[str]:
    """Open orders that have bought all they may, with nothing under way: what still waits is to be cancelled."""
    query = select(ORDER.c.id, ORDER.c.max_purchases).where(
        UNFINISHED, ORDER.c.status == OrderStatus.OPEN, ORDER.c.max_purchases.is_not(None)
    )
    limited = conn.execute(query).all()
    return [
        order_id
        for order_id, limit in limited
        if _count(conn, order_id, _COUNTED) >= limit and not _count(conn, order_id, _MOVING)
    ]


def _count(conn: Connection, order_id: str, statuses: tuple[Status, ...]) -> int:
    at = PURCHASE.c
    query = select(func.count()).select_from(PURCHASE).where(at.order_id == order_id, at.status.in_(statuses))
    return int(conn.execute(query).scalar_one())
