"""An account's own limit: what may have been charged in any 24 hours, whichever alias it was bought under."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, or_, select

from schemas.status import Status
from schemas.tables.accounts import LINK
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger.among import among
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

_ELSEWHERE = (
    select(_AT.provider, _AT.account, func.count())
    .where(_AT.provider.in_(select(PROVIDER.c.provider)), among(_AT.account, "accounts"))
    .where(_AT.call_deadline > bindparam("since"), CHARGED)
    .group_by(_AT.provider, _AT.account)
)


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
    known = _known_elsewhere(account, now)
    if known is None:
        known = _bought_today(conn, under_others(conn, account, names), limit, now)
        account.elsewhere = now, known
    return known


def _known_elsewhere(account: Account, now: datetime) -> int | None:
    """The count that is remembered; None where it is too old."""
    if account.elsewhere is None or not timedelta(0) <= now - account.elsewhere[0] < RECOUNT_ELSEWHERE:
        return None
    return account.elsewhere[1]


def count_elsewhere(
    conn: Connection, names: Mapping[str, Collection[str]], accounts: Iterable[Account], now: datetime
) -> None:
    """Have *accounts* remember it, by one statement for all of which it is not known; *names* are each account's."""
    unknown = [one for one in accounts if _known_elsewhere(one, now) is None]
    if not unknown:
        return
    pairs = _links(conn)
    its = {one.name: _linked(pairs, one.name) for one in unknown}
    every = [former for found in its.values() for former in found]
    found: dict[str, list[tuple[str, int]]] = {}
    for provider, account, count in conn.execute(_ELSEWHERE, {"accounts": every, "since": now - DAY}):
        found.setdefault(account, []).append((provider, count))
    for one in unknown:
        rows = [row for former in its[one.name] for row in found.get(former, ())]
        one.elsewhere = now, sum(count for provider, count in rows if provider not in names[one.name])


def fits_at(
    conn: Connection,
    account: Account,
    names: Collection[str],
    limit: int,
    now: datetime,
    *,
    running: int,
    more: int = 1,
) -> datetime:
    """When *more* purchases, *limit* at the most, fit beside those *running*: now, or once others are a day old."""
    place = limit - running - more
    if place < 0:
        return now + DAY
    its = PURCHASE.c.provider.in_(names)
    if _elsewhere(conn, account, names, limit, now):
        its = or_(its, under_others(conn, account, names))
    counted = (its, PURCHASE.c.call_deadline > now - DAY, CHARGED)
    query = select(PURCHASE.c.call_deadline).where(*counted).order_by(PURCHASE.c.call_deadline.desc())
    last: datetime | None = conn.execute(query.offset(place).limit(1)).scalar()
    return now if last is None else last + DAY


def under_others(conn: Connection, account: Account, names: Collection[str]) -> ColumnElement[bool]:
    """Whether a purchase is the account's, and stands under none of its *names*."""
    at = PURCHASE.c
    others = at.provider.in_(select(PROVIDER.c.provider).where(PROVIDER.c.provider.not_in(names)))
    return and_(others, at.account.in_(_linked(_links(conn), account.name)))


def _links(conn: Connection) -> list[tuple[str, str]]:
    return [(row.former, row.account) for row in conn.execute(select(LINK).where(LINK.c.same))]


def _linked(pairs: Iterable[tuple[str, str]], account: str) -> set[str]:
    """The account's names: a person, or a changed file, said that they are one."""
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
