"""Completed orders of which a line is settled anew: they complete again, and `dialstock.order.updated` tells of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from schemas.status import OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks.ledger.locking import lock_orders
from tasks.ledger.orders.cancelled import goes_on


def reopen_orders(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> list[str]:
    """Open the completed orders again that have one of the purchases on a line, own or shared. Returns their ids.

    An order goes on that was cancelled where one of the purchases is queued again.
    """
    completed = open_again(conn, purchase_ids, now)
    _resume(conn, purchase_ids, now)
    _leave(conn, purchase_ids)
    return completed


def open_again(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> list[str]:
    """The same for purchases of which none is queued."""
    # Open orders are locked too: who completes one at this instant must count this settlement, or come before it.
    return open_locked(conn, lock_orders(conn, purchase_ids), now)


def open_locked(conn: Connection, orders: Mapping[str, str], now: datetime) -> list[str]:
    """The same with the *orders* of their lines, which are locked, and their statuses."""
    completed = [one for one, status in orders.items() if status == OrderStatus.COMPLETED]
    if completed:
        opened = {"status": OrderStatus.OPEN, "cancel_requested_at": None, "updated_at": now}
        conn.execute(update(ORDER).where(ORDER.c.id.in_(completed)).values(**opened))
    return completed


def _resume(conn: Connection, purchase_ids: Sequence[str], now: datetime) -> None:
    """Have open orders buy again that were cancelled, and one of whose purchases was brought back since.

    Not while the cancel has not come to all of them: the others must stop, and this one with them.
    """
    stopped = (ORDER.c.status == OrderStatus.OPEN, ORDER.c.cancel_requested_at.is_not(None))
    back = select(PURCHASE.c.order_id).where(*_queued(purchase_ids), PURCHASE.c.order_id.is_not(None))
    resumed = update(ORDER).where(ORDER.c.id.in_(back), *stopped, ~goes_on(*purchase_ids))
    conn.execute(resumed.values(cancel_requested_at=None, updated_at=now))


def _leave(conn: Connection, purchase_ids: Sequence[str]) -> None:
    """Have what was brought back leave an order that was, or is being, given up: no release looks into that."""
    given_up = or_(
        ORDER.c.status == OrderStatus.ABANDONED,
        and_(ORDER.c.status == OrderStatus.LOADING, ORDER.c.cancel_requested_at.is_not(None)),
    )
    here = (*_queued(purchase_ids), PURCHASE.c.order_id.in_(select(ORDER.c.id).where(given_up)))
    left = conn.execute(update(PURCHASE).where(*here).values(order_id=None).returning(PURCHASE.c.id))
    ids = list(left.scalars())
    if ids:
        conn.execute(update(LINE).where(LINE.c.purchase_id.in_(ids)).values(shared=True))


def _queued(purchase_ids: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return PURCHASE.c.id.in_(purchase_ids), PURCHASE.c.status == Status.QUEUED
