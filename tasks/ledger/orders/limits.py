"""An order's own limit: at most so many of its numbers are bought; the rest is cancelled.

What may be spent on them is a further one, of orders by criteria, which have this one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import (
    ColumnElement,
    Connection,
    TextClause,
    bindparam,
    case,
    false,
    func,
    literal,
    select,
    true,
    update,
)

from schemas.money import Money, parse_money
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import DOUBTFUL, ORDER, PURCHASE, QUEUED, UNFINISHED
from tasks.ledger.among import among, any_of
from tasks.policies.full_orders import FullOrders

_AT = PURCHASE.c
# What waits with a doubt behind it, and what is held, may have been bought: both count.
_MOVING = (Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING, Status.UNKNOWN)
_COUNTED = (*_MOVING, Status.PURCHASED, Status.HELD, Status.RELEASING, Status.RELEASED)


def _count(order_id: object, *which: ColumnElement[bool] | TextClause) -> ColumnElement[int]:
    count = select(func.count()).select_from(PURCHASE).where(_AT.order_id == order_id, *which)
    return count.correlate(ORDER).scalar_subquery()


def _used(order_id: object) -> ColumnElement[int]:
    """How many of an order's purchases were, or may be, bought; each kind is read from its own index."""
    return _count(order_id, any_of(_AT.status, _COUNTED)) + _count(order_id, QUEUED, DOUBTFUL)


SURELY_MAY = case(
    (ORDER.c.max_purchases.is_(None), true()),
    else_=func.coalesce(ORDER.c.max_purchases > ORDER.c.used_at_most, false()),
)
"""Whether an order has no limit, or is known not to have come to it: what was bought is not counted for that."""

MAY_BUY_MORE: ColumnElement[bool] = case((SURELY_MAY, true()), else_=ORDER.c.max_purchases > _used(ORDER.c.id))
"""Whether an order has no limit, or has not come to it."""


_LOCK_LIMITED = (
    select(ORDER.c.id, ORDER.c.max_spend)
    .where(among(ORDER.c.id, "ids"), ORDER.c.max_purchases.is_not(None))
    .order_by(ORDER.c.id)
    .with_for_update()
)
# What was bought is counted where nothing is under way: of a large order that takes longer than all else in a turn.
_USED_UP = select(ORDER.c.id).where(
    UNFINISHED,
    ORDER.c.status == literal(str(OrderStatus.OPEN)),
    ORDER.c.max_purchases.is_not(None),
    case(
        (SURELY_MAY, false()),
        (_count(ORDER.c.id, any_of(_AT.status, _MOVING)) > 0, false()),
        # What waits with a doubt is called for again, but where others have taken what it was counted for.
        (_count(ORDER.c.id, QUEUED, DOUBTFUL) > 0, _used(ORDER.c.id) > ORDER.c.max_purchases),
        else_=_used(ORDER.c.id) >= ORDER.c.max_purchases,
    ),
)


_LIMIT = (
    select(ORDER.c.max_purchases, ORDER.c.used_at_most)
    .where(ORDER.c.id == bindparam("wanted"), ORDER.c.max_purchases.is_not(None))
    .with_for_update()
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


def allowance(conn: Connection, order_id: str | None, *, wanted: int) -> int | None:
    """How many more of the order's purchases may be released; None for no limit. Locks the order."""
    found = left(conn, order_id, wanted=wanted)
    return None if found is None else max(0, found)


def left(conn: Connection, order_id: str | None, *, wanted: int, full: FullOrders | None = None) -> int | None:
    """The same, and below 0 where more may have been bought: evidence comes whatever is left.

    Where fewer than *wanted* surely may, what was bought is counted: of a large order that takes longer than all else.
    With *full*, what was found full lately is taken for it. What waits with a doubt behind it is counted: its next
    release takes nothing from this, and below 0 it has none.
    """
    limit = None if order_id is None else conn.execute(_LIMIT, {"wanted": order_id}).first()
    if order_id is None or limit is None:
        return None
    most: int = limit.max_purchases
    known: int | None = None if limit.used_at_most is None else most - limit.used_at_most
    if known is not None and (known >= wanted or (full is not None and order_id in full.known())):
        return known
    # The lock keeps out whatever else is to count: its trigger waits for the order, also where it has no count yet.
    used: int = conn.execute(select(_used(order_id))).scalar_one()
    if used != limit.used_at_most:
        conn.execute(update(ORDER).where(ORDER.c.id == order_id).values(used_at_most=used))
    if full is not None and used >= most:
        full.note(order_id)
    return most - used


def used_up(conn: Connection) -> list[str]:
    """Open orders that have bought all they may, with nothing under way: what still waits is to be cancelled."""
    return list(conn.execute(_USED_UP).scalars())
