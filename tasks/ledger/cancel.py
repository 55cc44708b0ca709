"""Cancelling: at once where nobody is calling, else as soon as the call and its doubt are settled."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from schemas.status import Status
from schemas.tables import KEY, PURCHASE
from tasks.ledger.calls import cancelled_changes
from tasks.ledger.rows import Row, lock, move

_WAITING = (Status.QUEUED, Status.DISPATCHED)
_RUNNING = (Status.PURCHASING, Status.UNKNOWN)


def cancel(conn: Connection, purchase_id: str, now: datetime) -> Row | None:
    """Ask for a cancel. Returns the purchase after, unchanged where it is settled or accepted already.

    None where there is no such purchase.
    """
    row = lock(conn, purchase_id)
    return None if row is None else _cancel(conn, row, now)


def cancel_order(conn: Connection, order_id: str, now: datetime, limit: int) -> int:
    """Cancel at most *limit* purchases that the order created. Returns how many were asked; 0 when all were."""
    at = PURCHASE.c
    query = (
        select(PURCHASE)
        .where(at.order_id == order_id, at.status.in_((*_WAITING, *_RUNNING)), at.cancel_requested_at.is_(None))
        .limit(limit)
        .with_for_update()
    )
    rows = [dict(row) for row in conn.execute(query).mappings()]
    for row in rows:
        _cancel(conn, row, now)
    return len(rows)


def forget_keys(conn: Connection, order_id: str) -> None:
    """Free the idempotency keys of an order that was given up before it was whole: none of it was ever tried."""
    at = PURCHASE.c
    mine = select(at.id).where(at.order_id == order_id, at.idempotency_key.is_not(None))
    conn.execute(delete(KEY).where(KEY.c.purchase_id.in_(mine)))
    conn.execute(update(PURCHASE).where(at.id.in_(mine)).values(idempotency_key=None))


def _cancel(conn: Connection, row: Row, now: datetime) -> Row:
    if row["status"] in _WAITING:
        to, changes = cancelled_changes(row)
        return move(conn, row, to, now, cancel_requested_at=now, **changes) or row
    if row["status"] in _RUNNING and row["cancel_requested_at"] is None:
        # No revision: the call that is under way keeps its claim.
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(cancel_requested_at=now))
        return {**row, "cancel_requested_at": now}
    return row
