"""Release of queued purchases to the workers: as many as the provider has room for, fair between orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, exists, func, or_, select, update

from schemas.policy import Policy
from schemas.status import OrderStatus, Status
from schemas.tables import ORDER, PROVIDER, PURCHASE, QUEUED, RUNNING, UNFINISHED
from tasks.ledger.rows import Row, insert_new

MAX_LANES = 50
"""Orders that share one release."""

_DAY = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a provider has room for now. `free` is how many purchases may be released; `why` if none."""

    free: int
    why: str | None = None


def due_lanes(conn: Connection, provider: str, now: datetime) -> list[str | None]:
    """What has something due: open orders by id, oldest first, and None for the single purchases.

    Asked on a reading connection, before any write lock is taken. Orders that are still loading are left out.
    """
    at = PURCHASE.c
    due = exists().where(at.provider == provider, QUEUED, at.order_id == ORDER.c.id, at.due_at <= now)
    orders = select(ORDER.c.id).where(UNFINISHED, ORDER.c.status == OrderStatus.OPEN, due).order_by(ORDER.c.created_at)
    lanes: list[str | None] = list(conn.execute(orders.limit(MAX_LANES)).scalars())
    single = _due(conn, provider, None, now=now, limit=1)
    return [None, *lanes] if single else lanes


def due_singles(conn: Connection, provider: str, now: datetime, *, but: str) -> bool:
    """Whether a single purchase other than *but* waits for its release."""
    return any(one != but for one in _due(conn, provider, None, now=now, limit=2))


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

    Untaken after *take_within* seconds they are due again. Returns rows of id and revision, for one message each.
    """
    ids: list[str] = []
    for index, lane in enumerate(lanes):
        share = -(-(count - len(ids)) // (len(lanes) - index))
        ids += _due(conn, provider, lane, now=now, limit=share)
    if len(ids) < count:
        ids += _leftovers(conn, provider, lanes, now=now, taken=set(ids), count=count - len(ids))
    return _mark(conn, ids, now, take_within)


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
            at.first_attempt_at > now - _DAY,
            or_(at.status.in_(charged), and_(at.status == Status.QUEUED, at.doubt)),
        )
        .limit(limit)
        .subquery()
    )
    return int(conn.execute(select(func.count()).select_from(inner)).scalar_one())


def _due(conn: Connection, provider: str, order_id: str | None, *, now: datetime, limit: int) -> list[str]:
    at = PURCHASE.c
    query = (
        select(at.id)
        .where(at.provider == provider, QUEUED, at.order_id == order_id, at.due_at <= now)
        .order_by(at.due_at)
        .limit(limit)
    )
    return list(conn.execute(query).scalars())


def _leftovers(
    conn: Connection, provider: str, lanes: Sequence[str | None], *, now: datetime, taken: set[str], count: int
) -> list[str]:
    more: list[str] = []
    for lane in lanes:
        if len(more) < count:
            due = _due(conn, provider, lane, now=now, limit=count + len(taken))
            more += [one for one in due if one not in taken][: count - len(more)]
    return more


def _mark(conn: Connection, ids: list[str], now: datetime, take_within: float) -> list[Row]:
    if not ids:
        return []
    at = PURCHASE.c
    values: dict[str, Any] = {
        "status": Status.DISPATCHED,
        "revision": at.revision + 1,
        "due_at": now + timedelta(seconds=take_within),
        "updated_at": now,
    }
    marked = conn.execute(
        update(PURCHASE)
        .where(at.id.in_(ids), at.status == Status.QUEUED)
        .values(**values)
        .returning(at.id, at.revision)
    )
    revisions = {row.id: row.revision for row in marked}
    return [{"id": one, "revision": revisions[one]} for one in ids if one in revisions]


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
