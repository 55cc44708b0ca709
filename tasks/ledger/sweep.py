"""What brings back purchases and orders that made no progress; every worker runs it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Integer, bindparam, exists, literal, or_, select, update

from schemas.config.policy import Policy
from schemas.events import EventType
from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import UNSETTLED, OrderStatus, Status
from schemas.tables.purchases import LINE, ORDER, PURCHASE, RUNNING, SHARED, UNFINISHED
from tasks.ledger.among import any_of
from tasks.ledger.calls.attempts import close_attempt
from tasks.ledger.calls.charged_twice import tell_executed
from tasks.ledger.calls.intents import SWEEP_GRACE
from tasks.ledger.calls.outcomes import kept_evidence, settle
from tasks.ledger.orders.wishes import HAS_OPEN_WISH
from tasks.ledger.rows import Row, emit, other_event, watched
from tasks.policies.backoff import call_length
from tasks.policies.retry import History, after_call
from tasks.policies.watched_time import Watch
from tasks.telemetry.traceparent import within

LOADING_PATIENCE = timedelta(minutes=10)
"""How long an order may stand in *loading* without a new line before it is given up."""

MESSAGE_PATIENCE = timedelta(hours=24)
"""The same for an order with a key: its message may be delivered, or sent, again, and then goes on."""

_GONE = Outcome(
    kind=OutcomeKind.UNKNOWN,
    error_code="worker_gone",
    error="the worker went away during the call",
)


_AT = PURCHASE.c
# Asked once a second by every worker, so built once.
_OVERDUE = select(_AT.id).where(_AT.provider == bindparam("of"), RUNNING, _AT.due_at <= bindparam("now")).limit(1)
_LOST = (
    select(PURCHASE)
    .where(_AT.provider == bindparam("of"), RUNNING, _AT.status == literal(str(Status.PURCHASING)))
    .where(_AT.due_at <= bindparam("now"), _AT.updated_at >= bindparam("since"))
    .order_by(_AT.due_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_LATE = or_(
    ORDER.c.cancel_requested_at.is_not(None),
    ORDER.c.updated_at < bindparam("message"),
    ORDER.c.idempotency_key.is_(None) & (ORDER.c.updated_at < bindparam("load")),
)
ANY_UNFINISHED = select(ORDER.c.status).where(UNFINISHED).order_by(ORDER.c.status).limit(1)
_STALE = select(ORDER.c.id).where(UNFINISHED, ORDER.c.status == literal(str(OrderStatus.LOADING)), _LATE)


def any_overdue(conn: Connection, provider: str, now: datetime) -> bool:
    """Whether anything dispatched or claimed is past its time: a cheap question, asked before the write lock."""
    return conn.execute(_OVERDUE, {"of": provider, "now": now}).first() is not None


def overdue_strangers(conn: Connection, configured: Collection[str], now: datetime) -> list[str]:
    """Aliases that are not configured, and have something dispatched or claimed past its time."""
    at = PURCHASE.c
    query = select(at.provider).where(RUNNING, at.due_at <= now, at.provider.not_in(configured)).distinct()
    return sorted(conn.execute(query).scalars())


def lost_calls(conn: Connection, provider: str, watch: Watch, policy: Policy, limit: int) -> list[Row]:
    """Purchases whose call is over by its deadline and left no outcome, locked."""
    since = watched(watch, call_length(policy) + SWEEP_GRACE.total_seconds())
    values = {"of": provider, "now": watch.now, "since": since, "most": limit}
    return [dict(row) for row in conn.execute(_LOST, values).mappings()]


def lose_call(conn: Connection, row: Row, policy: Policy, watch: Watch, *, can_look: bool) -> Row | None:
    """A call without an outcome may have been executed: look, or ask a person."""
    now = watch.now
    close_attempt(conn, row, _GONE, now)
    history = History(
        attempts=row["attempts"], tried_seconds=row["tried_seconds"], doubt=row["doubt"], can_look=can_look
    )
    kept = kept_evidence(conn, row)
    decision = kept or after_call(_GONE, history, policy)
    if not watch.saw(row["updated_at"]):
        # Its deadline is over, but was written by a clock that may have been set since.
        decision = replace(decision, from_deadline=False)
    first = row["first_attempt_at"] or row["updated_at"]
    after = settle(conn, row, decision, now, first_attempt_at=first)
    return tell_executed(conn, after, now) if kept and after else after


_UNSETTLED = any_of(PURCHASE.c.status, UNSETTLED)
_OWN = exists().where(PURCHASE.c.order_id == ORDER.c.id, _UNSETTLED)
_SHARED = exists().where(LINE.c.order_id == ORDER.c.id, SHARED, LINE.c.purchase_id == PURCHASE.c.id, _UNSETTLED)
_FINISHED = select(ORDER.c.id).where(
    UNFINISHED, ORDER.c.status == literal(str(OrderStatus.OPEN)), ~_OWN, ~_SHARED, ~HAS_OPEN_WISH
)


_OF_IT = (LINE.c.order_id == bindparam("of"), LINE.c.purchase_id == PURCHASE.c.id)
_STRANGE = exists().where(*_OF_IT, _AT.status.not_in(sorted(Status)))


def finished_orders(conn: Connection) -> list[str]:
    """Open orders of which every line is settled, and every wish at its end."""
    return list(conn.execute(_FINISHED).scalars())


def lock_finished(conn: Connection, order_id: str) -> bool:
    """Whether this order is still finished, asked again with the order locked: a retry may have brought lines.

    One with a purchase in a status that only a newer program knows is that one's to complete.
    """
    conn.execute(select(ORDER.c.id).where(ORDER.c.id == order_id).with_for_update())
    return conn.execute(_FINISHED.where(ORDER.c.id == order_id, ~_STRANGE), {"of": order_id}).first() is not None


def complete_order(conn: Connection, order_id: str, now: datetime, data: Row) -> bool:
    """Complete an order once; *data* goes out with the event. False where another worker came first."""
    done = conn.execute(
        update(ORDER)
        .where(ORDER.c.id == order_id, ORDER.c.status == OrderStatus.OPEN)
        .values(status=OrderStatus.COMPLETED, completed_at=now, updated_at=now)
        .returning(ORDER.c.traceparent)
    ).first()
    if done is None:
        return False
    kind = EventType.ORDER_UPDATED if data.pop("completed_before") else EventType.ORDER_COMPLETED
    with within(done.traceparent):
        emit(conn, [other_event(kind, now, data, provider=None, subject=order_id)])
    return True


def stale_orders(conn: Connection, now: datetime) -> list[str]:
    """Orders whose loading stopped half way, or was called off."""
    since = {"message": now - MESSAGE_PATIENCE, "load": now - LOADING_PATIENCE}
    return list(conn.execute(_STALE, since).scalars())
