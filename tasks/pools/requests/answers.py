"""Answers to those who take and give back: each goes out as an event of the same transaction, and is remembered.

A refusal too: its caller may have gone elsewhere since, and its message may be delivered again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, Executable, bindparam, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.events import EventType
from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST, Slot
from tasks.ledger.rows import Row, emit
from tasks.pools.events import pool_event

Request = TakeNumber | ReturnNumber

_TASK: dict[type[Request], str] = {TakeNumber: "take", ReturnNumber: "return"}
_DONE: dict[type[Request], EventType] = {
    TakeNumber: EventType.POOL_TAKEN,
    ReturnNumber: EventType.POOL_RETURNED,
}
_SHOWN = ("number", "provider", "provider_number_id", "purchase_id")

_EARLIER = select(POOL_REQUEST).where(POOL_REQUEST.c.request_id == bindparam("request"))
_STILL_TAKEN = select(POOL_NUMBER.c.number).where(
    POOL_NUMBER.c.request_id == bindparam("request"), POOL_NUMBER.c.status == literal(str(Slot.TAKEN))
)
_RETURNED = select(POOL_REQUEST.c.request_id).where(
    POOL_REQUEST.c.created_at == bindparam("then"),
    POOL_REQUEST.c.task == literal(_TASK[ReturnNumber]),
    POOL_REQUEST.c.error_code.is_(None),
)
_REMEMBER: dict[str, Executable] = {
    "postgresql": postgresql.insert(POOL_REQUEST).on_conflict_do_nothing().returning(POOL_REQUEST.c.request_id),
    "sqlite": sqlite.insert(POOL_REQUEST).on_conflict_do_nothing().returning(POOL_REQUEST.c.request_id),
}


def answered(conn: Connection, request: Request, now: datetime) -> Row | None:
    """The answer to a request that was answered before, or to another one with its id."""
    earlier = conn.execute(_EARLIER, {"request": request.request_id}).mappings().first()
    if earlier is None:
        return None
    if earlier["fingerprint"] != request.fingerprint:
        error = f"request_id: {request.request_id!r} came before with another request: send a new one"
        return _refuse(conn, request, now, code="key_conflict", error=error)
    if earlier["error_code"] is not None:
        return _refuse(conn, request, now, code=earlier["error_code"], error=earlier["error"], repeat=True)
    numbers = earlier["numbers"]
    if isinstance(request, TakeNumber):
        taken = set(conn.execute(_STILL_TAKEN, {"request": request.request_id}).scalars())
        numbers = [one for one in numbers if one["number"] in taken]
    if len(numbers) < len(earlier["numbers"]):
        error = "numbers of this request were given back or released since: send a new request_id to take others"
        return _refuse(conn, request, now, code="already_returned", error=error, numbers=numbers)
    return _tell(conn, _DONE[type(request)], request, now, taker=earlier["taker"], numbers=numbers, repeat=True)


def remember(conn: Connection, request: Request, taker: str | None, slots: Sequence[Row], now: datetime) -> bool:
    """Write down what is being done, before it is; False where the request was answered before.

    One that is being answered in another transaction is waited for.
    """
    return _remember(conn, request, now, taker=taker, numbers=_shown(slots), error_code=None, error=None)


def done(conn: Connection, request: Request, taker: str | None, slots: Sequence[Row], now: datetime) -> Row:
    """The answer to what was done just now."""
    return _tell(conn, _DONE[type(request)], request, now, taker=taker, numbers=_shown(slots))


def was_returned(conn: Connection, slot: Row) -> bool:
    """Whether somebody's return, and not its purchase, made a place's number available to who took it."""
    return conn.execute(_RETURNED, {"then": slot["available_at"]}).first() is not None


def refuse(conn: Connection, request: Request, now: datetime, *, code: str, error: str) -> Row | None:
    """The answer, from now on, that nothing is done, and why; one that was answered before keeps its answer.

    None where what was quicker has left no answer.
    """
    if not _remember(conn, request, now, taker=request.taker, numbers=[], error_code=code, error=error):
        return answered(conn, request, now)
    return _refuse(conn, request, now, code=code, error=error)


def _remember(conn: Connection, request: Request, now: datetime, **answer: object) -> bool:
    row = {
        "request_id": request.request_id,
        "fingerprint": request.fingerprint,
        "pool": request.pool,
        "task": _TASK[type(request)],
        "created_at": now,
        **answer,
    }
    return conn.execute(_REMEMBER[conn.dialect.name], row).first() is not None


def _refuse(
    conn: Connection,
    request: Request,
    now: datetime,
    *,
    code: str,
    error: str,
    numbers: Sequence[Row] = (),
    repeat: bool = False,
) -> Row:
    """*numbers* are what is left of an earlier take."""
    told = {"success": False, "error": error, "error_code": code, "numbers": list(numbers), "repeat": repeat}
    return _tell(conn, EventType.POOL_REFUSED, request, now, task=_TASK[type(request)], **told)


def _shown(slots: Sequence[Row]) -> list[Row]:
    return [{name: row[name] for name in _SHOWN} for row in slots]


def _tell(conn: Connection, kind: EventType, request: Request, now: datetime, **told: object) -> Row:
    data = {
        "request_id": request.request_id,
        "pool": request.pool,
        "taker": request.taker,
        "success": True,
        "error": None,
        "error_code": None,
        "metadata": request.metadata,
        "repeat": False,
        **told,
    }
    emit(conn, [pool_event(kind, request.pool, now, data)])
    return data
