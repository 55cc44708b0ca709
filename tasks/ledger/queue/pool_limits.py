"""A pool's own limit: what it buys in any 24 hours, counted by when its calls were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, TextClause, func, select

from schemas.money import Money
from schemas.status import Status
from schemas.tables.pools import POOL, POOL_RUN
from schemas.tables.purchases import POOLED, PURCHASE
from tasks.ledger.among import any_of

WINDOW = timedelta(hours=24, minutes=5)
"""How long after its deadline a call counts: a day, and as long as it may be executed late (the default's last look is
120 s after it)."""

UNBOUND = 1_000_000_000

_AT = PURCHASE.c
MOVING = any_of(_AT.status, (Status.DISPATCHED, Status.PURCHASING, Status.PROCESSING, Status.UNKNOWN))
# What is held may have been bought.
CHARGED = any_of(_AT.status, (Status.PURCHASED, Status.HELD, Status.RELEASING, Status.RELEASED))
WAITING: tuple[ColumnElement[bool]] = (_AT.status == Status.QUEUED,)
DOUBTFUL_AGAIN: tuple[ColumnElement[bool], ...] = (*WAITING, _AT.doubt)


@dataclass(frozen=True, kw_only=True)
class PoolLimit:
    """A pool, and how many numbers it may buy in any 24 hours, None for any; and for how much, None for any."""

    pool: str
    daily: int | None
    spend: Money | None = None


Limits = Mapping[str | None, PoolLimit]
"""The limits of orders that belong to pools, by order."""

NO_LIMITS: Limits = MappingProxyType({})


def limits_of(conn: Connection, order_ids: Sequence[str | None], limits: Mapping[str, PoolLimit]) -> Limits:
    """The limits of those of the orders, of which one may be None, that belong to a pool of *limits*."""
    known = [order_id for order_id in order_ids if order_id is not None]
    if not limits or not known:
        return NO_LIMITS
    query = select(POOL_RUN.c.order_id, POOL_RUN.c.pool).where(POOL_RUN.c.order_id.in_(known))
    found = conn.execute(query).all()
    return {order_id: limits[pool] for order_id, pool in found if pool in limits}


def left(conn: Connection, limit: PoolLimit, now: datetime) -> int:
    """How many more of the pool's purchases may be released now, whatever they cost; below 0 where more may be bought.

    What waits with a doubt behind it, and was called for within the window, is counted: its next release takes nothing
    from this, and below 0 it has none.
    """
    if limit.daily is None:
        return UNBOUND
    counts = (*_bought(limit.pool, now), _count(limit.pool, *DOUBTFUL_AGAIN, called_within(now)))
    return limit.daily - _sum(conn, counts)


def lock_left(conn: Connection, limit: PoolLimit, now: datetime) -> int:
    """What is `left`, with the pool locked; 0 while another transaction holds it: two of them must not wait."""
    found = select(POOL.c.name).where(POOL.c.name == limit.pool).with_for_update(skip_locked=True)
    return 0 if conn.execute(found).first() is None else left(conn, limit, now)


def spoken_for(conn: Connection, pool: str, now: datetime) -> int:
    """How many numbers the pool has bought in these 24 hours, or is about to buy: all that waits, too."""
    return _sum(conn, (*_bought(pool, now), _count(pool, *WAITING)))


def _bought(pool: str, now: datetime) -> tuple[ColumnElement[int], ...]:
    return _count(pool, MOVING), _count(pool, CHARGED, called_within(now))


def called_within(now: datetime) -> ColumnElement[bool]:
    """Whether a call was made that counts now."""
    recent: ColumnElement[bool] = _AT.call_deadline > now - WINDOW
    return recent


def _count(pool: str, *which: ColumnElement[bool] | TextClause) -> ColumnElement[int]:
    return select(func.count()).select_from(PURCHASE).where(POOLED, _AT.pool == pool, *which).scalar_subquery()


def _sum(conn: Connection, counts: Sequence[ColumnElement[int]]) -> int:
    """In one statement: what moves meanwhile is counted once."""
    return sum(conn.execute(select(*counts)).one())
