"""Release of what is due, from lanes that there is room for: an order's by its own limits, a pool's by the pool's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, and_, bindparam, literal, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from schemas.money import Money
from schemas.status import Status
from schemas.tables.purchases import DOUBTFUL, PURCHASE, QUEUED
from tasks.ledger.among import among
from tasks.ledger.orders.limits import NONE_LIMITED, Limited, allowance
from tasks.ledger.orders.money import left_for_calls
from tasks.ledger.queue.daily_limit import DAY
from tasks.ledger.queue.pool_limits import NO_LIMITS, Limits, PoolLimit, lock_left
from tasks.ledger.queue.pool_money import purse
from tasks.ledger.queue.purses import affordable_ids
from tasks.ledger.rows import Row

_AT = PURCHASE.c
# An alias that is another account now leaves the old one's purchases alone.
OF = and_(_AT.provider == bindparam("of"), _AT.account == bindparam("owner"))


def due(lane: ColumnElement[bool]) -> Select[Any]:
    """The ids in a lane that are due, the longest due first."""
    return (
        select(_AT.id)
        .where(OF, QUEUED, lane, _AT.due_at <= bindparam("now"))
        .order_by(_AT.due_at)
        .limit(bindparam("most", type_=Integer))
    )


def _release(lane: ColumnElement[bool]) -> ReturningUpdate[Any]:
    # What another transaction has in its hands is left to the next release. As a common table expression it is asked
    # once: asked again, it would pass over what is updated, and give more than the limit.
    found = due(lane).with_for_update(skip_locked=True, key_share=True).cte("due")
    return _release_those(_AT.id.in_(select(found.c.id)))


def _release_those(which: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(PURCHASE)
        .where(which, QUEUED)
        .values(
            status=literal(str(Status.DISPATCHED)),
            revision=_AT.revision + 1,
            due_at=bindparam("until"),
            updated_at=bindparam("now"),
        )
        .returning(_AT.id, _AT.number, _AT.revision, _AT.attempts, _AT.doubt)
    )


# Asked ten times a second by every worker, so built once.
_RELEASE_IDS = _release_those(among(_AT.id, "ids"))
_RELEASE_SINGLES = _release(_AT.order_id.is_(None))
_RELEASE_LANE = _release(_AT.order_id == bindparam("lane"))
_RELEASE_DOUBTFUL = _release(and_(_AT.order_id == bindparam("lane"), DOUBTFUL))
_DUE_PRICED = (
    due(_AT.order_id == bindparam("lane"))
    .add_columns(_AT.monthly_price, _AT.setup_price, _AT.currency)
    .with_for_update(skip_locked=True, key_share=True)
)
# What a daily limit counts already.
COUNTED = and_(DOUBTFUL, _AT.call_deadline > bindparam("since"))
_RELEASE_COUNTED_SINGLES = _release(and_(_AT.order_id.is_(None), COUNTED))
_RELEASE_COUNTED = _release(and_(_AT.order_id == bindparam("lane"), COUNTED))


def release(
    conn: Connection,
    provider: str,
    account: str,
    lanes: Sequence[str | None],
    *,
    count: int,
    now: datetime,
    take_within: float,
    counted: bool = False,
    limits: Limits = NO_LIMITS,
    limited: Limited = NONE_LIMITED,
) -> list[Row]:
    """Release at most *count* due purchases, shared evenly between *lanes*; what a lane leaves goes to the others.

    Untaken after *take_within* seconds they are due again. *counted* releases only what the daily limit counts already.
    *limits* are the pools', *limited* what `lock_limited` says of these orders. Returns rows of id, number, revision,
    attempts and doubt.
    """
    rows: list[Row] = []
    values = {"of": provider, "owner": account, "now": now, "since": now - DAY}
    values["until"] = now + timedelta(seconds=take_within)
    empty: set[str | None] = set()
    for index, lane in enumerate([*lanes, *lanes]):
        share = -(-(count - len(rows)) // max(1, len(lanes) - index))
        if not share or lane in empty:
            continue
        here = {**values, "lane": lane}
        if counted:
            every = _RELEASE_COUNTED_SINGLES if lane is None else _RELEASE_COUNTED
            found = _released(conn, every, share, here)
        elif lane in limited:
            found = _release_of_order(conn, lane, limited[lane], share, here)
        else:
            found = _release_of_pool(conn, lane, limits.get(lane), share, here)
        rows += found
        # Within a limit on spending, more may be found among more.
        if len(found) < share and lane not in limited and lane not in limits:
            empty.add(lane)
    return rows


def _release_of_order(conn: Connection, lane: str | None, spend: Money | None, count: int, values: Row) -> list[Row]:
    """Release within the order's own limits; the order is locked."""
    most = allowance(conn, lane)
    if lane is None or most is None or (most >= count and spend is None):
        return _released(conn, _RELEASE_LANE, count, values)
    # What may have been bought is counted already: it goes first, and takes nothing from the limit.
    rows = _released(conn, _RELEASE_DOUBTFUL, count, values)
    count = min(count - len(rows), most)
    if spend is None:
        return rows + _released(conn, _RELEASE_LANE, count, values)
    return rows + _released_within(conn, spend, left_for_calls(conn, lane, spend), count, values)


def _release_of_pool(conn: Connection, lane: str | None, limit: PoolLimit | None, count: int, values: Row) -> list[Row]:
    """Release within the limits of the pool that ordered it, if one did."""
    every = _RELEASE_SINGLES if lane is None else _RELEASE_LANE
    if limit is None:
        return _released(conn, every, count, values)
    rows: list[Row] = []
    most, spend = lock_left(conn, limit, values["now"]), limit.spend
    if most < count or spend is not None:
        rows = _released(conn, _RELEASE_COUNTED, count, values)
        count = min(count - len(rows), most)
    if spend is None:
        return rows + _released(conn, every, count, values)
    if count <= 0:
        return rows
    left = purse(conn, limit.pool, spend, values["now"], waiting=False).left
    return rows + _released_within(conn, spend, left, count, values)


def _released_within(conn: Connection, bound: Money, left: Decimal, count: int, values: Row) -> list[Row]:
    """Release what fits into what is *left* of a bound, whose pool or order is locked."""
    if count <= 0:
        return []
    rows = conn.execute(_DUE_PRICED, {**values, "most": count}).mappings()
    ids = affordable_ids([*map(dict, rows)], bound, left)
    return _released(conn, _RELEASE_IDS, len(ids), {**values, "ids": ids}) if ids else []


def _released(conn: Connection, statement: ReturningUpdate[Any], count: int, values: Row) -> list[Row]:
    return [dict(row) for row in conn.execute(statement, {**values, "most": count}).mappings()]
