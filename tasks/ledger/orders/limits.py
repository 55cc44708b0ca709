"""An order's own limit: at most so many of its numbers are bought; the rest is cancelled.

What may be spent on them is a further one, of orders by criteria, which have this one too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, case, false, func, literal, null, or_, select

from schemas.money import Money, parse_money
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import DOUBTFUL, ORDER, PURCHASE, QUEUED, UNFINISHED
from tasks.ledger.among import among, any_of
from tasks.policies.order_counts import Counts

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
# What was bought is counted where nothing is under way: of a large order that takes longer than all else in a turn.
_USED_UP = select(ORDER.c.id).where(
    UNFINISHED,
    ORDER.c.status == literal(str(OrderStatus.OPEN)),
    ORDER.c.max_purchases.is_not(None),
    case((_count(ORDER.c.id, _MOVING) > 0, false()), else_=~MAY_BUY_MORE),
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


def allowance(conn: Connection, order_id: str | None, counts: Counts | None = None, *, wanted: int = 0) -> int | None:
    """How many more of the order's purchases may be released, with the order locked; None for no limit.

    What waits with a doubt behind it is counted: its next release takes nothing from this. With *counts*, fewer are
    said than may be, but no fewer than *wanted*, where the order is far from its limit.
    """
    if order_id is None or (found := _limit(conn, order_id)) is None:
        return None
    limit, now = found
    left = None if counts is None else counts.left(order_id, limit, now, wanted)
    if left is not None:
        return left
    used: int = conn.execute(select(_count(order_id, _COUNTED))).scalar_one()
    if counts is not None:
        counts.note(order_id, limit, now, used)
    return max(0, limit - used)


def _limit(conn: Connection, order_id: str) -> tuple[int, datetime] | None:
    """An order's limit, if it has one, and the time in the database, which goes on while this process stands still."""
    # SQLite has this machine's.
    clock = null() if conn.dialect.name == "sqlite" else func.clock_timestamp()
    query = select(ORDER.c.max_purchases, clock).where(ORDER.c.id == order_id, ORDER.c.max_purchases.is_not(None))
    found = conn.execute(query.with_for_update()).first()
    return None if found is None else (found[0], found[1] or datetime.now(UTC))


def used_up(conn: Connection) -> list[str]:
    """Open orders that have bought all they may, with nothing under way: what still waits is to be cancelled."""
    return list(conn.execute(_USED_UP).scalars())
