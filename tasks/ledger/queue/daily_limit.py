"""An account's own limit: what may have been charged in any 24 hours, whichever alias it was bought under."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from schemas.status import Status
from schemas.tables.accounts import LINK
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.policies.accounts import Account

DAY = timedelta(hours=24)

RECOUNT = timedelta(seconds=1)
"""For how long a count for a daily limit is remembered while the limit is far away, or used up."""

RECOUNT_ELSEWHERE = timedelta(minutes=1)
"""The same of what an account bought under aliases that are another account by now."""


_AT = PURCHASE.c
_SURELY = (Status.PURCHASED, Status.PROCESSING, Status.UNKNOWN, Status.HELD, Status.RELEASING, Status.RELEASED)
CHARGED = or_(_AT.status.in_(_SURELY), and_(_AT.status == Status.QUEUED, _AT.doubt))
"""Whether a purchase was, or may have been, charged by a call that is over."""


def left_today(
    conn: Connection, account: Account, names: Collection[str], limit: int, now: datetime, *, far: int
) -> int:
    """What is left of the daily *limit*, below 0 where more may have been charged: evidence comes whatever is left.

    It is as it was counted last where that is at least *far*, or nothing.
    *names* are all of the account's, also those that the file has no more: renamed, it is the same account.
    """
    if account.counted is not None and timedelta(0) <= now - account.counted[0] < RECOUNT:
        left = limit - account.counted[1]
        if left >= far or left <= 0:
            return left
    used = _bought_today(conn, PURCHASE.c.provider.in_(names), limit, now) + _elsewhere(
        conn, account, names, limit, now
    )
    account.counted = now, used
    return limit - used


def _elsewhere(conn: Connection, account: Account, names: Collection[str], limit: int, now: datetime) -> int:
    """What the account bought under aliases that are another account by now: nothing is bought for it there any more.

    The days of all other accounts are read for it, so it is remembered for longer; a changed file is counted anew.
    """
    if account.elsewhere is None or not timedelta(0) <= now - account.elsewhere[0] < RECOUNT_ELSEWHERE:
        account.elsewhere = now, _bought_today(conn, under_others(conn, account, names), limit, now)
    return account.elsewhere[1]


def under_others(conn: Connection, account: Account, names: Collection[str]) -> ColumnElement[bool]:
    """Whether a purchase is the account's, and stands under none of its *names*."""
    at = PURCHASE.c
    others = at.provider.in_(select(PROVIDER.c.provider).where(PROVIDER.c.provider.not_in(names)))
    return and_(others, at.account.in_(_names_of(conn, account.name)))


def _names_of(conn: Connection, account: str) -> set[str]:
    """The account's names: a person, or a changed file, said that they are one."""
    pairs = [(row.former, row.account) for row in conn.execute(select(LINK).where(LINK.c.same))]
    found: set[str] = set()
    wanted = {account}
    while wanted - found:
        found |= wanted
        wanted = {name for pair in pairs if found.intersection(pair) for name in pair}
    return found


def _bought_today(conn: Connection, where: ColumnElement[bool], limit: int, now: datetime) -> int:
    """Purchases of the last 24 hours that were or may have been charged, counted up to one more than *limit*."""
    its = (where, PURCHASE.c.call_deadline > now - DAY, CHARGED)
    inner = select(PURCHASE.c.id).where(*its).limit(limit + 1).subquery()
    return int(conn.execute(select(func.count()).select_from(inner)).scalar_one())
