"""The outcome of a call to buy, and evidence that comes late."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from schemas.events import EventType
from schemas.outcomes import Outcome, OutcomeKind, clip
from schemas.status import Status
from schemas.tables import ATTEMPT, PURCHASE
from tasks.ledger.intents import Claim
from tasks.ledger.reopen import reopen_orders
from tasks.ledger.rows import Row, WrongMove, emit, lock, move, move_all, purchase_event
from tasks.policies.retry import Decision

log = logging.getLogger(__name__)

# The hot path's statements are built once: building one costs more than running it.
_AT = PURCHASE.c
_CLOSE = (
    update(ATTEMPT)
    .where(ATTEMPT.c.purchase_id == bindparam("at_id"), ATTEMPT.c.revision == bindparam("at_revision"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "ended_at",
                "outcome",
                "http_status",
                "error_code",
                "provider_number_id",
                "detail",
            )
        }
    )
)
_LOCK = (
    select(_AT.id, _AT.revision).where(_AT.id.in_(bindparam("ids", expanding=True))).order_by(_AT.id).with_for_update()
)

_YES = (OutcomeKind.PURCHASED, OutcomeKind.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a claimed call came to, and what follows from it."""

    claim: Claim
    outcome: Outcome
    decision: Decision


def record_all(conn: Connection, answers: Sequence[Answer], now: datetime) -> list[Row | None]:
    """Write outcomes as `record` does; the plain yeses among them are written together.

    A yes is plain where the purchase still is as it was claimed, and no earlier call of it is in doubt.
    """
    done = _record_plain(conn, answers, now) if len(answers) > 1 else {}
    return [
        done[place] if place in done else record(conn, one.claim, one.outcome, one.decision, now)
        for place, one in enumerate(answers)
    ]


def _record_plain(conn: Connection, answers: Sequence[Answer], now: datetime) -> dict[int, Row]:
    """Write the plain yeses. Returns the purchases after, by the answers' places."""
    places: dict[str, int] = {}
    for place, one in enumerate(answers):
        if one.outcome.kind is OutcomeKind.PURCHASED and not one.claim.row["doubt"]:
            # The first of two about one purchase: the second has to see what the first has written.
            places.setdefault(one.claim.row["id"], place)
    at = {row.id: row.revision for row in conn.execute(_LOCK, {"ids": list(places)})}
    standing = {place: answers[place] for key, place in places.items() if at.get(key) == _revision(answers[place])}
    if not standing:
        return {}
    plain = standing.values()
    moves = [(one.claim.row, _yes_changes(one.claim.row, one.outcome, one.decision, now)) for one in plain]
    after = move_all(conn, moves, Status.PURCHASED, now)
    if after is None:
        raise WrongMove("a purchase that was locked has moved")
    conn.execute(_CLOSE, [_closing(one.claim.row, one.outcome, now) for one in plain])
    return dict(zip(standing, after, strict=True))


def _revision(answer: Answer) -> int:
    return int(answer.claim.row["revision"])


def record(conn: Connection, claimed: Claim, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    """Write a call's outcome: the attempt, the status and its event.

    Returns the purchase after, or None where it had moved on meanwhile and the outcome changed nothing.
    """
    if outcome.yes:
        return _record_yes(conn, claimed.row, outcome, decision, now)
    return _record_no(conn, claimed, outcome, decision, now)


def close_attempt(conn: Connection, row: Mapping[str, Any], outcome: Outcome, now: datetime) -> None:
    """Write what the call that *row* is claimed for came to; a later answer replaces an earlier doubt.

    The purchase is locked before its attempt, everywhere: else an answer and the sweep wait for each other.
    """
    conn.execute(_CLOSE, _closing(row, outcome, now))


def _closing(row: Mapping[str, Any], outcome: Outcome, now: datetime) -> Row:
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


def settle(conn: Connection, row: Row, decision: Decision, now: datetime, **also: Any) -> Row | None:
    """Apply a decision to a purchase that this transaction holds locked at *row*; *also* are further columns.

    A way into *queued* ends in *cancelled* where a cancel was asked for, or in *held* with a doubt behind it.
    """
    doubt = row["doubt"] or decision.doubt
    changes = {
        **also,
        "error": clip(decision.error),
        "error_code": clip(decision.error_code, 80),
        "doubt": doubt,
        "looks": decision.looks,
        "look_failures": decision.look_failures,
        "due_at": due_at(row, decision, now),
    }
    if decision.provider_number_id is not None:
        changes["provider_number_id"] = clip(decision.provider_number_id, 200)
    if decision.already_owned:
        changes["already_owned"] = True
    to = decision.status
    if to is Status.QUEUED and row["cancel_requested_at"] is not None:
        to = Status.HELD if doubt else Status.CANCELLED
        changes |= _cancelled(doubt=doubt)
    if to not in (Status.QUEUED, Status.PROCESSING, Status.UNKNOWN):
        changes["due_at"] = None
    return move(conn, row, to, now, **changes)


def due_at(row: Mapping[str, Any], decision: Decision, now: datetime) -> datetime:
    """When the purchase is due again after *decision*."""
    base = row["call_deadline"] if decision.from_deadline and row["call_deadline"] else now
    return max(now, base + timedelta(seconds=decision.delay))


def cancelled_changes(row: Mapping[str, Any]) -> tuple[Status, Row]:
    """Where a cancel takes a purchase that nobody is calling for, and what its row says then."""
    doubt = bool(row["doubt"])
    return (Status.HELD if doubt else Status.CANCELLED), _cancelled(doubt=doubt)


def _cancelled(*, doubt: bool) -> Row:
    if doubt:
        error = "cancelled, but an earlier call may have been executed: look at the provider, then settle it"
        return {"error": error, "error_code": "cancelled_in_doubt"}
    return {"error": "cancelled before it was bought", "error_code": "cancelled"}


def _record_yes(conn: Connection, row: Row, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    after = move(conn, row, decision.status, now, **_yes_changes(row, outcome, decision, now))
    if after is None:
        return late_yes(conn, row, outcome, decision, now)
    close_attempt(conn, row, outcome, now)
    return _tell_second_yes(conn, after, row["revision"], now) if row["doubt"] else after


def _yes_changes(row: Row, outcome: Outcome, decision: Decision, now: datetime) -> Row:
    return {
        "provider_number_id": clip(outcome.provider_number_id, 200),
        "error": None,
        "error_code": None,
        "due_at": due_at(row, decision, now) if decision.status is Status.PROCESSING else None,
        **_spent(row, decision, now),
    }


def _record_no(conn: Connection, claimed: Claim, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    row = lock(conn, claimed.row["id"])
    close_attempt(conn, claimed.row, outcome, now)
    if row is None or row["revision"] != claimed.row["revision"]:
        return None
    evidence = kept_evidence(conn, row)
    if evidence is not None:
        return settle(conn, row, evidence, now)
    return settle(conn, row, decision, now, **_spent(row, decision, now))


def kept_evidence(conn: Connection, row: Row) -> Decision | None:
    """What follows from an earlier call's yes that came while the present call of *row* was in flight."""
    earlier = _other_yes(conn, row["id"], row["revision"]) if row["doubt"] else None
    if earlier is None:
        return None
    waits = earlier["outcome"] == OutcomeKind.PROCESSING
    status = Status.PROCESSING if waits else Status.PURCHASED
    return Decision(status=status, provider_number_id=earlier["provider_number_id"])


def late_yes(conn: Connection, claimed: Row, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    """Evidence wins: a yes for a purchase that has moved on since the call was claimed."""
    row = lock(conn, claimed["id"])
    if row is None:
        return None
    close_attempt(conn, claimed, outcome, now)
    match Status(row["status"]):
        case Status.QUEUED | Status.DISPATCHED | Status.UNKNOWN:
            return settle(conn, row, decision, now)
        case Status.HELD:
            reopen_orders(conn, [row["id"]], now)
            return settle(conn, row, decision, now)
        case Status.PURCHASED | Status.PROCESSING:
            _tell_second_yes(conn, row, claimed["revision"], now)
        case Status.PURCHASING:
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(doubt=True))
        case _:
            log.error(
                "the provider says it sold %s (purchase %s), which is %s here: look at the provider",
                row["number"],
                row["id"],
                row["status"],
                extra={"provider_number_id": outcome.provider_number_id},
            )
    return None


def _tell_second_yes(conn: Connection, row: Row, revision: int, now: datetime) -> Row:
    """Two calls of one purchase that the provider both says it executed. Returns the purchase after."""
    other = _other_yes(conn, row["id"], revision)
    if other is None:
        return row
    mine = conn.execute(
        select(ATTEMPT.c.provider_number_id).where(ATTEMPT.c.purchase_id == row["id"], ATTEMPT.c.revision == revision)
    ).scalar()
    ids = [other["provider_number_id"], mine]
    # A revision of its own: readers may drop what does not rise.
    risen = {**row, "revision": row["revision"] + 1}
    conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(revision=risen["revision"]))
    emit(conn, [purchase_event(EventType.CHARGED_TWICE, risen, now, provider_number_ids=ids)])
    return risen


def _other_yes(conn: Connection, purchase_id: str, revision: int) -> Row | None:
    found = conn.execute(
        select(ATTEMPT).where(
            ATTEMPT.c.purchase_id == purchase_id, ATTEMPT.c.revision != revision, ATTEMPT.c.outcome.in_(_YES)
        )
    ).mappings()
    first = found.first()
    return None if first is None else dict(first)


def _spent(row: Row, decision: Decision, now: datetime) -> Row:
    """What the call of *row* counts for. Its time is never more than its length, whatever the clock says."""
    attempts = {} if decision.counts else {"attempts": row["attempts"] - 1}
    if not decision.timed:
        return attempts
    seconds = min(now, row["call_deadline"]) - row["updated_at"]
    waits = decision.delay if not decision.from_deadline else 0.0
    return {
        **attempts,
        "first_attempt_at": row["first_attempt_at"] or row["updated_at"],
        "tried_seconds": row["tried_seconds"] + max(0.0, seconds.total_seconds()) + waits,
    }
