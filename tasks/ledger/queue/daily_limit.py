"""An account's own limit: what may have been charged in any 24 hours, whichever alias it was bought under."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, or_, select

from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE

DAY = timedelta(hours=24)

RECOUNT = timedelta(seconds=1)
"""For how long a count for a daily limit is remembered while the limit is far away, or used up."""


@dataclass
class Account:
    """The aliases that share one account's limits; when, and at what, its last 24 hours were counted last."""

    name: str
    aliases: tuple[str, ...]
    counted: tuple[datetime, int] | None = None


def left_today(conn: Connection, account: Account, limit: int, now: datetime, *, far: int) -> int:
    """What is left of the daily *limit*: as it was counted last where that is at least *far*, or nothing."""
    if account.counted is not None and timedelta(0) <= now - account.counted[0] < RECOUNT:
        left = limit - account.counted[1]
        if left >= far or left <= 0:
            return left
    used = _bought_today(conn, account, limit, now)
    account.counted = now, used
    return limit - used


def _bought_today(conn: Connection, account: Account, limit: int, now: datetime) -> int:
    """Purchases of the last 24 hours that were or may have been charged, counted up to *limit*.

    Those under an alias that the file has no more count: renamed, it is the same account.
    """
    at, state = PURCHASE.c, PROVIDER.c
    former = conn.execute(select(state.provider).where(state.account == account.name)).scalars()
    charged = (Status.PURCHASED, Status.PROCESSING, Status.UNKNOWN, Status.HELD, Status.RELEASED)
    inner = (
        select(at.id)
        .where(
            at.provider.in_({*account.aliases, *former}),
            at.call_deadline > now - DAY,
            or_(at.status.in_(charged), and_(at.status == Status.QUEUED, at.doubt)),
        )
        .limit(limit)
        .subquery()
    )
    return int(conn.execute(select(func.count()).select_from(inner)).scalar_one())
