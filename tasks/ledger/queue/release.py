"""Release of what is due, from lanes that there is room for: an order's by its own limits, a pool's by the pool's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, Select, and_, bindparam, literal, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from schemas.money import Money, price_of
from schemas.status import Status
from schemas.tables.purchases import DOUBTFUL, PURCHASE, QUEUED
from tasks.ledger.among import among
from tasks.ledger.orders.limits import NONE_LIMITED, Limited, left
from tasks.ledger.orders.money import left_for_calls
from tasks.ledger.queue.daily_limit import DAY
from tasks.ledger.queue.pool_limits import NO_LIMITS, Limits, PoolLimit, lock_left
from tasks.ledger.queue.pool_money import purse
from tasks.ledger.queue.purses import Bound, fitting_ids
from tasks.ledger.rows import Row
from tasks.policies.full_orders import FullOrders

DEAR_AGAIN = timedelta(minutes=1)
"""Until what costs more than is left of a day is looked at again."""

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


@dataclass(frozen=True)
class _Lane:
    """What is released of a lane: all that is due, or what a limit of a day counts already. `priced` is what is due."""

    every: ReturningUpdate[Any]
    counted: ReturningUpdate[Any]
    priced: Select[Any]


def _lane(which: ColumnElement[bool]) -> _Lane:
    priced = due(which).add_columns(_AT.monthly_price, _AT.setup_price, _AT.currency)
    return _Lane(
        every=_release(which),
        counted=_release(and_(which, COUNTED)),
        priced=priced.with_for_update(skip_locked=True, key_share=True),
    )


# What a limit of a day counts already.
COUNTED = and_(DOUBTFUL, _AT.call_deadline > bindparam("since"))
_OF_ORDER: ColumnElement[bool] = _AT.order_id == bindparam("lane")
# Asked ten times a second by every worker, so built once.
_RELEASE_IDS = _release_those(among(_AT.id, "ids"))
_SINGLES = _lane(_AT.order_id.is_(None))
_ORDER = _lane(_OF_ORDER)
_DOUBTFUL = _lane(and_(_OF_ORDER, DOUBTFUL))
_PUT_OFF = update(PURCHASE).where(among(_AT.id, "ids"), QUEUED).values(due_at=bindparam("later"))


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
    day: Bound | None = None,
    full: FullOrders | None = None,
) -> list[Row]:
    """Release at most *count* due purchases, shared evenly between *lanes*; what a lane leaves goes to the others.

    Untaken after *take_within* seconds they are due again. *counted* releases only what a day's limits count already.
    *limits* are the pools', *limited* is what `lock_limited` says, *day* what the account may spend, and *full* are
    orders that were found at their limit. Returns rows of id, number, revision, attempts and doubt.
    """
    rows, empty, purses = list[Row](), set[str | None](), dict[str, Bound]()
    base = {"of": provider, "owner": account, "now": now, "since": now - DAY, "until": now + timedelta(0, take_within)}
    for index, lane in enumerate([*lanes, *lanes]):
        share = -(-(count - len(rows)) // max(1, len(lanes) - index))
        if not share or lane in empty:
            continue
        here, limit = {**base, "lane": lane}, limits.get(lane)
        if counted:
            found = _release_counted(conn, lane, limit, share, here, limited=limited, full=full)
        elif lane in limited:
            found = _release_of_order(conn, lane, limited[lane], share, here, day=day, full=full, purses=purses)
        else:
            found = _release_of_pool(conn, lane, limit, share, here, day=day)
        rows += found
        # Within a limit on spending, more may be found among more.
        if len(found) < share and lane not in limited and lane not in limits and day is None:
            empty.add(lane)
    return rows


def _release_counted(
    conn: Connection,
    lane: str | None,
    limit: PoolLimit | None,
    count: int,
    values: Row,
    *,
    limited: Limited,
    full: FullOrders | None,
) -> list[Row]:
    """Release what a day's limits count already, but where more may have been bought than the lane's own allow."""
    if lane is not None and lane in limited and _order_has_passed(conn, lane, limited[lane], full):
        return []
    if limit is not None and _pool_has_passed(conn, limit, values["now"]):
        return []
    return _released(conn, (_SINGLES if lane is None else _ORDER).counted, count, values)


def _order_has_passed(conn: Connection, order_id: str, spend: Money | None, full: FullOrders | None) -> bool:
    """Whether an order may have bought more than its own limits allow."""
    if (left(conn, order_id, wanted=0, full=full) or 0) < 0:
        return True
    return spend is not None and left_for_calls(conn, order_id, spend) < 0


def _pool_has_passed(conn: Connection, limit: PoolLimit, now: datetime) -> bool:
    """Whether a pool may have bought more than its own limits allow."""
    if lock_left(conn, limit, now) < 0:
        return True
    return limit.spend is not None and purse(conn, limit.pool, limit.spend, now, waiting=False).overdrawn


def _release_of_order(
    conn: Connection,
    lane: str | None,
    spend: Money | None,
    count: int,
    values: Row,
    *,
    day: Bound | None,
    full: FullOrders | None,
    purses: dict[str, Bound],
) -> list[Row]:
    """Release within the order's own limits; the order is locked. *purses* are what orders may spend, once counted."""
    most = left(conn, lane, wanted=count, full=full)
    if lane is None or most is None or (most >= count and spend is None):
        return _release_of_lane(conn, _ORDER, count, values, day=day)
    if spend is not None and lane not in purses:
        # Of a large order this takes longer than all else; what is released meanwhile is taken from it.
        purses[lane] = Bound(spend, left_for_calls(conn, lane, spend))
    if most < 0 or (spend is not None and purses[lane].left < 0):
        return []
    # What may have been bought is counted already: it goes first, and takes nothing from the limit.
    rows = _release_of_lane(conn, _DOUBTFUL, count, values, day=day)
    count = min(count - len(rows), most)
    if spend is None:
        return rows + _release_of_lane(conn, _ORDER, count, values, day=day)
    return rows + _released_within(conn, _ORDER, [purses[lane]], count, values, day=day)


def _release_of_pool(
    conn: Connection, lane: str | None, limit: PoolLimit | None, count: int, values: Row, *, day: Bound | None
) -> list[Row]:
    """Release within the limits of the pool that ordered it, if one did."""
    every = _SINGLES if lane is None else _ORDER
    if limit is None:
        return _release_of_lane(conn, every, count, values, day=day)
    now, rows = values["now"], list[Row]()
    most, spend = lock_left(conn, limit, now), limit.spend
    its = None if spend is None else purse(conn, limit.pool, spend, now, waiting=False)
    if most < 0 or (its is not None and its.overdrawn):
        return []
    if most < count or its is not None:
        rows = _released(conn, every.counted, count, values)
        count = min(count - len(rows), most)
    if spend is None or its is None:
        return rows + _release_of_lane(conn, every, count, values, day=day)
    return rows + _released_within(conn, every, [Bound(spend, its.left)], count, values, day=day)


def _release_of_lane(conn: Connection, lane: _Lane, count: int, values: Row, *, day: Bound | None) -> list[Row]:
    """Release within what the account may spend in a *day*: what that counts already goes first, and takes nothing."""
    if day is None:
        return _released(conn, lane.every, count, values)
    rows = _released(conn, lane.counted, count, values)
    return rows + _released_within(conn, lane, [], count - len(rows), values, day=day)


def _released_within(
    conn: Connection, lane: _Lane, bounds: Sequence[Bound], count: int, values: Row, *, day: Bound | None
) -> list[Row]:
    """Release what fits into what is left of *bounds*, whose pool or order is locked, and of the *day*.

    What does not fit into the day is put off: it would stand before what does.
    """
    if count <= 0:
        return []
    rows = [dict(row) for row in conn.execute(lane.priced, {**values, "most": count}).mappings()]
    ids = fitting_ids(rows, bounds if day is None else [*bounds, day])
    dear = [row["id"] for row in rows if row["id"] not in ids and day is not None and not day.covers(price_of(row))]
    if dear:
        conn.execute(_PUT_OFF, {"ids": dear, "later": values["now"] + DEAR_AGAIN})
    return _released(conn, _RELEASE_IDS, len(ids), {**values, "ids": ids}) if ids else []


def _released(conn: Connection, statement: ReturningUpdate[Any], count: int, values: Row) -> list[Row]:
    return [dict(row) for row in conn.execute(statement, {**values, "most": count}).mappings()]
