"""The rows of calls: what each came to, and which of them the provider executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, or_, select, update

from schemas.outcomes import Outcome, OutcomeKind, clip
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, PURCHASE
from tasks.ledger.among import among
from tasks.ledger.rows import Row

_ENDED = ("ended_at", "outcome", "http_status", "error_code", "provider_number_id", "detail")

# Built once: building a statement costs more than running it.
CLOSE = (
    update(ATTEMPT)
    .where(ATTEMPT.c.purchase_id == bindparam("at_id"), ATTEMPT.c.revision == bindparam("at_revision"))
    .values({name: bindparam(name) for name in _ENDED})
)

YES = (OutcomeKind.PURCHASED, OutcomeKind.PROCESSING)
MAY_BE_EXECUTED = or_(ATTEMPT.c.outcome.is_(None), ATTEMPT.c.outcome.in_((OutcomeKind.UNKNOWN, *YES)))
"""The attempts that the provider may have executed, or did."""
# A server that was replaced may have given its revision to another call: of that one it says nothing.
_CLOSE_NO = CLOSE.where(
    ATTEMPT.c.deadline == bindparam("at_deadline"), or_(ATTEMPT.c.outcome.is_(None), ATTEMPT.c.outcome.not_in(YES))
)
WITHOUT = (Status.FAILED, Status.CANCELLED)
"""Statuses of purchases that ended without their number."""


def _yeses(own: ColumnElement[bool]) -> Select[Any]:
    at, call = PURCHASE.c, ATTEMPT.c
    ended = and_(at.id != bindparam("of"), at.status.in_(WITHOUT), call.ended_at >= bindparam("since"))
    its = (at.number == bindparam("number"), at.account == bindparam("owner"), among(call.outcome, "kinds"))
    query = select(ATTEMPT).join(PURCHASE, at.id == call.purchase_id).where(*its, or_(own, ended))
    return query.order_by(call.ended_at, call.purchase_id, call.revision)


# Asked at each answer, so built once.
_YES = _yeses(PURCHASE.c.id == bindparam("of"))
_OTHER_YES = _yeses(and_(PURCHASE.c.id == bindparam("of"), ATTEMPT.c.revision != bindparam("revision")))


def close_attempt(conn: Connection, row: Mapping[str, Any], outcome: Outcome, now: datetime) -> None:
    """Write what the call that *row* is claimed for came to; a later answer replaces an earlier doubt, and no no a yes.

    The purchase is locked before its attempt, everywhere: else an answer and the sweep wait for each other.
    """
    values = closing(row, outcome, now)
    if outcome.yes:
        conn.execute(CLOSE, values)
    else:
        conn.execute(_CLOSE_NO, {**values, "at_deadline": row["call_deadline"]})


def closing(row: Mapping[str, Any], outcome: Outcome, now: datetime) -> Row:
    """The values of CLOSE."""
    return {
        "at_id": row["id"],
        "at_revision": row["revision"],
        "ended_at": now,
        "outcome": str(outcome.kind),
        "http_status": outcome.http_status,
        "error_code": clip(outcome.error_code, 80),
        "provider_number_id": clip(outcome.provider_number_id, 200),
        "detail": clip(outcome.detail or outcome.error),
    }


def last_call(conn: Connection, row: Mapping[str, Any]) -> int | None:
    """The revision of the last call of *row*."""
    return conn.execute(select(func.max(ATTEMPT.c.revision)).where(ATTEMPT.c.purchase_id == row["id"])).scalar()


def other_yes(
    conn: Connection, row: Mapping[str, Any], revision: int | None, kinds: Sequence[OutcomeKind] = YES
) -> Row | None:
    """A call that the provider says it executed, and that is not the one of *row* at *revision*.

    It may be a call of a purchase that had ended without the number, and was answered after *row* took its place.
    """
    values = {**_of(row), "kinds": [*map(str, kinds)], "revision": -1 if revision is None else revision}
    first = conn.execute(_OTHER_YES, values).mappings().first()
    return None if first is None else dict(first)


def executed(conn: Connection, row: Mapping[str, Any]) -> list[str | None]:
    """The provider's id of each call that it says it executed: those of *row*, and late ones as in `other_yes`."""
    found = conn.execute(_YES, {**_of(row), "kinds": [*map(str, YES)]}).mappings()
    return [call["provider_number_id"] for call in found]


def _of(row: Mapping[str, Any]) -> Row:
    return {"of": row["id"], "number": row["number"], "owner": row["account"], "since": row["created_at"]}
