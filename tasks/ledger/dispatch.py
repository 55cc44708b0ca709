"""Release of queued purchases to the workers: as many as the provider has room for, fair between orders."""

from __future__ import annotations

from collections.abc import Sequence
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
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from schemas.policy import Policy
from schemas.status import OrderStatus, Status
from schemas.tables import ORDER, PROVIDER, PURCHASE, QUEUED, RUNNING, UNFINISHED
from tasks.ledger.limits import allowance
from tasks.ledger.rows import Row, insert_new

MAX_LANES = 50
"""Orders that share one release."""

_DAY = timedelta(hours=24)

_AT = PURCHASE.c


def _due(lane: ColumnElement[bool]) -> Select[Any]:
    """The ids in a lane that are due, the longest due first."""
    return (
        select(_AT.id)
        .where(_AT.provider == bindparam("of"), QUEUED, lane, _AT.due_at <= bindparam("now"))
        .order_by(_AT.due_at)
        .limit(bindparam("most", type_=Integer))
    )


def _release(lane: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(PURCHASE)
        .where(_AT.id.in_(_due(lane)), QUEUED)
        .values(
            status=literal(str(Status.DISPATCHED)),
            revision=_AT.revision + 1,
            due_at=bindparam("until"),
            updated_at=bindparam("now"),
        )
        .returning(_AT.id, _AT.revision, _AT.attempts, _AT.doubt)
    )


# Asked ten times a second by every worker, so built once.
_DUE_SINGLES = _due(_AT.order_id.is_(None))
_RELEASE_SINGLES = _release(_AT.order_id.is_(None))
_RELEASE_LANE = _release(_AT.order_id == bindparam("lane"))
_DUE_ORDERS = (
    select(ORDER.c.id)
    .where(
        UNFINISHED,
        ORDER.c.status == literal(str(OrderStatus.OPEN)),
        ORDER.c.cancel_requested_at.is_(None),
        exists().where(
            _AT.provider == bindparam("of"), QUEUED, _AT.order_id == ORDER.c.id, _AT.due_at <= bindparam("now")
        ),
    )
    .order_by(ORDER.c.created_at)
    .limit(MAX_LANES)
)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a provider has room for now. `free` is how many purchases may be released; `why` if none."""

    free: int
    why: str | None = None


def due_lanes(conn: Connection, provider: str, now: datetime) -> list[str | None]:
    """What has something due: open orders by id, oldest first, and None for the single purchases.

    Asked on a reading connection, before any write lock is taken. Orders that are still loading are left out.
    """
    values = {"of": provider, "now": now}
    orders: list[str | None] = list(conn.execute(_DUE_ORDERS, values).scalars())
    single = conn.execute(_DUE_SINGLES, {**values, "most": 1}).first()
    return [None, *orders] if single else orders


def due_singles(conn: Connection, provider: str, now: datetime, *, but: str) -> bool:
    """Whether a single purchase other than *but* waits for its release."""
    found = conn.execute(_DUE_SINGLES, {"of": provider, "now": now, "most": 2})
    return any(one != but for one in found.scalars())


def lock_provider(conn: Connection, provider: str, now: datetime) -> Row | None:
    """The provider's state, locked; None while another worker holds it."""
    query = select(PROVIDER).where(PROVIDER.c.provider == provider).with_for_update(skip_locked=True)
    found = conn.execute(query).mappings().first()
    if found is None:
        insert_new(conn, PROVIDER, [{"provider": provider, "updated_at": now}])
        found = conn.execute(query).mappings().first()
    return None if found is None else dict(found)


def room(conn: Connection, policy: Policy, state: Row, *, now: datetime, soon: int) -> Room:
    """How many purchases may be released; *soon* is how many calls the pace allows in the next moments."""
    provider = state["provider"]
    counts = _running(conn, provider)
    running = sum(counts.values())
    if state["paused_at"] is not None:
        return _probe_room(state, running, now)
    free = min(policy.max_in_flight - running, soon - counts.get(Status.DISPATCHED, 0))
    if free <= 0:
        return Room(free=0, why="in flight")
    if policy.daily_limit:
        free = min(free, policy.daily_limit - _bought_today(conn, provider, policy.daily_limit, now) - running)
        if free <= 0:
            return Room(free=0, why="daily limit")
    return Room(free=free)


def release(
    conn: Connection, provider: str, lanes: Sequence[str | None], *, count: int, now: datetime, take_within: float
) -> list[Row]:
    """Release at most *count* due purchases, shared evenly between *lanes*; what a lane leaves goes to the others.

    Untaken after *take_within* seconds they are due again. Returns rows of id, revision, attempts and doubt.
    """
    rows: list[Row] = []
    values = {"of": provider, "now": now, "until": now + timedelta(seconds=take_within)}
    for index, lane in enumerate(lanes):
        share = -(-(count - len(rows)) // (len(lanes) - index))
        rows += _release_lane(conn, lane, share, values)
    # What a lane left over.
    for lane in lanes:
        if len(rows) < count:
            rows += _release_lane(conn, lane, count - len(rows), values)
    return rows


def _running(conn: Connection, provider: str) -> dict[str, int]:
    at = PURCHASE.c
    query = select(at.status, func.count()).where(at.provider == provider, RUNNING).group_by(at.status)
    return {row[0]: row[1] for row in conn.execute(query)}


def _probe_room(state: Row, running: int, now: datetime) -> Room:
    if state["probe_at"] is not None and state["probe_at"] <= now and running == 0:
        return Room(free=1, why="probe")
    return Room(free=0, why="paused")


def _bought_today(conn: Connection, provider: str, limit: int, now: datetime) -> int:
    """Purchases of the last 24 hours that were or may have been charged, counted up to *limit*."""
    at = PURCHASE.c
    charged = (Status.PURCHASED, Status.PROCESSING, Status.UNKNOWN, Status.HELD, Status.RELEASED)
    inner = (
        select(at.id)
        .where(
            at.provider == provider,
            at.call_deadline > now - _DAY,
            or_(at.status.in_(charged), and_(at.status == Status.QUEUED, at.doubt)),
        )
        .limit(limit)
        .subquery()
    )
    return int(conn.execute(select(func.count()).select_from(inner)).scalar_one())


def _release_lane(conn: Connection, lane: str | None, count: int, values: Row) -> list[Row]:
    most = allowance(conn, lane)
    if most is not None:
        count = min(count, most)
    statement = _RELEASE_SINGLES if lane is None else _RELEASE_LANE
    released = conn.execute(statement, {**values, "lane": lane, "most": count}).mappings()
    return [dict(row) for row in released]


def take_back(conn: Connection, provider: str, now: datetime, *, overdue: bool) -> int:
    """Put dispatched purchases back into the queue: those not taken in time, or all when the provider is paused."""
    at = PURCHASE.c
    late = (at.due_at <= now,) if overdue else ()
    changed = conn.execute(
        update(PURCHASE)
        .where(at.provider == provider, RUNNING, at.status == Status.DISPATCHED, *late)
        .values(status=Status.QUEUED, revision=at.revision + 1, due_at=now, updated_at=now)
    )
    return changed.rowcount


def postpone(conn: Connection, purchase_id: str, revision: int, until: datetime, now: datetime) -> None:
    """Put one dispatched purchase back, due at *until*: its pace has no slot before."""
    at = PURCHASE.c
    conn.execute(
        update(PURCHASE)
        .where(at.id == purchase_id, at.status == Status.DISPATCHED, at.revision == revision)
        .values(status=Status.QUEUED, revision=at.revision + 1, due_at=until, updated_at=now)
    )


def ensure_providers(conn: Connection, aliases: Sequence[str], now: datetime) -> None:
    """Have a state row for each configured provider."""
    insert_new(conn, PROVIDER, [{"provider": alias, "updated_at": now} for alias in aliases])
