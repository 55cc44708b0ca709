"""Places whose number is given back at the provider: they go before the call, and come back where it is kept."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, select, update

from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.pools import AVAILABLE, GONE, LIVE, POOL_NUMBER, Slot
from schemas.tables.purchases import PURCHASE
from tasks.pools import stock

IN_USE = "in_use"
_AT = POOL_NUMBER.c


def lock(conn: Connection, purchase_id: str) -> None:
    """Lock the place that a purchase has or had: before the purchase itself."""
    conn.execute(select(_AT.slot).where(_AT.purchase_id == purchase_id).with_for_update())


def refuse_taken(conn: Connection, purchase_id: str) -> None:
    """Raise RequestError (in_use) where somebody has taken the number out of its pool."""
    query = select(_AT.number, _AT.pool, _AT.taker).where(_AT.purchase_id == purchase_id, _AT.status == Slot.TAKEN)
    if place := conn.execute(query).first():
        whose = place.taker or "somebody"
        mend = f"return it first, with dialstock pool return {place.pool} {place.number}"
        raise RequestError(f"number: {whose} has taken {place.number} from the pool {place.pool}: {mend}", IN_USE)


def leave(conn: Connection, purchase_id: str, now: datetime) -> None:
    """Have the number in no pool any more: nobody takes it from now on."""
    stock.gone(conn, purchase_id, now)


def follow(conn: Connection, purchase_id: str, before: str | None, after: str | None, now: datetime) -> None:
    """Have the place say what its purchase does: back where that is bought, out of the pool where it is released.

    Only where the purchase, which is locked, is not as it was *before*.
    """
    if after == Status.RELEASED:
        leave(conn, purchase_id, now)
    elif after != before:
        come_back(conn, purchase_id, now)


def come_back(conn: Connection, purchase_id: str, now: datetime) -> bool:
    """Have the number in its pool again where its purchase stands as bought, and no other place has it since.

    Whether it was out of its pool, and is there now.
    """
    of, other = PURCHASE.c, POOL_NUMBER.alias("other")
    bought = exists().where(of.id == _AT.purchase_id, of.status == Status.PURCHASED)
    live = other.c.status.in_((Slot.ORDERED, Slot.AVAILABLE, Slot.TAKEN))
    taken = exists().where(other.c.number == _AT.number, live)
    here = (_AT.purchase_id == purchase_id, GONE, bought, ~taken)
    # One that left before it was settled had no id yet.
    known = select(of.provider_number_id).where(of.id == _AT.purchase_id).scalar_subquery()
    back = {"status": Slot.AVAILABLE, "taker": None, "taken_at": None, "request_id": None, "provider_number_id": known}
    return conn.execute(update(POOL_NUMBER).where(*here).values(**back, available_at=now, updated_at=now)).rowcount > 0


def longest_available(conn: Connection, pool: str, count: int) -> list[str]:
    """The purchases of the numbers that are available for longest, at most *count*."""
    query = select(_AT.purchase_id).where(_AT.pool == pool, AVAILABLE).order_by(_AT.available_at, _AT.slot)
    return [one for one in conn.execute(query.limit(count)).scalars() if one]


def pool_of(conn: Connection, purchase_id: str) -> str | None:
    """The pool that has the purchase's number, or has ordered it."""
    return conn.execute(select(_AT.pool).where(_AT.purchase_id == purchase_id, LIVE)).scalar()
