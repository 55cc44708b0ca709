"""An account's own limit: what may have been charged in any 24 hours, whichever alias it was bought under."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, func, or_, select

from schemas.status import Status
from schemas.tables.purchases import PURCHASE

DAY = timedelta(hours=24)

RECOUNT = timedelta(seconds=1)
"""For how long a count for a daily limit is remembered while the limit is far away, or used up."""


@dataclass
class Account:
    """The aliases of the file that share one account's limits; when, and at what, its last day was counted last."""

    name: str
    aliases: tuple[str, ...]
    counted: tuple[datetime, int] | None = None


def accounts_of(aliases: Iterable[tuple[str, str]]) -> dict[str, Account]:
    """The accounts by name, from aliases and the account of each."""
    found: dict[str, list[str]] = {}
    for alias, account in aliases:
        found.setdefault(account, []).append(alias)
    return {account: Account(account, tuple(shared)) for account, shared in found.items()}


def left_today(
    conn: Connection, account: Account, names: Collection[str], limit: int, now: datetime, *, far: int
) -> int:
    """What is left of the daily *limit*: as it was counted last where that is at least *far*, or nothing.

    *names* are all of the account's, also those that the file has no more: renamed, it is the same account.
    """
    if account.counted is not None and timedelta(0) <= now - account.counted[0] < RECOUNT:
        left = limit - account.counted[1]
        if left >= far or left <= 0:
            return left
    used = _bought_today(conn, names, limit, now)
    account.counted = now, used
    return limit - used


def _bought_today(conn: Connection, names: Collection[str], limit: int, now: datetime) -> int:
    """Purchases of the last 24 hours that were or may have been charged, counted up to *limit*."""
    at = PURCHASE.c
    charged = (Status.PURCHASED, Status.PROCESSING, Status.UNKNOWN, Status.HELD, Status.RELEASING, Status.RELEASED)
    inner = (
        select(at.id)
        .where(
            at.provider.in_(names),
            at.call_deadline > now - DAY,
            or_(at.status.in_(charged), and_(at.status == Status.QUEUED, at.doubt)),
        )
        .limit(limit)
        .subquery()
    )
    return int(conn.execute(select(func.count()).select_from(inner)).scalar_one())
