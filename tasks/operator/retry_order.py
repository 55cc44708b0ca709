"""Buying again what an order did not get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, select, update

from schemas.money import price_of
from schemas.requests import BuyNumber, RequestError
from schemas.status import OrderStatus, Status
from schemas.tables.pools import POOL_RUN
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks.chunks import chunks
from tasks.ledger.orders.cancel import left_to_others
from tasks.ledger.orders.limits import MAY_BUY_MORE
from tasks.ledger.orders.wishes import lacking, look_again, wishes_of
from tasks.ledger.requests.accept import Accepted, Entry, accept
from tasks.ledger.requests.joining import BEING_RELEASED, releasing_among
from tasks.ledger.rows import Row
from tasks.orders import CHUNK, OrderError
from tasks.pools.reserved import pools_of
from tasks.runtime import Runtime
from tasks.transactions import Raced

RETRIED = (Status.FAILED, Status.CANCELLED)
"""What of an order is bought again."""


@dataclass(frozen=True, kw_only=True)
class Retried:
    """What came of a retry: lines that are bought again, and lines whose number was there by then.

    What was there is another purchase of the same number: bought, on its way, or held. A cancelled order waits for it
    again. `releasing` are left as they are: their number is on its way back. `wishes` are those of an order by criteria
    that look for what they are missing: other numbers take the place of what failed.
    """

    again: int = 0
    found: int = 0
    releasing: int = 0
    wishes: int = 0


def retry(runtime: Runtime, order_id: str) -> Retried:
    """Buy again the lines that failed or were cancelled, and take a cancel back.

    What was bought under a former name of its account is bought again under the one that the file has. An order by
    criteria looks for other numbers in place of them.

    Raises OrderError while it is loading, where it may buy no more, and for a pool's order: the pool replaces what
    failed by other numbers.
    """
    with runtime.database.read() as conn:
        dead = [
            {**row, "provider": runtime.seller(row["provider"], row["account"])} for row in _dead_lines(conn, order_id)
        ]
        refused = refusal(conn, order_id, more=bool(dead))
        by_criteria = bool(wishes_of(conn, order_id))
    if by_criteria:
        return Retried(wishes=runtime.database.run(lambda conn: look_again(conn, order_id, runtime.now())))
    if refused is not None:
        raise OrderError(refused)
    waiting = runtime.database.run(lambda conn: _wait_again(conn, order_id))
    done = [
        runtime.database.run(partial(_buy_again, order_id=order_id, lines=chunk, now=runtime.now(), begins=n == 0))
        for n, chunk in enumerate(chunks(dead, CHUNK))
    ]
    again, found, releasing = (sum(getattr(one, name) for one in done) for name in ("again", "found", "releasing"))
    return Retried(again=again, found=waiting + found, releasing=releasing)


def would_retry(conn: Connection, order: Row, *, dead: bool) -> bool:
    """Whether a retry of an order's row would do anything; *dead*: lines of it failed or were cancelled."""
    if wishes_of(conn, order["id"]):
        return bool(lacking(conn, order["id"]))
    if refusal(conn, order["id"], more=dead) is not None:
        return False
    stopped = order["status"] == OrderStatus.OPEN and order["cancel_requested_at"] is not None
    return dead or (stopped and left_to_others(conn, order["id"]) > 0)


def _dead_lines(conn: Connection, order_id: str) -> list[Row]:
    at = PURCHASE.c
    query = (
        select(LINE.c.line, LINE.c.metadata.label("line_metadata"), PURCHASE)
        .join(PURCHASE, at.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id, at.status.in_(RETRIED))
        .order_by(LINE.c.line)
    )
    return [dict(row) for row in conn.execute(query).mappings()]


def refusal(conn: Connection, order_id: str, *, more: bool) -> str | None:
    """Why nothing of the order is retried, and the mend; *more* says whether it would buy anything. None: it is."""
    pool = conn.execute(select(POOL_RUN.c.pool).where(POOL_RUN.c.order_id == order_id)).scalar()
    query = select(ORDER.c.status, ORDER.c.max_purchases, MAY_BUY_MORE.label("may_buy_more"))
    order = conn.execute(query.where(ORDER.c.id == order_id)).one()
    if pool is not None:
        message = f"order {order_id} is of the pool {pool}, which replaces what failed by other numbers"
        return f"{message}: dialstock pool run {pool} does it now"
    if order.status in (OrderStatus.LOADING, OrderStatus.ABANDONED):
        return f"order {order_id} is {order.status}: submit its file again"
    if more and not order.may_buy_more:
        message = f"order {order_id} has bought, or is buying, all that its --max {order.max_purchases} allows"
        return f"{message}: submit the numbers that you want too as a new order"
    return None


def _wait_again(conn: Connection, order_id: str) -> int:
    """Take back the cancel of an order of which lines wait for another's purchase. Returns how many lines do."""
    stopped = (ORDER.c.id == order_id, ORDER.c.status == OrderStatus.OPEN, ORDER.c.cancel_requested_at.is_not(None))
    waiting = left_to_others(conn, order_id)
    if waiting and conn.execute(update(ORDER).where(*stopped).values(cancel_requested_at=None)).rowcount:
        return waiting
    return 0


def _buy_again(conn: Connection, *, order_id: str, lines: Sequence[Row], now: datetime, begins: bool = True) -> Retried:
    """Buy again a chunk of lines. The first takes a cancel back; one that came since then stands."""
    stands = () if begins else (ORDER.c.cancel_requested_at.is_(None),)
    reopened = {"status": OrderStatus.OPEN, "cancel_requested_at": None, "updated_at": now}
    # The order first: who completes it, or buys the same lines again, waits here.
    if conn.execute(update(ORDER).where(ORDER.c.id == order_id, *stands).values(**reopened)).rowcount == 0:
        return Retried()
    wanted = [((row["account"], row["number"]), row) for row in _still_dead(conn, order_id, lines)]
    # What a pool has by now is not bought for somebody else.
    pools = pools_of(conn, [one for one, _ in wanted])
    going = releasing_among(conn, [one for one, _ in wanted])
    entries = [_entry_again(row) for one, row in wanted if one not in pools and one not in going]
    answers = _accept(conn, entries, now, order_id)
    there = [one.row for one in answers if not one.created]
    if pools_of(conn, [(row["account"], row["number"]) for row in there]):
        raise Raced  # a pool has ordered one of them since they were looked for
    for entry, accepted in zip(entries, answers, strict=True):
        _point_line(conn, order_id, entry, accepted)
    again = sum(accepted.created or accepted.taken for accepted in answers)
    return Retried(again=again, found=len(answers) - again, releasing=sum(one in going for one, _ in wanted))


def _point_line(conn: Connection, order_id: str, entry: Entry, accepted: Accepted) -> None:
    """Have a line be that of the purchase that was accepted for it."""
    conn.execute(
        update(LINE)
        .where(LINE.c.order_id == order_id, LINE.c.line == entry.line)
        .values(
            purchase_id=accepted.row["id"],
            provider=entry.request.provider,
            shared=not (accepted.created or accepted.taken),
            metadata=None if accepted.created else entry.request.metadata,
        )
    )


def _accept(conn: Connection, entries: Sequence[Entry], now: datetime, order_id: str) -> list[Accepted]:
    """Raises Raced for a number that somebody has asked to be given back at this instant."""
    try:
        return accept(conn, entries, now, order_id)
    except RequestError as exc:
        if exc.code != BEING_RELEASED:
            raise
        raise Raced from exc


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
    return Entry(request=request, account=row["account"], line=row["line"], price=price_of(row))
