"""Keys that several requests came with: where the order of one is given up before it was whole, another keeps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select, update

from schemas.status import OrderStatus
from schemas.tables.purchases import KEY, LINE, ORDER, PURCHASE
from tasks.ledger.rows import Row

_PREFERRED = (OrderStatus.OPEN, OrderStatus.COMPLETED, OrderStatus.LOADING)


def lock_with_others(conn: Connection, order_id: str) -> None:
    """Lock an order and those that wait for purchases of its lines: neither is given up while keys go to another."""
    others = select(LINE.c.order_id).where(LINE.c.purchase_id.in_(_purchases_of(order_id)))
    query = select(ORDER.c.id).where(or_(ORDER.c.id == order_id, ORDER.c.id.in_(others)))
    conn.execute(query.order_by(ORDER.c.id).with_for_update())


def of_order(order_id: str) -> ColumnElement[bool]:
    """Whether a key is that of an order's line: it joined with it, or nobody but who made the purchase came with it."""
    return or_(KEY.c.order_id == order_id, KEY.c.metadata.is_(None))


def own_key_of(order_id: str) -> ColumnElement[bool]:
    """Whether the key that a purchase is told under is that of the order's line."""
    return exists().where(KEY.c.idempotency_key == PURCHASE.c.idempotency_key, of_order(order_id))


def hand_on_keys(conn: Connection, order_id: str) -> None:
    """Have the keys of an order that is given up belong to other orders whose lines may have come with them.

    A line does not tell its key: what cannot be told from a request with the key counts as one. So a key may be kept
    that is not used any more, and is never free while it is.
    """
    # Locked before the lines are read: whoever comes with one of them now finds it gone, or is seen here.
    keys = _lock_keys(conn, order_id)
    lines = _lines_of_others(conn, order_id) if keys else {}
    named = _named(conn, order_id) if lines else {}
    for key in keys:
        wanted = key["made_with"] if key["metadata"] is None else key["metadata"]
        others = [line for line in lines.get(key["purchase_id"], ()) if line["metadata"] == wanted]
        alike = [one["order_id"] for one in named.get(key["purchase_id"], ()) if one["metadata"] == wanted]
        if (heir := _heir(others, alike)) is not None:
            same = KEY.c.idempotency_key == key["idempotency_key"]
            conn.execute(update(KEY).where(same).values(order_id=heir, metadata=wanted))
            named.setdefault(key["purchase_id"], []).append({"order_id": heir, "metadata": wanted})


def _heir(lines: Sequence[Row], named: Sequence[str]) -> str | None:
    """The first order with more *lines* alike than it has keys of its own, which stand in *named* by their orders."""
    count = Counter(line["order_id"] for line in lines)
    users = [line for line in lines if count[line["order_id"]] > named.count(line["order_id"])]
    users.sort(key=lambda line: (_PREFERRED.index(line["status"]), line["order_id"]))
    return users[0]["order_id"] if users else None


def _purchases_of(order_id: str) -> Select[Any]:
    return select(LINE.c.purchase_id).where(LINE.c.order_id == order_id)


def _lock_keys(conn: Connection, order_id: str) -> list[Row]:
    """The keys of the order's lines that would be freed with it, each with the metadata of its purchase."""
    line = exists().where(LINE.c.purchase_id == PURCHASE.c.id, LINE.c.order_id == order_id)
    made = or_(PURCHASE.c.order_id == order_id, line.where(LINE.c.metadata.is_(None)))
    first = (KEY.c.idempotency_key == PURCHASE.c.idempotency_key, PURCHASE.c.call_deadline.is_(None), made)
    query = (
        select(KEY, PURCHASE.c.metadata.label("made_with"))
        .join(PURCHASE, PURCHASE.c.id == KEY.c.purchase_id)
        .where(KEY.c.purchase_id.in_(_purchases_of(order_id)))
        .where(or_(KEY.c.order_id == order_id, and_(KEY.c.metadata.is_(None), *first)))
        .order_by(KEY.c.idempotency_key)
        .with_for_update(of=KEY)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def _lines_of_others(conn: Connection, order_id: str) -> dict[str, list[Row]]:
    """The lines of orders that stand, or may come to, for the same purchases."""
    query = (
        select(LINE.c.purchase_id, LINE.c.order_id, LINE.c.metadata, ORDER.c.status)
        .join(ORDER, ORDER.c.id == LINE.c.order_id)
        .where(LINE.c.purchase_id.in_(_purchases_of(order_id)))
        .where(LINE.c.order_id != order_id, ORDER.c.status.in_(_PREFERRED))
    )
    return _by_purchase(conn, query)


def _named(conn: Connection, order_id: str) -> dict[str, list[Row]]:
    """The keys of lines that joined a purchase with one of their own."""
    query = select(KEY).where(KEY.c.purchase_id.in_(_purchases_of(order_id)), KEY.c.order_id.is_not(None))
    return _by_purchase(conn, query)


def _by_purchase(conn: Connection, query: Select[Any]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in conn.execute(query).mappings():
        found.setdefault(row["purchase_id"], []).append(dict(row))
    return found
