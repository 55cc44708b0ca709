"""Take numbers from a pool and give them back: each request is answered once for all, however often it comes.

What is refused is an answer, not an exception: several requests share one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, partial
from typing import TypeVar

from sqlalchemy import Connection, Executable, Integer, Update, bindparam, literal, select, update

from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.requests import digest, key_of_message
from schemas.tables.pools import AVAILABLE, GONE, LIVE, POOL_NUMBER, Slot
from tasks.ledger.rows import Row
from tasks.policies.delivered_again import MAY_BE_LATE, UNCLEAR
from tasks.pools.requests.answers import Request, answered, done, refuse, remember, was_returned
from tasks.pools.stock import CHUNK, any_ended, settle
from tasks.runtime import Runtime
from tasks.telemetry.traceparent import present, within
from tasks.transactions import Raced

MAX_ID = 200
"""Characters that the table has for the id of a request."""

Now = Callable[[], datetime]
R = TypeVar("R", TakeNumber, ReturnNumber)
Action = Callable[[Connection, R, datetime], Row | None]

_AT = POOL_NUMBER.c

_LONGEST = (
    select(POOL_NUMBER)
    .where(_AT.pool == bindparam("of"), AVAILABLE)
    .order_by(_AT.available_at, _AT.slot)
    .limit(bindparam("most", type_=Integer))
)
_LOCK_FREE = _LONGEST.with_for_update(skip_locked=True)
_LOCK_ALL = _LONGEST.with_for_update()
_PLACE = select(POOL_NUMBER).where(_AT.number == bindparam("wanted"), LIVE).with_for_update()
_GONE = select(_AT.slot).where(_AT.number == bindparam("wanted"), _AT.pool == bindparam("of"), GONE)
# Compared by the request, not by the status: without statistics PostgreSQL would look for a slot in the index of all
# that is available.
_PLACED = (_AT.pool == bindparam("of"), _AT.slot.in_(bindparam("slots", expanding=True)))
_TAKE = (
    update(POOL_NUMBER)
    .where(*_PLACED, _AT.request_id.is_(None))
    .values(
        status=literal(str(Slot.TAKEN)),
        taker=bindparam("by"),
        taken_at=bindparam("now"),
        request_id=bindparam("request"),
        updated_at=bindparam("now"),
    )
)
_RETURN = (
    update(POOL_NUMBER)
    .where(*_PLACED, _AT.request_id == bindparam("had"))
    .values(
        status=literal(str(Slot.AVAILABLE)),
        taker=None,
        taken_at=None,
        request_id=None,
        available_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)


def take(runtime: Runtime, request: TakeNumber, message_id: object) -> Row:
    """Take the longest available numbers of a pool, all that are asked for or none.

    Without a `request_id` of its own the request is known by *message_id*. Raises RequestError (invalid_message_id).
    Returns the data of the event that tells
    of it: where `success` is false, `error_code` is pool_empty, not_enough, already_returned or key_conflict. Who was
    refused and still wants one sends a new id.
    """
    return _once(runtime, _with_id(request, message_id), _take_free, _take_waiting)


def give_back(runtime: Runtime, request: ReturnNumber, message_id: object, *, again: bool = False) -> Row:
    """Put a taken number at the end of its pool's line.

    Without a `request_id` of its own the request is known by *message_id*. Raises RequestError (invalid_message_id).
    Returns the data of the event that tells
    of it: where `success` is false, `error_code` is not_taken, not_yours, gone, key_conflict, or unclear: the message
    came *again* and was not answered before, and the number has changed hands within `MAY_BE_LATE`.
    """
    action = _give_back_late if again else _give_back
    return _once(runtime, _with_id(request, message_id), action, action)


def _with_id(request: R, message_id: object) -> R:
    if request.request_id is not None:
        return request
    return request.model_copy(update={"request_id": known_as(key_of_message(message_id, None))})


def known_as(message_id: str) -> str:
    """The `request_id` of a request that came without, from its message's id."""
    return message_id if len(message_id) <= MAX_ID else digest(message_id)


def _once(runtime: Runtime, request: R, action: Action[R], alone: Action[R]) -> Row:
    """The answer of *action*, in a transaction with others; where it has none, that of *alone*."""
    [answer] = runtime.database.transact(_together(runtime.now, action), [(request, present())])
    if answer is None:
        answer = runtime.database.run(lambda conn: _by_itself(conn, runtime, request, alone))
    runtime.reached("recorded")
    return answer


@cache
def _together(now: Now, action: Action[R]) -> Callable[[Connection, Sequence[tuple[R, str | None]]], list[Row | None]]:
    """Made once for each *action*: what threads ask for at the same time is done in one order.

    In an order of their own, two processes with the same requests would wait for each other for ever. One thread does
    it for all of them: each request comes with its caller's trace.
    """

    def answer(conn: Connection, request: R, traceparent: str | None) -> Row | None:
        with within(traceparent):
            return action(conn, request, now())

    def answer_all(conn: Connection, requests: Sequence[tuple[R, str | None]]) -> list[Row | None]:
        in_order = sorted(range(len(requests)), key=lambda n: _place(requests[n][0]))
        answers = {n: answer(conn, *requests[n]) for n in in_order}
        return [answers[n] for n in range(len(requests))]

    return answer_all


def _place(request: Request) -> str:
    """What a request may have to wait for: a take for its own id, a return for its number."""
    return request.number if isinstance(request, ReturnNumber) else request.request_id or ""


def _by_itself(conn: Connection, runtime: Runtime, request: R, action: Action[R]) -> Row:
    answer = action(conn, request, runtime.now())
    if answer is None:
        raise Raced
    return answer


def _take_free(conn: Connection, request: TakeNumber, now: datetime) -> Row | None:
    """Take what no other transaction has in its hands; None where those are the last ones, or more was bought."""
    slots = _look(conn, request, _LOCK_FREE)
    if len(slots) == request.count:
        return _take(conn, request, now, slots, slots)
    # asked before the look: whatever is settled in between is seen by that
    if any_ended(conn, request.pool):
        return None
    return _take(conn, request, now, slots, _look(conn, request, _LONGEST))


def _take_waiting(conn: Connection, request: TakeNumber, now: datetime) -> Row | None:
    """Take after all that others have in their hands: only alone, with nothing in one's own.

    What was bought and not settled yet is told as available everywhere: it is settled here, and can be taken.
    """
    while settle(conn, now, request.pool, waits=True) == CHUNK:
        pass
    slots = _look(conn, request, _LOCK_ALL)
    return _take(conn, request, now, slots, slots)


def _take(
    conn: Connection, request: TakeNumber, now: datetime, slots: Sequence[Row], there: Sequence[Row]
) -> Row | None:
    """A take that came before is found where this one is written down: whatever it meets, it keeps its answer."""
    if len(slots) < request.count:
        return _too_few(conn, request, now, len(there)) if len(there) < request.count else None
    if not remember(conn, request, request.taker, slots, now):
        return answered(conn, request, now)
    _move(conn, _TAKE, slots, now, by=request.taker, request=request.request_id)
    return done(conn, request, request.taker, slots, now)


def _too_few(conn: Connection, request: TakeNumber, now: datetime, there: int) -> Row | None:
    again = "with a new request_id"
    if there == 0:
        error = f"pool {request.pool!r} has no number to take now: ask again, {again}, when it was topped up"
        return refuse(conn, request, now, code="pool_empty", error=error)
    asked = f"{there} of the {request.count} numbers asked for"
    error = f"pool {request.pool!r} has {asked}: ask for fewer, or later, {again}"
    return refuse(conn, request, now, code="not_enough", error=error)


def _give_back(conn: Connection, request: ReturnNumber, now: datetime, *, late: bool = False) -> Row | None:
    """A return that came before is found where this one is written down: whatever it meets, it keeps its answer."""
    places = [row for row in _rows(conn, _PLACE, wanted=request.number) if row["pool"] == request.pool]
    slot = next((row for row in places if row["status"] == Slot.TAKEN), None)
    if slot is None:
        return _not_taken(conn, request, now, places)
    if request.taker not in (None, slot["taker"]):
        error = f"{request.number} was not taken by {request.taker!r}: only who took it can give it back"
        return refuse(conn, request, now, code="not_yours", error=error)
    if late and slot["available_at"] > now - MAY_BE_LATE and was_returned(conn, slot):
        error = f"{request.number} was given back and taken again, perhaps after this was sent"
        return refuse(conn, request, now, code=UNCLEAR, error=f"{error}: send a new request to return it")
    if not remember(conn, request, slot["taker"], [slot], now):
        return answered(conn, request, now)
    _move(conn, _RETURN, [slot], now, had=slot["request_id"])
    return done(conn, request, slot["taker"], [slot], now)


_give_back_late = partial(_give_back, late=True)


def _not_taken(conn: Connection, request: ReturnNumber, now: datetime, places: Sequence[Row]) -> Row | None:
    if places:
        return refuse(conn, request, now, code="not_taken", error=f"{request.number} is taken by nobody")
    if _rows(conn, _GONE, wanted=request.number, of=request.pool):
        return refuse(conn, request, now, code="gone", error=f"{request.number} was released at its provider")
    error = f"pool {request.pool!r} has no number {request.number}"
    return refuse(conn, request, now, code="not_taken", error=error)


def _look(conn: Connection, request: TakeNumber, query: Executable) -> list[Row]:
    return _rows(conn, query, of=request.pool, most=request.count)


def _rows(conn: Connection, query: Executable, **values: object) -> list[Row]:
    return [dict(row) for row in conn.execute(query, values).mappings()]


def _move(conn: Connection, statement: Update, slots: Sequence[Row], now: datetime, **values: object) -> None:
    """Compare and set: the rows are locked, so that anything else than all of them is a bug, and undone."""
    places = {"of": slots[0]["pool"], "slots": [row["slot"] for row in slots]}
    if conn.execute(statement, {**places, "now": now, **values}).rowcount != len(slots):
        raise Raced
