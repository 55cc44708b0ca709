"""Dispatched purchases that go back into the queue: not taken, not to be bought now, or without a slot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Integer, Update, bindparam, literal, or_, select, update

from schemas.status import Status
from schemas.tables.purchases import ORDER, PURCHASE, RUNNING
from tasks.ledger.among import among

_AT = PURCHASE.c
_LATE = (
    among(_AT.provider, "aliases"),
    RUNNING,
    _AT.status == literal(str(Status.DISPATCHED)),
    _AT.due_at <= bindparam("soon"),
    _AT.updated_at >= bindparam("since"),
)
# What another transaction has in its hands is being taken.
_WAITING = (
    select(_AT.id)
    .where(*_LATE)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True, key_share=True)
    .cte("waiting")
)
_KEEP_LATE = (
    update(PURCHASE)
    .where(_AT.id.in_(select(_WAITING.c.id)), *_LATE)
    .values(due_at=bindparam("until"))
    .returning(_AT.id)
)


def _taking(*which: ColumnElement[bool]) -> Update:
    back = (RUNNING, _AT.status == literal(str(Status.DISPATCHED)), *which)
    taken = select(_AT.id).where(*back).order_by(_AT.id).with_for_update(key_share=True)
    queued = update(PURCHASE).where(_AT.id.in_(taken), *back)
    times = queued.values(due_at=bindparam("now"), updated_at=bindparam("now"))
    return times.values(status=literal(str(Status.QUEUED)), revision=_AT.revision + 1)


# Asked once a second by every worker, so built once.
_ITS = _AT.provider == bindparam("of")
_TAKE_ALL, _TAKE_OVERDUE = _taking(_ITS), _taking(_ITS, _AT.due_at <= bindparam("now"))
_TAKE_SOME = _taking(among(_AT.id, "ids"))
_LIMITED_ORDERS = select(ORDER.c.id).where(ORDER.c.max_purchases.is_not(None))
_TAKE_LIMITED = _taking(or_(_AT.pool.is_not(None), _AT.order_id.in_(_LIMITED_ORDERS)))


def take_back(conn: Connection, provider: str, now: datetime, *, overdue: bool) -> int:
    """Put dispatched purchases back into the queue: those not taken in time, or all when the provider is paused."""
    return conn.execute(_TAKE_OVERDUE if overdue else _TAKE_ALL, {"of": provider, "now": now}).rowcount


def take_back_some(conn: Connection, purchase_ids: Collection[str], now: datetime) -> None:
    """Put back those of these purchases that are dispatched."""
    conn.execute(_TAKE_SOME, {"ids": sorted(purchase_ids), "now": now})


def take_back_limited(conn: Connection, now: datetime) -> int:
    """Put back what was released within a limit that many accounts share: of a limited order, or of a pool.

    What it counted is not what there was: what is released anew is counted anew.
    """
    return conn.execute(_TAKE_LIMITED, {"now": now}).rowcount


def keep_late(
    conn: Connection, aliases: Sequence[str], *, since: datetime, soon: datetime, until: datetime, most: int
) -> int:
    """Leave dispatched purchases alone until *until*, later than *soon*, that were released at *since* or later.

    Only those that are due by *soon*: the others have time still. At most *most* of them; returns how many.
    """
    values = {"aliases": list(aliases), "since": since, "soon": soon, "until": until, "most": most}
    return len(conn.execute(_KEEP_LATE, values).all())


def postpone(conn: Connection, purchase_id: str, revision: int, until: datetime, now: datetime) -> None:
    """Put one dispatched purchase back, due at *until*: its pace has no slot before."""
    at = PURCHASE.c
    conn.execute(
        update(PURCHASE)
        .where(at.id == purchase_id, at.status == Status.DISPATCHED, at.revision == revision)
        .values(status=Status.QUEUED, revision=at.revision + 1, due_at=until, updated_at=now)
    )
