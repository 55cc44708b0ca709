"""Cancelling: at once where nobody is calling, else as soon as the call and its doubt are settled.

A purchase that another order waits for too is handed over to it instead; one that another request asked for goes on
by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, or_, select, update

from schemas.status import OrderStatus, Status
from schemas.tables.purchases import KEY, LINE, ORDER, PURCHASE, SHARED, UNFINISHED
from schemas.tables.releases import OPEN, RELEASE
from tasks.ledger.calls.outcomes import cancelled_changes
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders.cancelled import still_cancelled
from tasks.ledger.orders.limits import MAY_BUY_MORE, allowance
from tasks.ledger.orders.shared_keys import hand_on_keys, of_order, own_key_of
from tasks.ledger.rows import Row, lock, move

GAVE_WAY = "gave_way"
"""The `error_code` of what an order by criteria gave up by itself, for other numbers."""

_WAITING = (Status.QUEUED, Status.DISPATCHED)
_RUNNING = (Status.PURCHASING, Status.UNKNOWN)

STOPPABLE = (*_WAITING, *_RUNNING)
"""What a cancel has to do with: from PROCESSING on a purchase is bought."""


def cancel(conn: Connection, purchase_id: str, now: datetime) -> Row | None:
    """Ask for a cancel. Returns the purchase after, unchanged where it is settled or accepted already.

    None where there is no such purchase.
    """
    row = lock(conn, purchase_id)
    return None if row is None else _cancel(conn, row, now)


def cancel_order(
    conn: Connection, order_id: str, now: datetime, limit: int, *, cancelled: bool = False
) -> tuple[int, int]:
    """Cancel at most *limit* of the order's purchases, and hand over those among them that somebody else waits for.

    *cancelled*: only as long as the order's cancel stands. Returns how many there were, 0 when that was all, and how
    many of them were asked to stop.
    """
    at = PURCHASE.c
    going_on = (at.order_id == order_id, at.status.in_(STOPPABLE), at.cancel_requested_at.is_(None))
    found = list(conn.execute(select(at.id).where(*going_on).limit(limit)).scalars())
    locked = locked_with_orders(conn, found)
    if cancelled and not still_cancelled(conn, order_id, now):
        return 0, 0
    return len(found), _stop(conn, order_id, [row for row in locked if _goes_on(row, order_id)], now)


def give_way(conn: Connection, order_id: str, purchase_ids: Sequence[str], why: str, now: datetime) -> int:
    """Give up those of an order's purchases that wait, and surely were not bought: its wishes may find others.

    What somebody else waits for too is handed over, and not replaced. Returns how many were given up.
    """
    rows = [
        row
        for row in locked_with_orders(conn, purchase_ids)
        if _goes_on(row, order_id) and row["status"] == Status.QUEUED and not row["doubt"]
    ]
    return _stop(conn, order_id, rows, now, error=f"given up for another number: {why}", error_code=GAVE_WAY)


def _stop(conn: Connection, order_id: str, rows: Sequence[Row], now: datetime, **said: str) -> int:
    """Cancel locked purchases, but hand over what somebody else waits for. Returns how many were asked to stop."""
    heirs = _alone(conn, rows) | _heirs(conn, order_id, rows)
    if heirs:
        _hand_over(conn, order_id, heirs)
    for row in rows:
        if row["id"] not in heirs:
            _cancel(conn, row, now, **said)
        elif row["status"] == Status.DISPATCHED:
            # Nobody calls yet: it is released again, within the heir's own limit.
            move(conn, row, Status.QUEUED, now, due_at=now)
    return len(rows) - len(heirs)


def _goes_on(row: Row, order_id: str) -> bool:
    """Whether it still is the order's to cancel, now that it is locked."""
    return bool(row["status"] in STOPPABLE and row["order_id"] == order_id and row["cancel_requested_at"] is None)


def left_to_others(conn: Connection, order_id: str) -> int:
    """How many lines of a cancelled order wait for a purchase that goes on, because it is not the order's alone."""
    at = PURCHASE.c
    going_on = (at.status.in_(STOPPABLE), at.cancel_requested_at.is_(None))
    query = (
        select(func.count())
        .select_from(LINE)
        .join(PURCHASE, at.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id, SHARED, *going_on)
    )
    return int(conn.execute(query).scalar_one())


def forget_keys(conn: Connection, order_id: str) -> None:
    """Free the idempotency keys of an order that was given up before it was whole.

    Not those of what others got from it: a whole order has it on a line, or it was called for. Nor those that another
    request came with too.
    """
    hand_on_keys(conn, order_id)
    at = PURCHASE.c
    whole = (OrderStatus.OPEN, OrderStatus.COMPLETED)
    others = exists().where(LINE.c.purchase_id == at.id, LINE.c.order_id == ORDER.c.id, ORDER.c.status.in_(whole))
    untried = (at.idempotency_key.is_not(None), at.call_deadline.is_(None))
    mine = select(at.id).where(at.order_id == order_id, *untried, ~others, own_key_of(order_id))
    conn.execute(delete(KEY).where(KEY.c.purchase_id.in_(mine), of_order(order_id)))
    lent = _lent(conn, order_id)
    lines = select(LINE.c.purchase_id).where(LINE.c.order_id == order_id)
    freed = delete(KEY).where(KEY.c.purchase_id.in_(lines), KEY.c.order_id == order_id).returning(KEY.c.purchase_id)
    fewer = Counter(conn.execute(freed).scalars())
    going = set(conn.execute(select(RELEASE.c.purchase_id).where(RELEASE.c.purchase_id.in_(lines), OPEN)).scalars())
    for purchase_id in sorted(fewer.keys() & going):
        # A release compares how many ask for its number with how many did: these do no more, and did not come since.
        here = update(RELEASE).where(RELEASE.c.purchase_id == purchase_id, OPEN)
        conn.execute(here.values(asked_for=RELEASE.c.asked_for - fewer[purchase_id]))
    kept = exists().where(KEY.c.idempotency_key == at.idempotency_key)
    conn.execute(update(PURCHASE).where(at.order_id == order_id, *untried, ~kept).values(idempotency_key=None))
    for row in lent:
        conn.execute(delete(KEY).where(KEY.c.idempotency_key == row["idempotency_key"]))
        conn.execute(update(PURCHASE).where(at.id == row["id"]).values(**_as_the_takers(conn, row)))


def _lent(conn: Connection, order_id: str) -> list[Row]:
    """Purchases that were made for lines of an order, and taken over from it before they were called for."""
    at = PURCHASE.c
    # A line has metadata of its own where its purchase was made for another.
    lines = select(LINE.c.purchase_id).where(LINE.c.order_id == order_id, LINE.c.metadata.is_(None))
    its = or_(at.idempotency_key.is_(None), own_key_of(order_id))
    taken = (at.order_id.is_distinct_from(order_id), at.call_deadline.is_(None), its)
    query = select(PURCHASE).where(at.id.in_(lines), *taken).order_by(at.id).with_for_update(key_share=True)
    return [dict(row) for row in conn.execute(query).mappings()]


def _as_the_takers(conn: Connection, row: Row) -> Row:
    """The key and metadata of who has a purchase now: it is told of under those, and no more under the former."""
    at = KEY.c
    mine = (at.purchase_id == row["id"], at.order_id.is_not_distinct_from(row["order_id"]))
    first = conn.execute(select(KEY).where(*mine).order_by(at.created_at, at.idempotency_key)).mappings().first()
    if first is not None:
        return {"idempotency_key": first["idempotency_key"], "metadata": first["metadata"] or {}}
    line = (LINE.c.purchase_id == row["id"], LINE.c.order_id == row["order_id"])
    own = conn.execute(select(LINE.c.metadata).where(*line).order_by(LINE.c.line)).scalar()
    return {"idempotency_key": None, "metadata": own or {}}


def _alone(conn: Connection, rows: Sequence[Row]) -> dict[str, tuple[str | None, int]]:
    """Those of *rows* that a request outside of any order asked for too: they go on without one."""
    joined = [row["id"] for row in rows if row["joined"]]
    if not joined:
        return {}
    own = KEY.c.idempotency_key.is_distinct_from(PURCHASE.c.idempotency_key)
    others = select(KEY.c.purchase_id).join(PURCHASE, PURCHASE.c.id == KEY.c.purchase_id)
    query = others.where(KEY.c.purchase_id.in_(joined), KEY.c.order_id.is_(None), own)
    return dict.fromkeys(conn.execute(query).scalars(), (None, 0))


def _heirs(conn: Connection, order_id: str, rows: Sequence[Row]) -> dict[str, tuple[str | None, int]]:
    """The order and line that each of *rows* is handed over to, by purchase.

    An order that is loading may still be given up, and then nothing of it was tried: it inherits nothing that was.
    Of what may have been bought an order inherits no more than it may buy: no release asks for its limit any more.
    """
    at = LINE.c
    ids = [row["id"] for row in rows]
    untried = {row["id"] for row in rows if row["status"] == Status.QUEUED and not (row["attempts"] or row["doubt"])}
    counted = {row["id"] for row in rows if row["status"] in _RUNNING or row["doubt"]}
    status = _lock_others(conn, order_id, ids)
    query = select(at.purchase_id, at.order_id, at.line).where(at.purchase_id.in_(ids), at.order_id.in_(status))
    # The oldest order first, whatever order the table is in.
    lines = conn.execute(query.order_by(at.order_id, at.line)).all() if status else []
    left = {heir: allowance(conn, heir, wanted=len(counted)) for heir in status}
    heirs: dict[str, tuple[str | None, int]] = {}
    # Open orders come first.
    for purchase_id, heir, line in sorted(lines, key=lambda one: status[one.order_id], reverse=True):
        may = status[heir] == OrderStatus.OPEN or purchase_id in untried
        room = left[heir] if purchase_id in counted else None
        if may and room != 0 and purchase_id not in heirs:
            heirs[purchase_id] = heir, line
            left[heir] = left[heir] if room is None else room - 1
    return heirs


def _lock_others(conn: Connection, order_id: str, purchase_ids: Sequence[str]) -> dict[str, str]:
    """The status of the other orders that wait for any of the purchases and may buy it, by id.

    Locked, so that none of them is cancelled, completed or given up before it has inherited.
    """
    waiting = select(LINE.c.order_id).where(LINE.c.purchase_id.in_(purchase_ids), LINE.c.order_id != order_id)
    able = (UNFINISHED, ORDER.c.cancel_requested_at.is_(None), MAY_BUY_MORE)
    query = select(ORDER.c.id, ORDER.c.status).where(ORDER.c.id.in_(waiting), *able)
    return {row.id: row.status for row in conn.execute(query.order_by(ORDER.c.id).with_for_update())}


def _hand_over(conn: Connection, order_id: str, heirs: Mapping[str, tuple[str | None, int]]) -> None:
    """No revision here either: a call that is under way goes on, for another order."""
    at = LINE.c
    conn.execute(update(LINE).where(at.order_id == order_id, at.purchase_id.in_(heirs)).values(shared=True))
    for purchase_id, (heir, line) in heirs.items():
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == purchase_id).values(order_id=heir))
        conn.execute(update(LINE).where(at.order_id == heir, at.line == line).values(shared=False))


def _cancel(conn: Connection, row: Row, now: datetime, **said: str) -> Row:
    if row["status"] in _WAITING:
        to, changes = cancelled_changes(row)
        return move(conn, row, to, now, cancel_requested_at=now, **{**changes, **said}) or row
    if row["status"] in _RUNNING and row["cancel_requested_at"] is None:
        # No revision: the call that is under way keeps its claim.
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(cancel_requested_at=now))
        return {**row, "cancel_requested_at": now}
    return row
