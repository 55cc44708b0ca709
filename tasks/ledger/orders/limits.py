"""An order's own limit: at most so many of its numbers are bought; the rest is cancelled.

What may be spent on them is a further one, of orders by criteria, which have this one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, func, literal, or_, select

from schemas.money import Money, parse_money
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import DOUBTFUL, ORDER, PURCHASE, QUEUED, UNFINISHED
from tasks.ledger.among import among, any_of

_AT = PURCHASE.c
# What waits with a doubt behind it, and what is held, may have been bought: both count.
_MOVING = (Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING, Status.UNKNOWN)
_COUNTED = (*_MOVING, Status.PURCHASED, Status.HELD, Status.RELEASING, Status.RELEASED)


def _count(order_id: object, statuses: Sequence[Status]) -> ColumnElement[int]:
    """How many of an order's purchases are in *statuses*, or wait with a doubt; each is read from its own index."""
    count = select(func.count()).select_from(PURCHASE).where(_AT.order_id == order_id)
    either = [count.where(any_of(_AT.status, statuses)), count.where(QUEUED, DOUBTFUL)]
    first, second = (one.correlate(ORDER).scalar_subquery() for one in either)
    return first + second


MAY_BUY_MORE: ColumnElement[bool] = or_(
    ORDER.c.max_purchases.is_(None), ORDER.c.max_purchases > _count(ORDER.c.id, _COUNTED)
)
"""Whether an order has no limit, or has not come to it."""


_LOCK_LIMITED = (
    select(ORDER.c.id, ORDER.c.max_spend)
    .where(among(ORDER.c.id, "ids"), ORDER.c.max_purchases.is_not(None))
    .order_by(ORDER.c.id)
    .with_for_update()
)
_USED_UP = select(ORDER.c.id).where(
    UNFINISHED, ORDER.c.status == literal(str(OrderStatus.OPEN)), ~MAY_BUY_MORE, _count(ORDER.c.id, _MOVING) == 0
)


Limited = Mapping[str | None, Money | None]
"""Orders with a limit, by id, and what each may spend, None for any."""

NONE_LIMITED: Limited = MappingProxyType({})


def lock_limited(conn: Connection, order_ids: Sequence[str]) -> Limited:
    """Those of the orders that have a limit, locked by id, and what each may spend, None for any."""
    if not order_ids:
        return NONE_LIMITED
    found = conn.execute(_LOCK_LIMITED, {"ids": list(order_ids)})
    return {row.id: None if row.max_spend is None else parse_money(row.max_spend) for row in found}


def allowance(conn: Connection, order_id: str | None) -> int | None:
    """How many more of the order's purchases may be released, with the order locked; None for no limit.

    What waits with a doubt behind it is counted: its next release takes nothing from this.
    """
    if order_id is None:
        return None
    query = select(ORDER.c.max_purchases).where(ORDER.c.id == order_id, ORDER.c.max_purchases.is_not(None))
    limit = conn.execute(query.with_for_update()).scalar()
    return None if limit is None else max(0, limit - conn.execute(select(_count(order_id, _COUNTED))).scalar_one())


def used_up(conn: Connection) -> list[str]:
    """Open orders that have bought all they may, with nothing under way: what still waits is to be cancelled."""
    return list(conn.execute(_USED_UP).scalars())
