"""An order's own limit: at most so many of its numbers are bought; the rest is cancelled."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from schemas.status import OrderStatus, Status
from schemas.tables import ORDER, PURCHASE, QUEUED, UNFINISHED

_AT = PURCHASE.c
# What waits with a doubt behind it, and what is held, may have been bought: both count.
_MOVING = or_(
    _AT.status.in_((Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING, Status.UNKNOWN)),
    and_(QUEUED, _AT.doubt),
)
_COUNTED = or_(_MOVING, _AT.status.in_((Status.PURCHASED, Status.HELD, Status.RELEASED)))

MAY_BUY_MORE: ColumnElement[bool] = or_(
    ORDER.c.max_purchases.is_(None),
    ORDER.c.max_purchases
    > select(func.count())
    .select_from(PURCHASE)
    .where(_AT.order_id == ORDER.c.id, _COUNTED)
    .correlate(ORDER)
    .scalar_subquery(),
)
"""Whether an order has no limit, or has not come to it."""


def allowance(conn: Connection, order_id: str | None) -> int | None:
    """How many more of the order's purchases may be released, with the order locked; None for no limit.

    What waits with a doubt behind it is counted: its next release takes nothing from this.
    """
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


def _count(conn: Connection, order_id: str, which: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(PURCHASE).where(_AT.order_id == order_id, which)
    return int(conn.execute(query).scalar_one())
