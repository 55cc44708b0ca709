"""Orders of many numbers: loaded by chunks, started when whole, completed when every line is settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, select, update

from schemas.events import EventType
from schemas.requests import BuyNumber, RequestError, SubmitOrder, key_of_message, parse_order
from schemas.status import OrderStatus
from schemas.tables.purchases import ORDER
from tasks.chunks import chunks
from tasks.ledger import sweep
from tasks.ledger.orders import money
from tasks.ledger.orders.cancel import cancel_order, forget_keys, give_way
from tasks.ledger.orders.cancelled import half_cancelled
from tasks.ledger.orders.limits import used_up
from tasks.ledger.orders.shared_keys import lock_with_others
from tasks.ledger.orders.wishes import cancel_wishes, summary
from tasks.ledger.requests.accept import (
    Accepted,
    Entry,
    accept,
    accept_lines,
    begin_order,
    key_conflicts,
    open_order,
    refuse_given_up,
    tell_accepted,
)
from tasks.ledger.rows import Row, emit, new_id, other_event
from tasks.pools.reserved import refuse_reserved, refuse_reserved_lines
from tasks.reports.queries import order_counts
from tasks.runtime import Runtime

T = TypeVar("T")

CHUNK = 500
"""Lines in one transaction: short enough that buying never waits for a load."""


class OrderError(ValueError):
    """An order that cannot be done; the message says why and what to do."""


def submit_order(runtime: Runtime, fields: Mapping[str, Any], message_id: object) -> Row:
    """Accept an order of one message; delivered again it goes on where it stopped. Raises RequestError."""
    order = parse_order(fields, runtime.kinds)
    if order.idempotency_key is None:
        order = order.model_copy(update={"idempotency_key": key_of_message(message_id)})
    for chunk in chunks(order.requests, CHUNK):
        refuse_key_conflicts(runtime, chunk)
    refuse_reserved_lines(runtime, order)
    row = begin(runtime, order=order)
    with runtime.database.read() as conn:
        refuse_given_up(conn, row["id"])
    if row["status"] == OrderStatus.LOADING:
        for lines in chunks(enumerate(order.requests, 1), CHUNK):
            load(runtime, row["id"], lines)
        finish(runtime, row["id"])
    else:
        runtime.database.run(lambda conn: tell_order_accepted(conn, row["id"], runtime.now(), repeat=True))
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

    return runtime.database.run(lambda conn: begin_order(conn, values, runtime.now()))


def accept_single(runtime: Runtime, request: BuyNumber) -> Accepted:
    """Accept one purchase and leave its release to the workers' timers: needs no Redis. Raises RequestError."""
    entry = Entry(request=request, account=runtime.providers[request.provider].account)

    def accept_one(conn: Connection) -> Accepted:
        now = runtime.now()
        accepted = accept(conn, [entry], now)[0]
        refuse_reserved(conn, [accepted])
        tell_accepted(conn, accepted, request, now)
        return accepted

    return runtime.database.run(accept_one)


def load(runtime: Runtime, order_id: str, lines: Sequence[tuple[int, BuyNumber]]) -> list[Accepted]:
    """Accept one chunk of lines; nothing where they stand already.

    Raises RequestError, and then gives the whole order up: nothing of it was bought.
    """
    entries = [
        Entry(request=request, account=runtime.providers[request.provider].account, line=line)
        for line, request in lines
    ]

    def accept_chunk(conn: Connection) -> list[Accepted]:
        accepted = accept_lines(conn, order_id, entries, runtime.now())
        refuse_reserved(conn, accepted)
        return accepted

    try:
        return runtime.database.run(accept_chunk)
    except RequestError:
        abandon(runtime, order_id)
        raise


def finish(runtime: Runtime, order_id: str) -> None:
    """Let a whole order start. Raises RequestError (order_abandoned) where it was given up."""

    def open_it(conn: Connection) -> None:
        opened = open_order(conn, order_id, runtime.now())
        if not opened:
            refuse_given_up(conn, order_id)
        # Where another delivery of the same message opened it at this instant, this one is answered too.
        tell_order_accepted(conn, order_id, runtime.now(), repeat=not opened)

    runtime.database.run(open_it)


def abandon(runtime: Runtime, order_id: str) -> None:
    """Give up an order that is still loading, and cancel what it had brought in; an open order goes on."""
    if _ask_to_stop(runtime, order_id, OrderStatus.LOADING):
        _cancel(runtime, order_id)


def status_of(runtime: Runtime, order_id: str) -> OrderStatus:
    """The order's present status."""
    with runtime.database.read() as conn:
        return OrderStatus(conn.execute(select(ORDER.c.status).where(ORDER.c.id == order_id)).scalar_one())


def cancel(runtime: Runtime, order_id: str) -> int:
    """Cancel what the order has not bought yet; one that is loading is given up.

    Returns how many purchases were asked to stop. What another order waits for too is left to that one, and this order
    completes when it is settled.
    """
    _ask_to_stop(runtime, order_id, OrderStatus.LOADING, OrderStatus.OPEN)
    return _cancel(runtime, order_id)


def _ask_to_stop(runtime: Runtime, order_id: str, *statuses: OrderStatus) -> bool:
    """Have an order in one of *statuses* buy no more. Whether it was."""
    mine = (ORDER.c.id == order_id, ORDER.c.status.in_(statuses))

    def ask(conn: Connection) -> bool:
        now = runtime.now()
        asked = conn.execute(update(ORDER).where(*mine).values(cancel_requested_at=now, updated_at=now))
        if asked.rowcount:
            cancel_wishes(conn, order_id, now)
        return asked.rowcount > 0

    return runtime.database.run(ask)


def _cancel(runtime: Runtime, order_id: str) -> int:
    """Cancel the purchases first: an order is abandoned only when nothing of it is left, whoever dies meanwhile."""
    total = cancel_purchases(runtime, order_id, cancelled=True)
    runtime.database.run(lambda conn: _give_up(conn, order_id, runtime.now()))
    return total


def _give_up(conn: Connection, order_id: str, now: datetime) -> None:
    lock_with_others(conn, order_id)
    given_up = conn.execute(
        update(ORDER)
        .where(ORDER.c.id == order_id, ORDER.c.status == OrderStatus.LOADING)
        .values(status=OrderStatus.ABANDONED, updated_at=now, completed_at=now)
    )
    if given_up.rowcount:
        forget_keys(conn, order_id)


def cancel_purchases(runtime: Runtime, order_id: str, *, cancelled: bool = False) -> int:
    """Cancel the order's purchases by chunks. Returns how many were asked to stop.

    *cancelled*: only as long as the order's cancel stands. Whoever dies over it leaves it to the sweep.
    """
    total = 0
    while True:
        found, asked = runtime.database.run(
            lambda conn: cancel_order(conn, order_id, runtime.now(), CHUNK, cancelled=cancelled)
        )
        total += asked
        if found == 0:
            return total


def complete_finished(runtime: Runtime) -> int:
    """Complete the orders of which every line is settled, and give up those whose loading stopped half way.

    A cancel that stopped half way goes on. What waits in an order that has bought all it may is cancelled,
    and what costs more than is left of its max_spend.
    """
    if not runtime.database.may_find(sweep.ANY_UNFINISHED):
        return 0
    with runtime.database.read() as conn:
        finished = sweep.finished_orders(conn)
        stale = sweep.stale_orders(conn, runtime.now())
        enough = [*used_up(conn), *money.overdrawn_orders(conn)]
        dear = money.stuck_orders(conn)
        halfway = half_cancelled(conn, runtime.now())
    for order_id in enough:
        cancel_purchases(runtime, order_id)
    for order_id in dear:
        runtime.database.run(partial(_give_up_dear, order_id=order_id, now=runtime.now()))
    for order_id in halfway:
        _cancel(runtime, order_id)
    for order_id in stale:
        abandon(runtime, order_id)
    return sum(runtime.database.run(partial(_complete, order_id=order_id, now=runtime.now())) for order_id in finished)


def _give_up_dear(conn: Connection, *, order_id: str, now: datetime) -> None:
    """Give up what waits and costs more than is left; with the order locked, nothing more of it is called for."""
    order = conn.execute(select(ORDER).where(ORDER.c.id == order_id).with_for_update()).mappings().one()
    if bound := money.bound_of(dict(order)):
        dear = money.too_dear(conn, order_id, bound)
        give_way(conn, order_id, dear, f"it costs more than is left of max_spend, {bound}", now)


def _complete(conn: Connection, *, order_id: str, now: datetime) -> bool:
    if not sweep.lock_finished(conn, order_id):
        return False
    return sweep.complete_order(conn, order_id, now, order_event_data(conn, order_id))


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
        **({"wishes": told} if (told := summary(conn, order_id)) else {}),
    }


def tell_order_accepted(conn: Connection, order_id: str, now: datetime, *, repeat: bool) -> None:
    """Write the event of an order's acceptance."""
    data = order_event_data(conn, order_id)
    del data["completed_before"]
    event = other_event(EventType.ACCEPTED, now, {**data, "repeat": repeat}, provider=None, subject=order_id)
    emit(conn, [event])
