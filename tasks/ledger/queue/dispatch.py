"""Release of queued purchases to the workers: as many as the provider has room for, fair between orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from schemas.config.policy import Policy
from schemas.money import Money
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import DOUBTFUL, ORDER, PROVIDER, PURCHASE, QUEUED, RUNNING, UNFINISHED
from tasks.ledger.among import among
from tasks.ledger.orders.limits import MAY_BUY_MORE, allowance, lock_limited
from tasks.ledger.queue import standing as standings
from tasks.ledger.queue.daily_limit import DAY, Account, left_today
from tasks.ledger.queue.pool_limits import NO_LIMITS, Limits, PoolLimit, lock_left
from tasks.ledger.queue.pool_money import affordable_ids, purse
from tasks.ledger.queue.standing import Standing
from tasks.ledger.rows import Row, insert_new

MAX_LANES = 50
"""Orders that share one release."""

_AT = PURCHASE.c
# An alias that is another account now leaves the old one's purchases alone.
_OF = and_(_AT.provider == bindparam("of"), _AT.account == bindparam("owner"))


def _due(lane: ColumnElement[bool]) -> Select[Any]:
    """The ids in a lane that are due, the longest due first."""
    return (
        select(_AT.id)
        .where(_OF, QUEUED, lane, _AT.due_at <= bindparam("now"))
        .order_by(_AT.due_at)
        .limit(bindparam("most", type_=Integer))
    )


def _release(lane: ColumnElement[bool]) -> ReturningUpdate[Any]:
    # What another transaction has in its hands is left to the next release. As a common table expression it is asked
    # once: asked again, it would pass over what is updated, and give more than the limit.
    due = _due(lane).with_for_update(skip_locked=True, key_share=True).cte("due")
    return _release_those(_AT.id.in_(select(due.c.id)))


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
_COUNT_RUNNING = (
    select(_AT.provider, _AT.status, func.count())
    .where(among(_AT.provider, "aliases"), RUNNING)
    .group_by(_AT.provider, _AT.status)
)
_RELEASE_IDS = _release_those(among(_AT.id, "ids"))
_DUE_SINGLES = _due(_AT.order_id.is_(None))
_RELEASE_SINGLES = _release(_AT.order_id.is_(None))
_RELEASE_LANE = _release(_AT.order_id == bindparam("lane"))
_RELEASE_DOUBTFUL = _release(and_(_AT.order_id == bindparam("lane"), DOUBTFUL))
_DUE_PRICED = (
    _due(_AT.order_id == bindparam("lane"))
    .add_columns(_AT.monthly_price, _AT.setup_price, _AT.currency)
    .with_for_update(skip_locked=True, key_share=True)
)
# What a daily limit counts already.
_COUNTED = and_(DOUBTFUL, _AT.call_deadline > bindparam("since"))
_RELEASE_COUNTED_SINGLES = _release(and_(_AT.order_id.is_(None), _COUNTED))
_RELEASE_COUNTED = _release(and_(_AT.order_id == bindparam("lane"), _COUNTED))
# Without the provider, which would draw SQLite to the index of all that waits.
_COUNTED_LANES = union(
    *(
        select(_AT.provider, _AT.account, _AT.order_id).where(lane, QUEUED, _COUNTED, _AT.due_at <= bindparam("now"))
        for lane in (among(_AT.order_id, "lanes"), _AT.order_id.is_(None))
    )
)
_DUE_IN_ORDER = exists().where(_OF, QUEUED, _AT.order_id == ORDER.c.id, _AT.due_at <= bindparam("now"))
_DUE_ORDERS = (
    select(ORDER.c.id)
    .where(
        UNFINISHED,
        ORDER.c.status == literal(str(OrderStatus.OPEN)),
        ORDER.c.cancel_requested_at.is_(None),
        _DUE_IN_ORDER,
        or_(MAY_BUY_MORE, _DUE_IN_ORDER.where(DOUBTFUL)),
    )
    # By chance: the oldest may have more due than is released in hours.
    .order_by(func.random())
    .limit(MAX_LANES)
)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a provider has room for now. `free` is how many purchases may be released; `why` if none.

    `again` is how many may all the same that the daily limit counts already: an earlier call may have been charged.
    """

    free: int
    again: int = 0
    why: str | None = None


def due_lanes(conn: Connection, provider: str, account: str, now: datetime) -> list[str | None]:
    """What has something due: open orders by id, `MAX_LANES` of them by chance, and None for the single purchases.

    Asked on a reading connection, before any write lock is taken. Left out are orders that are still loading, and
    those that have come to their limit and have nothing due that is counted already.
    """
    values = {"of": provider, "owner": account, "now": now}
    orders: list[str | None] = list(conn.execute(_DUE_ORDERS, values).scalars())
    single = conn.execute(_DUE_SINGLES, {**values, "most": 1}).first()
    return [None, *orders] if single else orders


def due_singles(conn: Connection, provider: str, account: str, now: datetime, *, but: str) -> bool:
    """Whether a single purchase other than *but* waits for its release."""
    found = conn.execute(_DUE_SINGLES, {"of": provider, "owner": account, "now": now, "most": 2})
    return any(one != but for one in found.scalars())


def counted_lanes(
    conn: Connection, provider: str, account: str, lanes: Sequence[str | None], now: datetime
) -> list[str | None]:
    """Those of *lanes*, and of the single purchases, that have something due that the daily limit counts already."""
    orders = [lane for lane in lanes if lane is not None]
    found = conn.execute(_COUNTED_LANES, {"lanes": orders, "now": now, "since": now - DAY})
    return [order_id for *of, order_id in found if of == [provider, account]]


def lock_provider(conn: Connection, provider: str, account: Account, now: datetime) -> Standing | None:
    """How the provider stands, its row locked with those of its account's other names, the file's and former ones.

    None while another worker holds one, and where *account* is not the provider's any more, by who started later.
    """
    found = standings.lock(conn, account)
    if found is not None and not set(account.aliases) <= {row["provider"] for row in found}:
        ensure_providers(conn, account.aliases, now)
        found = standings.lock(conn, account)
    if found is None or not set(account.aliases) <= {row["provider"] for row in found}:
        return None
    standing = standings.standing(found, provider, account)
    return standing if standing.state["account"] in (None, account.name) else None


def room(conn: Connection, policy: Policy, standing: Standing, account: Account, *, now: datetime, soon: int) -> Room:
    """How many purchases may be released; *soon* is how many calls the pace allows in the next moments.

    All names of the account count: `lock_provider` keeps the others from a release meanwhile.
    """
    counts = _running(conn, standing.names)
    if standing.paused and not _probe_is_due(standing.state, counts, now):
        return Room(free=0, why="paused")
    running = sum(counts.values())
    released = sum(count for (_, status), count in counts.items() if status == Status.DISPATCHED)
    free = min(policy.in_flight - running, soon - released)
    if free <= 0:
        return Room(free=0, why="in flight")
    if policy.daily_limit:
        # What may be bought while a count is remembered: what was in flight, and what the pace lets through.
        since = policy.in_flight + 2 * soon * policy.max_batch
        left = left_today(conn, account, standing.names, policy.daily_limit, now, far=free + running + since)
        if left <= running:
            return Room(free=0, again=free, why="daily limit")
        free = min(free, left - running)
    return Room(free=1, why="probe") if standing.paused else Room(free=free)


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
) -> list[Row]:
    """Release at most *count* due purchases, shared evenly between *lanes*; what a lane leaves goes to the others.

    Untaken after *take_within* seconds they are due again. *counted* releases only what the daily limit counts already.
    *limits* are the pools'. Returns rows of id, revision, attempts and doubt.
    """
    rows: list[Row] = []
    values = {"of": provider, "owner": account, "now": now, "since": now - DAY}
    values["until"] = now + timedelta(seconds=take_within)
    orders = [lane for lane in lanes if lane is not None]
    limited = lock_limited(conn, orders) if orders and not counted else set()
    for index, lane in enumerate([*lanes, *lanes]):
        if share := -(-(count - len(rows)) // max(1, len(lanes) - index)):
            of_pool, of_order = limits.get(lane), lane in limited
            rows += _release_lane(conn, lane, share, values, counted=counted, of_pool=of_pool, of_order=of_order)
    return rows


def _running(conn: Connection, names: Collection[str]) -> Counter[tuple[str, str]]:
    """How many purchases are dispatched and purchasing, for each alias."""
    found = conn.execute(_COUNT_RUNNING, {"aliases": list(names)})
    return Counter({(provider, status): count for provider, status, count in found})


def _probe_is_due(state: Row, counts: Counter[tuple[str, str]], now: datetime) -> bool:
    own = any(provider == state["provider"] for provider, _ in counts)
    return state["probe_at"] is not None and state["probe_at"] <= now and not own


def _release_lane(
    conn: Connection,
    lane: str | None,
    count: int,
    values: Row,
    *,
    counted: bool,
    of_pool: PoolLimit | None,
    of_order: bool,
) -> list[Row]:
    values = {**values, "lane": lane}
    if counted:
        return _released(conn, _RELEASE_COUNTED_SINGLES if lane is None else _RELEASE_COUNTED, count, values)
    rows: list[Row] = []
    most = allowance(conn, lane) if of_order else None
    if of_pool is not None:
        most = lock_left(conn, of_pool, values["now"])
    bound = None if of_pool is None else of_pool.spend
    if most is not None and (most < count or bound is not None):
        # What may have been bought is counted already: it goes first, and takes nothing from the limit.
        rows = _released(conn, _RELEASE_DOUBTFUL if of_pool is None else _RELEASE_COUNTED, count, values)
        count = min(count - len(rows), most)
    if of_pool is not None and bound is not None:
        return rows + _released_within(conn, of_pool.pool, bound, count, values)
    return rows + _released(conn, _RELEASE_SINGLES if lane is None else _RELEASE_LANE, count, values)


def _released_within(conn: Connection, pool: str, bound: Money, count: int, values: Row) -> list[Row]:
    """Release what fits into the bound of the pool, which is locked where *count* is more than 0."""
    if count <= 0:
        return []
    left = purse(conn, pool, bound, values["now"], waiting=False).left
    due = conn.execute(_DUE_PRICED, {**values, "most": count}).mappings()
    ids = affordable_ids([*map(dict, due)], bound, left)
    return _released(conn, _RELEASE_IDS, len(ids), {**values, "ids": ids}) if ids else []


def _released(conn: Connection, statement: ReturningUpdate[Any], count: int, values: Row) -> list[Row]:
    return [dict(row) for row in conn.execute(statement, {**values, "most": count}).mappings()]


def ensure_providers(conn: Connection, aliases: Sequence[str], now: datetime) -> None:
    """Have a state row for each configured provider."""
    insert_new(conn, PROVIDER, [{"provider": alias, "updated_at": now} for alias in aliases])
