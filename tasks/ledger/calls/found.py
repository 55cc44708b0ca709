"""What a look found, written into the call that it was for: else a yes that comes late is lost with its look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Update, select, update

from schemas.outcomes import Look, LookKind, OutcomeKind, clip
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT
from tasks.ledger.calls.attempts import YES, last_call, other_yes
from tasks.ledger.rows import Row
from tasks.policies.retry import Decision

FOUND_BY_LOOK, FOUND_BY_ORDER = "found_by_look", "found_by_order"
"""The error_codes of a call whose yes is a look's: which call it was is known no better, or is told by its order."""

_BY_LOOK = (FOUND_BY_LOOK, FOUND_BY_ORDER)
_FOUND = {LookKind.OWNED: OutcomeKind.PURCHASED, LookKind.PROCESSING: OutcomeKind.PROCESSING}
_MAY_BE = (None, OutcomeKind.UNKNOWN, OutcomeKind.COMPLIANCE, OutcomeKind.PROCESSING)
"""Outcomes of calls that may have bought what a look finds."""


def write_found(conn: Connection, row: Mapping[str, Any], look: Look, now: datetime) -> int | None:
    """Write that a look at *row*, as it was when the look began, found the number.

    It is a yes to the last call until then that may have been executed. Returns that call's revision; None where there
    is none, where the look found nothing, or where it is, or may be, another call's own yes that it has seen: also one
    made since, whose number's id is not known yet. What the look knows by its order is none that was made since.
    """
    kind, known = _FOUND.get(look.kind), look.provider_number_id
    if kind is None or look.compliance:
        return None
    at = ATTEMPT.c
    calls = conn.execute(select(ATTEMPT).where(at.purchase_id == row["id"]).order_by(at.revision.desc())).all()
    before = [call for call in calls if call.revision <= row["revision"]]
    told = {call.provider_number_id for call in calls if call.outcome in YES}
    since = {call.provider_number_id for call in calls if call.outcome in YES and call not in before}
    bought = {call.provider_number_id for call in before if call.outcome == OutcomeKind.PURCHASED}
    call = next((call for call in before if call.outcome in _MAY_BE), None)
    by_order = look.provider_order_id is not None
    if call is None or (known is not None and known in told) or (bought and None in {known, *bought}):
        return None
    if None in since and not by_order:
        return None
    code = FOUND_BY_ORDER if by_order else FOUND_BY_LOOK
    found = {"outcome": str(kind), "provider_number_id": clip(known, 200), "error_code": code}
    conn.execute(_at(call.purchase_id, call.revision).values(**found, ended_at=now))
    return int(call.revision)


def write_refused(conn: Connection, row: Row, look: Look, now: datetime) -> None:
    """Write that the order which the last call of *row* brought ended without the number: that call bought nothing."""
    refused = {"outcome": str(OutcomeKind.REFUSED), "error_code": clip(look.error_code, 80), "detail": clip(look.error)}
    taken = ATTEMPT.c.outcome == OutcomeKind.PROCESSING
    conn.execute(_at(row["id"], last_call(conn, row)).where(taken).values(**refused, ended_at=now))


def put_aside(conn: Connection, row: Mapping[str, Any], known: str | None) -> str | None:
    """Make room in the call that *row* is claimed for, whose own yes is of the id *known*.

    What a look wrote there under another id is another number's charge: an earlier call's that may have been executed.
    Returns that id where there is no such call: nothing keeps it then.
    """
    at = ATTEMPT.c
    query = select(ATTEMPT).where(at.purchase_id == row["id"], at.revision <= row["revision"])
    calls = conn.execute(query.order_by(at.revision.desc())).all()
    mine = next((call for call in calls if call.revision == row["revision"]), None)
    if mine is None or mine.error_code not in _BY_LOOK or None in (known, mine.provider_number_id):
        return None
    other: str = mine.provider_number_id
    if clip(known, 200) == other:
        return None
    earlier = next((call for call in calls if call is not mine and call.outcome in _MAY_BE), None)
    if earlier is None:
        return other
    found = {name: getattr(mine, name) for name in ("outcome", "provider_number_id", "error_code", "ended_at")}
    conn.execute(_at(earlier.purchase_id, earlier.revision).values(**found))
    return None


def disown(conn: Connection, call: Row, known: str | None) -> bool:
    """Take back what a look wrote into *call*, where that is the number of *known*: a call's own yes tells of it now.

    A yes without an id may tell of all that no order was found for. Returns whether it was so.
    """
    its = (FOUND_BY_LOOK,) if known is None else _BY_LOOK
    if call["error_code"] not in its or known not in (None, call["provider_number_id"]):
        return False
    doubt = {"outcome": str(OutcomeKind.UNKNOWN), "provider_number_id": None}
    conn.execute(_at(call["purchase_id"], call["revision"]).values(**doubt))
    return True


def bought_before(conn: Connection, row: Row) -> Decision | None:
    """What follows from another call that bought the number of *row*, where the order of the last came to nothing."""
    earlier = other_yes(conn, row, last_call(conn, row), (OutcomeKind.PURCHASED,))
    if earlier is None:
        return None
    return Decision(status=Status.PURCHASED, provider_number_id=earlier["provider_number_id"])


def _at(purchase_id: str, revision: int | None) -> Update:
    return update(ATTEMPT).where(ATTEMPT.c.purchase_id == purchase_id, ATTEMPT.c.revision == revision)
