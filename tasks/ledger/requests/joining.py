"""Requests for a purchase that was there before: each has its key, and is told of what becomes of it under its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, exists, insert, or_, select, update

from schemas.requests import BuyNumber, RequestError
from schemas.status import DEAD, OrderStatus, Status
from schemas.tables.purchases import KEY, LINE, ORDER, PURCHASE, UNFINISHED
from tasks.ledger.locking import reserve
from tasks.ledger.rows import Row
from tasks.telemetry.traceparent import present
from tasks.transactions import Raced

BEING_RELEASED = "being_released"


def remember_keys(
    conn: Connection,
    known: Mapping[str | None, Row],
    requests: Sequence[BuyNumber],
    rows: Sequence[Row],
    *,
    now: datetime,
    order_id: str | None,
) -> dict[str | None, int]:
    """Write down the keys of *requests* that are not *known*, each with the purchase in *rows* that answers it.

    Returns those that join a purchase of another, and the places of their requests.
    """
    keys: dict[str | None, Row] = {}
    joined: dict[str | None, int] = {}
    for place, (request, row) in enumerate(zip(requests, rows, strict=True)):
        key = request.idempotency_key
        if key is None or key in known or key in keys:
            continue
        keys[key] = _key(request, row, now)
        if key != row["idempotency_key"]:
            joined[key] = place
            keys[key] |= {"metadata": request.metadata, "order_id": order_id, "traceparent": present()}
    if keys:
        conn.execute(insert(KEY), [keys[key] for key in sorted(keys, key=str)])
    return joined


def keep_keys(
    conn: Connection, known: Mapping[str | None, Row], requests: Sequence[BuyNumber], order_id: str | None
) -> None:
    """Have the keys that came before stay as long as *requests* need them. Raises Raced where one was freed meanwhile.

    A request outside of any order needs its key for ever, though the order whose line came with it first be given up;
    an order's lines say so themselves.
    """
    at = KEY.c
    if not known:
        return
    query = select(at.idempotency_key, at.purchase_id).where(at.idempotency_key.in_(known)).order_by(at.idempotency_key)
    found = {
        row.idempotency_key: row.purchase_id for row in conn.execute(query.with_for_update(read=order_id is not None))
    }
    if found != {key: row["id"] for key, row in known.items()}:
        raise Raced
    for request in requests if order_id is None else ():
        row = known.get(request.idempotency_key)
        if row is not None and row["status"] not in DEAD:
            mine = (at.idempotency_key == request.idempotency_key, _of_loading_order())
            conn.execute(update(KEY).where(*mine).values(order_id=None, metadata=request.metadata))


def _of_loading_order() -> ColumnElement[bool]:
    """Whether a key may be freed yet: an order joined, or made its purchase, with it, and is loading."""
    loading = select(ORDER.c.id).where(UNFINISHED, ORDER.c.status == OrderStatus.LOADING)
    made = exists().where(
        LINE.c.purchase_id == KEY.c.purchase_id, LINE.c.metadata.is_(None), LINE.c.order_id.in_(loading)
    )
    return or_(KEY.c.order_id.in_(loading), and_(KEY.c.metadata.is_(None), made))


def join(conn: Connection, rows: Sequence[Row], places: Iterable[int]) -> list[Row]:
    """Have the purchases at *places* tell of it. Returns *rows*, those as they are now that they are locked.

    Raises RequestError (being_released), and Raced where one has ended without the number meanwhile: who asks for it
    then gets a purchase of his own.

    What moves a purchase sees who joined it before, and who joins it sees where it has moved: each is told once.
    """
    ids = {rows[place]["id"] for place in places}
    if not ids:
        return list(rows)
    reserve(conn, ids)
    found = conn.execute(select(PURCHASE).where(PURCHASE.c.id.in_(ids))).mappings()
    present = {row["id"]: {**row, "joined": True} for row in found}
    require_standing(present.values())
    conn.execute(update(PURCHASE).where(PURCHASE.c.id.in_(ids)).values(joined=True))
    return [present.get(row["id"], row) for row in rows]


def require_standing(rows: Iterable[Row]) -> None:
    """Raise RequestError (being_released), and Raced for a purchase that has ended without the number meanwhile."""
    present = list(rows)
    if any(row["status"] in DEAD for row in present):
        raise Raced
    refuse_releasing(present)


def refuse_releasing(rows: Iterable[Row]) -> None:
    """Raise RequestError (being_released) for a number that is given back: it would be lost to who asks for it now."""
    for row in rows:
        if row["status"] == Status.RELEASING:
            message = f"number: {row['number']} is being given back: ask for it again once that has ended"
            raise RequestError(message, BEING_RELEASED)


def releasing_among(conn: Connection, wanted: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of *wanted*, pairs of account and number, that are on their way back."""
    at = PURCHASE.c
    query = select(at.account, at.number).where(
        at.number.in_([number for _, number in wanted]), at.status == Status.RELEASING
    )
    found = conn.execute(query) if wanted else ()
    return {(row.account, row.number) for row in found} & {*wanted}


def _key(request: BuyNumber, row: Row, now: datetime) -> Row:
    return {
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "purchase_id": row["id"],
        "metadata": None,
        "order_id": None,
        "created_at": now,
        "traceparent": None,
    }
