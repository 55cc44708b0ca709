"""Locks of several rows, taken in the one order that the package's first page tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, exists, select

from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks.ledger.among import among
from tasks.ledger.rows import Row
from tasks.transactions import Raced

# Built once: building a statement costs more than running it.
_LOCKED = select(PURCHASE).where(among(PURCHASE.c.id, "ids")).order_by(PURCHASE.c.id).with_for_update()

_LINES = select(LINE.c.order_id).where(among(LINE.c.purchase_id, "ids"))
_ORDERS = select(ORDER.c.id, ORDER.c.status).where(ORDER.c.id.in_(_LINES)).order_by(ORDER.c.id).with_for_update()


def locked(conn: Connection, ids: Iterable[str]) -> list[Row]:
    """These purchases, locked in the order of their ids; no line that points to one of them comes meanwhile."""
    return [dict(row) for row in conn.execute(_LOCKED, {"ids": list(ids)}).mappings()]


def locked_with_orders(conn: Connection, ids: Iterable[str]) -> list[Row]:
    """These purchases, locked after all orders that have one of them on a line, own or shared.

    Raises Raced where another order came to wait for one of them meanwhile: that one is not locked.
    """
    wanted = list(ids)
    orders = lock_orders(conn, wanted)
    rows = locked(conn, wanted)
    if conn.dialect.name == "postgresql" and conn.execute(select(waits_too(wanted, orders))).scalar_one():
        raise Raced
    return rows


def lock_orders(conn: Connection, purchase_ids: Sequence[str]) -> dict[str, str]:
    """Lock all orders that have one of these purchases on a line, before the purchases. Returns their statuses, by id.

    Once the purchases are locked, no line comes to point to them: `waits_too` tells then whether one has meanwhile.
    """
    return {order.id: order.status for order in conn.execute(_ORDERS, {"ids": list(purchase_ids)})}


def waits_too(purchase_ids: Sequence[str], orders: Collection[str]) -> ColumnElement[bool]:
    """Whether an order that is not among *orders* has one of these purchases on a line.

    Asked in a statement after the one that locks them: one that waits for a lock sees lines as they were before.
    """
    return exists().where(LINE.c.purchase_id.in_(purchase_ids), LINE.c.order_id.not_in(orders))


def hold(conn: Connection, ids: Iterable[str]) -> dict[str, str]:
    """Keep these purchases from being cancelled, settled or given back until lines point to them; workers' calls go on.

    Lines have no foreign key that would do it. Returns their statuses as they are then, by id.
    """
    at, wanted = PURCHASE.c, list(ids)
    query = select(at.id, at.status).where(at.id.in_(wanted)).order_by(at.id)
    found = conn.execute(query.with_for_update(read=True, key_share=True)) if wanted else ()
    return {row.id: row.status for row in found}


def reserve(conn: Connection, ids: Iterable[str]) -> None:
    """Keep others from changing these purchases."""
    at, wanted = PURCHASE.c, list(ids)
    if wanted:
        query = select(at.id).where(at.id.in_(wanted)).order_by(at.id)
        conn.execute(query.with_for_update(key_share=True))
