"""How many numbers a pool had available, hour by hour: from what it has now, back over what came and went."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from schemas.status import Status
from schemas.tables.pools import GONE, POOL_NUMBER, POOL_REQUEST
from schemas.tables.purchases import POOLED, PURCHASE
from tasks.ledger.among import any_of
from tasks.ledger.by_time import step_of
from tasks.pools.counting import NO_LIMIT, supply

HOUR = 3600

_LATE = timedelta(days=7)
"""So long after its call a purchase may be settled by a person, and still be found."""

_ASKED, _BOUGHT, _PLACE = POOL_REQUEST.c, PURCHASE.c, POOL_NUMBER.c


def available_by_hour(conn: Connection, pool: str, now: datetime, hours: int) -> list[tuple[datetime, int]]:
    """What was available at the beginning of each of the last *hours*, and now; the oldest first.

    It is computed from the takes, returns and purchases of this pool that are kept: what it had by another name, or
    what retention took away, is not in it.
    """
    came = _changes(conn, pool, now - timedelta(hours=hours))
    level, this = supply(conn, pool, NO_LIMIT).available, int(now.timestamp()) // HOUR
    points = [(now, level)]
    for hour in range(this, this - hours, -1):
        level -= came[hour]
        points.append((datetime.fromtimestamp(hour * HOUR, UTC), max(0, level)))
    return points[::-1]


def _changes(conn: Connection, pool: str, since: datetime) -> Counter[int]:
    """By how many numbers what is available grew in each hour, counted since 1970."""
    came = Counter[int]()
    asked = step_of(_ASKED.created_at, HOUR)
    moved = getattr(func, "jsonb_array_length" if conn.dialect.name == "postgresql" else "json_array_length")
    requests = select(asked, _ASKED.task, func.sum(moved(_ASKED.numbers))).group_by(asked, _ASKED.task)
    for hour, task, count in conn.execute(requests.where(_ASKED.created_at >= since, _ASKED.pool == pool)):
        came[hour] += int(count) if task == "return" else -int(count)
    finished = step_of(_BOUGHT.finished_at, HOUR)
    bought = any_of(_BOUGHT.status, (Status.PURCHASED, Status.RELEASING, Status.RELEASED))
    purchases = select(finished, func.count()).group_by(finished).where(POOLED, _BOUGHT.pool == pool, bought)
    for hour, count in conn.execute(
        purchases.where(_BOUGHT.call_deadline >= since - _LATE, _BOUGHT.finished_at >= since)
    ):
        came[hour] += count
    left = step_of(_PLACE.updated_at, HOUR)
    gone = select(left, func.count()).group_by(left).where(_PLACE.pool == pool, GONE, _PLACE.taken_at.is_(None))
    for hour, count in conn.execute(gone.where(_PLACE.updated_at >= since)):
        came[hour] -= count
    return came
