"""Reservations that purchases have to name, from the provider's answer until nothing is reserved any more.

A reservation costs nothing and lapses, so no promise rests on these rows. They are locked after all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, insert, select, update

from schemas.status import DEAD, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from schemas.tables.wishes import RESERVATION, WISH, WishState
from tasks.ledger.rows import Row

K = TypeVar("K")

SPARE = 8
"""A reservation is named until an eighth of its time is left: what is said of one that has lapsed is not documented."""

LOOK_AGAIN = timedelta(seconds=30)
"""After a reservation was found to be needed, until it is looked at again."""

TRY_AGAIN = timedelta(minutes=2)
"""After a call to give one back, until the next where it was not surely done."""

MOST_TRIES = 3
AT_ONCE = 50
"""Reservations that one look takes."""

_AT = RESERVATION.c
_BOUGHT = (Status.PURCHASED, Status.RELEASING, Status.RELEASED)
_ANY = PURCHASE.alias("another")
_ALIVE = exists().where(_ANY.c.account == _AT.account, _ANY.c.number == _AT.number, _ANY.c.status.not_in(DEAD))


def keep(conn: Connection, row: Row) -> bool:
    """Write a reservation down. False where its id is one that we have: such a word is not to be believed."""
    if conn.execute(select(_AT.number).where(_this(row))).first() is not None:
        return False
    conn.execute(insert(RESERVATION).values(**row, next_look_at=row["reserved_at"] + LOOK_AGAIN, tries=0))
    return True


def is_wanted(conn: Connection, order_id: str, position: int) -> bool:
    """Whether a wish is open still, and its order not cancelled."""
    here = (WISH.c.order_id == order_id, WISH.c.position == position, WISH.c.state == WishState.OPEN)
    query = select(WISH.c.position).join(ORDER, ORDER.c.id == WISH.c.order_id)
    return conn.execute(query.where(*here, ORDER.c.cancel_requested_at.is_(None))).first() is not None


def attach(conn: Connection, order_id: str, position: int) -> None:
    """Have the lines that a locked wish just got go with what was reserved for them."""
    purchase = (
        select(PURCHASE.c.id)
        .join(LINE, LINE.c.purchase_id == PURCHASE.c.id)
        .where(LINE.c.order_id == order_id, LINE.c.wish == position, PURCHASE.c.status.not_in(DEAD))
        .where(PURCHASE.c.account == _AT.account, PURCHASE.c.number == _AT.number)
    )
    mine = (_AT.order_id == order_id, _AT.position == position, _AT.purchase_id.is_(None), ~_AT.cancelling)
    conn.execute(update(RESERVATION).where(*mine).values(purchase_id=purchase.scalar_subquery()))


def with_named(conn: Connection, purchases: Mapping[K, Row], now: datetime) -> dict[K, Row]:
    """*purchases*, each with the `reservation` that its call has to name; None where it has none that is good."""
    query = select(_AT.purchase_id, _AT.reservation_id, _AT.reserved_at, _AT.lapses_at)
    found = conn.execute(query.where(_AT.purchase_id.in_([row["id"] for row in purchases.values()]), ~_AT.cancelling))
    named = {row.purchase_id: row.reservation_id for row in found if now < _good_until(row.reserved_at, row.lapses_at)}
    return {key: {**row, "reservation": named.get(row["id"])} for key, row in purchases.items()}


def any_due(conn: Connection, now: datetime) -> bool:
    """Whether there is one to look at."""
    return conn.execute(select(_AT.number).where(_AT.next_look_at <= now).limit(1)).first() is not None


def take_due(conn: Connection, now: datetime) -> list[Row]:
    """Look at what is due, and return what is to be given back now; nobody else looks at it for a while.

    What has lapsed, and what was bought, is forgotten. What a purchase under way, in doubt or held may name is left
    alone, and so is one whose run is not over.
    """
    query = (
        select(RESERVATION, PURCHASE.c.status, WISH.c.state, WISH.c.leased_until, _ALIVE.label("alive"))
        .outerjoin(PURCHASE, PURCHASE.c.id == _AT.purchase_id)
        .outerjoin(WISH, and_(WISH.c.order_id == _AT.order_id, WISH.c.position == _AT.position))
        .where(_AT.next_look_at <= now)
        .order_by(_AT.next_look_at)
        .limit(AT_ONCE)
        .with_for_update(of=RESERVATION, skip_locked=True)
    )
    due = [dict(row) for row in conn.execute(query).mappings()]
    return [row for row in due if _is_to_be_given_back(conn, row, now)]


def _is_to_be_given_back(conn: Connection, row: Row, now: datetime) -> bool:
    """Write down when it is looked at again, if ever."""
    if row["lapses_at"] <= now or row["status"] in _BOUGHT:
        forget(conn, row)
    elif _is_needed(row, now):
        _change(conn, row, next_look_at=now + LOOK_AGAIN)
    elif row["tries"] >= MOST_TRIES:
        _change(conn, row, next_look_at=row["lapses_at"])
    else:
        _change(conn, row, cancelling=True, tries=row["tries"] + 1, next_look_at=now + TRY_AGAIN)
        return True
    return False


def leave(conn: Connection, row: Row) -> None:
    """Let one lapse that cannot be given back."""
    _change(conn, row, next_look_at=row["lapses_at"])


def forget(conn: Connection, row: Row) -> None:
    """Take a reservation out: nothing is reserved by it."""
    conn.execute(delete(RESERVATION).where(_this(row)))


def _is_needed(row: Row, now: datetime) -> bool:
    # Its own purchase, or another of that number.
    if row["alive"]:
        return True
    leased = row["leased_until"] is not None and row["leased_until"] > now
    return row["purchase_id"] is None and row["state"] == WishState.OPEN and leased


def _good_until(reserved_at: datetime, lapses_at: datetime) -> datetime:
    return lapses_at - (lapses_at - reserved_at) / SPARE


def _change(conn: Connection, row: Row, **values: object) -> None:
    conn.execute(update(RESERVATION).where(_this(row)).values(**values))


def _this(row: Mapping[str, object]) -> ColumnElement[bool]:
    return and_(_AT.account == row["account"], _AT.reservation_id == row["reservation_id"])
