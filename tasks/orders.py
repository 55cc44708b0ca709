"""Orders of many numbers: loaded by chunks, started when whole, completed when every line is settled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Connection, select, update

from schemas.events import EventType
from schemas.pool_tables import POOL_RUN
from schemas.requests import BuyNumber, RequestError, SubmitOrder, parse_order
from schemas.status import OrderStatus, Status
from schemas.tables import LINE, ORDER, PURCHASE
from tasks.ledger import sweep
from tasks.ledger.accept import (
    Accepted,
    Entry,
    accept,
    accept_lines,
    begin_order,
    key_conflicts,
    open_order,
    refuse_given_up,
    tell_accepted,
    with_retry,
)
from tasks.ledger.cancel import cancel_order, forget_keys
from tasks.ledger.limits import used_up
from tasks.ledger.rows import Row, emit, new_id, other_event
from tasks.queries import order_counts
from tasks.runtime import Runtime

T = TypeVar("T")

CHUNK = 500
"""Lines in one transaction: short enough that buying never waits for a load."""


@dataclass(frozen=True, kw_only=True)
class Retried:
    """What came of a retry: lines that are bought again, and lines whose number was there by then.

    What was there is another purchase of the same number: bought, on its way, or held.
    """

    again: int = 0
    found: int = 0


class OrderError(ValueError):
    """An order that cannot be done; the message says why and what to do."""


def submit_order(runtime: Runtime, fields: Mapping[str, Any], message_id: str) -> Row:
    """Accept an order of one message; delivered again it goes on where it stopped. Raises RequestError."""
    order = parse_order(fields, runtime.kinds)
    if order.idempotency_key is None:
        order = order.model_copy(update={"idempotency_key": message_id})
    for chunk in chunks(order.requests, CHUNK):
        refuse_key_conflicts(runtime, chunk)
    row = begin(runtime, order=order)
    with runtime.database.read() as conn:
        refuse_given_up(conn, row["id"])
    if row["status"] == OrderStatus.LOADING:
        for lines in chunks(enumerate(order.requests, 1), CHUNK):
            load(runtime, row["id"], lines)
        finish(runtime, row["id"])
    else:
        with runtime.database.write() as conn:
            _tell_accepted(conn, row["id"], runtime.now(), repeat=True)
    return row


def begin(
    runtime: Runtime,
    *,
    order: SubmitOrder | None = None,
    name: str | None = None,
    metadata: Row | None = None,
    max_purchases: int | None = None,
) -> Row:
    """Begin an order in *loading*, or find the one with the same key. Raises RequestError (key_conflict).

    At most *max_purchases* of its numbers are bought; the rest is cancelled then.
    """
    values = {
        "id": new_id(),
        "name": name,
        "max_purchases": max_purchases,
        "idempotency_key": order.idempotency_key if order else None,
        "fingerprint": order.fingerprint if order else None,
        "metadata": order.metadata if order else metadata or {},
    }

    def insert_order() -> Row:
        with runtime.database.write() as conn:
            return begin_order(conn, values, runtime.now())

    return with_retry(insert_order)


def accept_single(runtime: Runtime, request: BuyNumber) -> Accepted:
    """Accept one purchase and leave its release to the workers' timers: needs no Redis. Raises RequestError."""
    entry = Entry(request=request, account=runtime.providers[request.provider].account)

    def accept_one() -> Accepted:
        now = runtime.now()
        with runtime.database.write() as conn:
            accepted = accept(conn, [entry], now)[0]
            tell_accepted(conn, accepted, request.idempotency_key, now)
        return accepted

    return with_retry(accept_one)


def load(runtime: Runtime, order_id: str, lines: Sequence[tuple[int, BuyNumber]]) -> list[Accepted]:
    """Accept one chunk of lines; nothing where they stand already.

    Raises RequestError, and then gives the whole order up: nothing of it was bought.
    """
    entries = [
        Entry(request=request, account=runtime.providers[request.provider].account, line=line)
        for line, request in lines
    ]

    def accept_chunk() -> list[Accepted]:
        with runtime.database.write() as conn:
            return accept_lines(conn, order_id, entries, runtime.now())

    try:
        return with_retry(accept_chunk)
    except RequestError:
        abandon(runtime, order_id)
        raise


def finish(runtime: Runtime, order_id: str) -> None:
    """Let a whole order start. Raises RequestError (order_abandoned) where it was given up."""
    with runtime.database.write() as conn:
        if open_order(conn, order_id, runtime.now()):
            _tell_accepted(conn, order_id, runtime.now(), repeat=False)
        else:
            refuse_given_up(conn, order_id)
            # Another delivery of the same message opened it at this instant: this one is answered too.
            _tell_accepted(conn, order_id, runtime.now(), repeat=True)


def abandon(runtime: Runtime, order_id: str) -> None:
    """Give up an order that is still loading, and cancel what it had brought in; an open order goes on."""
    with runtime.database.write() as conn:
        asked = conn.execute(
            update(ORDER)
            .where(ORDER.c.id == order_id, ORDER.c.status == OrderStatus.LOADING)
            .values(cancel_requested_at=runtime.now())
        )
    if asked.rowcount:
        _cancel(runtime, order_id)


def cancel(runtime: Runtime, order_id: str) -> int:
    """Cancel what the order has not bought yet; one that is loading is given up.

    Returns how many purchases were asked to stop. What another order waits for too is left to that one, and this order
    completes when it is settled.
    """
    now = runtime.now()
    with runtime.database.write() as conn:
        conn.execute(
            update(ORDER)
            .where(ORDER.c.id == order_id, ORDER.c.status.in_((OrderStatus.LOADING, OrderStatus.OPEN)))
            .values(cancel_requested_at=now, updated_at=now)
        )
    return _cancel(runtime, order_id)


def _cancel(runtime: Runtime, order_id: str) -> int:
    """Cancel the purchases first: an order is abandoned only when nothing of it is left, whoever dies meanwhile."""
    total = cancel_purchases(runtime, order_id)
    now = runtime.now()
    with runtime.database.write() as conn:
        given_up = conn.execute(
            update(ORDER)
            .where(ORDER.c.id == order_id, ORDER.c.status == OrderStatus.LOADING)
            .values(status=OrderStatus.ABANDONED, updated_at=now, completed_at=now)
        )
        if given_up.rowcount:
            forget_keys(conn, order_id)
    return total


def cancel_purchases(runtime: Runtime, order_id: str) -> int:
    """Cancel the order's purchases by chunks. Returns how many were asked to stop."""
    total = 0
    while True:
        found, asked = with_retry(lambda: _cancel_chunk(runtime, order_id))
        total += asked
        if found == 0:
            return total


def _cancel_chunk(runtime: Runtime, order_id: str) -> tuple[int, int]:
    with runtime.database.write() as conn:
        return cancel_order(conn, order_id, runtime.now(), CHUNK)


def retry(runtime: Runtime, order_id: str) -> Retried:
    """Buy again the lines that failed or were cancelled.

    Raises OrderError while it is loading, and for a pool's order: the pool replaces what failed by other numbers.
    """
    with runtime.database.read() as conn:
        pool = conn.execute(select(POOL_RUN.c.pool).where(POOL_RUN.c.order_id == order_id)).scalar()
        order = conn.execute(select(ORDER).where(ORDER.c.id == order_id)).mappings().one()
        at = PURCHASE.c
        query = (
            select(LINE.c.line, LINE.c.metadata.label("line_metadata"), PURCHASE)
            .join(PURCHASE, at.id == LINE.c.purchase_id)
            .where(LINE.c.order_id == order_id, at.status.in_((Status.FAILED, Status.CANCELLED)))
            .order_by(LINE.c.line)
        )
        dead = [dict(row) for row in conn.execute(query).mappings()]
    if pool is not None:
        message = f"order {order_id} is of the pool {pool}, which replaces what failed by other numbers"
        raise OrderError(f"{message}: dialstock pool run {pool} does it now")
    if order["status"] in (OrderStatus.LOADING, OrderStatus.ABANDONED):
        raise OrderError(f"order {order_id} is {order['status']}: submit its file again")
    done = [with_retry(lambda chunk=chunk: _buy_again(runtime, order_id, chunk)) for chunk in chunks(dead, CHUNK)]  # type: ignore[misc]
    return Retried(again=sum(one.again for one in done), found=sum(one.found for one in done))


def complete_finished(runtime: Runtime) -> int:
    """Complete the orders of which every line is settled, and give up those whose loading stopped half way.

    What waits in an order that has bought all it may is cancelled.
    """
    with runtime.database.read() as conn:
        finished = sweep.finished_orders(conn)
        stale = sweep.stale_orders(conn, runtime.now())
        enough = used_up(conn)
    for order_id in enough:
        cancel_purchases(runtime, order_id)
    for order_id in stale:
        abandon(runtime, order_id)
    done = 0
    for order_id in finished:
        with runtime.database.write() as conn:
            if sweep.lock_finished(conn, order_id):
                done += sweep.complete_order(conn, order_id, runtime.now(), order_event_data(conn, order_id))
    return done


def refuse_key_conflicts(runtime: Runtime, requests: Sequence[BuyNumber]) -> None:
    """Raise RequestError where a request's key came before with another request."""
    with runtime.database.read() as conn:
        for key, purchase_id in key_conflicts(conn, requests).items():
            message = f"idempotency_key: {key!r} came before with another request (purchase {purchase_id})"
            raise RequestError(f"{message}: send a new key for a new request", "key_conflict")


def order_event_data(conn: Connection, order_id: str) -> Row:
    """The data of an order's events: how many lines ended how."""
    order = conn.execute(select(ORDER).where(ORDER.c.id == order_id)).mappings().one()
    counts: dict[str, int] = {}
    for row in order_counts(conn, order_id):
        counts[row["status"]] = counts.get(row["status"], 0) + row["count"]
    return {
        "order_id": order_id,
        "name": order["name"],
        "idempotency_key": order["idempotency_key"],
        "lines": order["lines"],
        "counts": counts,
        "metadata": order["metadata"],
        "completed_before": order["completed_at"] is not None,
    }


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """*items* in lists of at most *size*."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _buy_again(runtime: Runtime, order_id: str, lines: Sequence[Row]) -> Retried:
    now = runtime.now()
    with runtime.database.write() as conn:
        # The order first: who completes it, or buys the same lines again, waits here.
        reopened = {"status": OrderStatus.OPEN, "cancel_requested_at": None, "updated_at": now}
        conn.execute(update(ORDER).where(ORDER.c.id == order_id).values(**reopened))
        entries = [_entry_again(row) for row in _still_dead(conn, order_id, lines)]
        answers = accept(conn, entries, now, order_id)
        for entry, accepted in zip(entries, answers, strict=True):
            conn.execute(
                update(LINE)
                .where(LINE.c.order_id == order_id, LINE.c.line == entry.line)
                .values(
                    purchase_id=accepted.row["id"],
                    shared=not (accepted.created or accepted.taken),
                    metadata=None if accepted.created else entry.request.metadata,
                )
            )
    again = sum(accepted.created or accepted.taken for accepted in answers)
    return Retried(again=again, found=len(answers) - again)


def _still_dead(conn: Connection, order_id: str, lines: Sequence[Row]) -> list[Row]:
    """Those of the lines that nobody has bought again meanwhile."""
    query = select(LINE.c.line, LINE.c.purchase_id).where(
        LINE.c.order_id == order_id, LINE.c.line.in_([row["line"] for row in lines])
    )
    present = {row.line: row.purchase_id for row in conn.execute(query)}
    return [row for row in lines if present[row["line"]] == row["id"]]


def _entry_again(row: Row) -> Entry:
    fields = {name: row[name] for name in ("number", "provider", "options")}
    metadata = row["metadata"] if row["line_metadata"] is None else row["line_metadata"]
    request = BuyNumber.model_construct(idempotency_key=None, metadata=metadata, **fields)
    return Entry(request=request, account=row["account"], line=row["line"])


def _tell_accepted(conn: Connection, order_id: str, now: datetime, *, repeat: bool) -> None:
    data = order_event_data(conn, order_id)
    del data["completed_before"]
    event = other_event(EventType.ACCEPTED, now, {**data, "repeat": repeat}, provider=None, subject=order_id)
    emit(conn, [event])
