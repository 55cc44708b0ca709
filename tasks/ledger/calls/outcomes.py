"""The outcome of a call to buy, and evidence that comes late."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.exc import IntegrityError

from schemas.outcomes import Outcome, OutcomeKind, clip
from schemas.status import Status
from schemas.tables.purchases import ALIVE, PURCHASE
from tasks.ledger.among import among
from tasks.ledger.calls.answers import Answer
from tasks.ledger.calls.attempts import CLOSE, WITHOUT, close_attempt, closing, other_yes
from tasks.ledger.calls.charged_twice import tell_executed, tell_second_yes, tell_twice
from tasks.ledger.calls.found import put_aside
from tasks.ledger.calls.given_back import is_gone
from tasks.ledger.calls.intents import Claim
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders.reopen import reopen_orders
from tasks.ledger.rows import Row, WrongMove, find, is_as_it_was, lock, move, move_all
from tasks.policies.retry import CANCELLED_IN_DOUBT, RESOLVED, Decision
from tasks.telemetry.log_fields import about
from tasks.transactions import Raced

log = logging.getLogger(__name__)

_ENDED = (Status.HELD, Status.FAILED, Status.CANCELLED)

# The hot path's statements are built once: building one costs more than running it.
_AT = PURCHASE.c
_LOCK = (
    select(_AT.id, _AT.revision, _AT.status, _AT.joined, _AT.doubt)
    .where(among(_AT.id, "ids"))
    .order_by(_AT.id)
    .with_for_update(key_share=True)
)


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
    mine = [one.claim.row["id"] for one in answers]
    for place, one in enumerate(answers):
        if one.outcome.kind is OutcomeKind.PURCHASED:
            # The first of two about one purchase: the second has to see what the first has written.
            places.setdefault(one.claim.row["id"], place)
    at = {row.id: row for row in conn.execute(_LOCK, {"ids": mine})}
    standing = {
        place: answers[place]
        for key, place in places.items()
        if key in at
        and not at[key].doubt
        and (at[key].revision, at[key].status) == (answers[place].claim.row["revision"], Status.PURCHASING)
    }
    if not standing:
        return {}
    plain = standing.values()
    # Who asked for it too may have come since the claim.
    rows = [{**one.claim.row, "joined": at[one.claim.row["id"]].joined} for one in plain]
    changes = [_yes_changes(one.claim.row, one.outcome, one.decision, now) for one in plain]
    moves = list(zip(rows, changes, strict=True))
    after = move_all(conn, moves, Status.PURCHASED, now)
    if after is None:
        raise WrongMove("a purchase that was locked has moved")
    conn.execute(CLOSE, [closing(one.claim.row, one.outcome, now) for one in plain])
    return dict(zip(standing, after, strict=True))


def record(conn: Connection, claimed: Claim, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    """Write a call's outcome: the attempt, the status and its event.

    Returns the purchase after, or None where it had moved on meanwhile and the outcome changed nothing.
    """
    if outcome.yes:
        return _record_yes(conn, claimed.row, outcome, decision, now)
    return _record_no(conn, claimed, outcome, decision, now)


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
    if decision.provider_order_id is not None:
        changes["provider_order_id"] = clip(decision.provider_order_id, 200)
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
        return {"error": error, "error_code": CANCELLED_IN_DOUBT}
    return {"error": "cancelled before it was bought", "error_code": "cancelled"}


def _record_yes(conn: Connection, row: Row, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    after = move(conn, row, decision.status, now, **_yes_changes(row, outcome, decision, now))
    if after is None:
        return late_yes(conn, row, outcome, decision, now)
    close_attempt(conn, row, outcome, now)
    return tell_second_yes(conn, after, row["revision"], now) if after["doubt"] else after


def _yes_changes(row: Row, outcome: Outcome, decision: Decision, now: datetime) -> Row:
    owned = {"already_owned": True} if decision.already_owned else {}
    return {
        **owned,
        "provider_number_id": clip(outcome.provider_number_id, 200),
        "provider_order_id": clip(outcome.provider_order_id, 200),
        "error": None,
        "error_code": None,
        "due_at": due_at(row, decision, now) if decision.status is Status.PROCESSING else None,
        **_spent(row, decision, now),
    }


def _record_no(conn: Connection, claimed: Claim, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    row = lock(conn, claimed.row["id"])
    close_attempt(conn, claimed.row, outcome, now)
    if row is None or not is_as_it_was(row, claimed.row):
        return None
    evidence = kept_evidence(conn, row)
    if evidence is not None:
        after = settle(conn, row, evidence, now)
        return None if after is None else tell_executed(conn, after, now)
    if row["doubt"] and decision.status is Status.FAILED:
        # The doubt came since the claim: all the looks, which hold it in the end.
        decision = replace(decision, status=Status.UNKNOWN, from_deadline=True)
    return settle(conn, row, decision, now, **_spent(row, decision, now))


def kept_evidence(conn: Connection, row: Row) -> Decision | None:
    """What follows from an earlier call's yes that came while the present call of *row* was in flight."""
    earlier = other_yes(conn, row, row["revision"]) if row["doubt"] else None
    if earlier is None:
        return None
    waits = earlier["outcome"] == OutcomeKind.PROCESSING
    status = Status.PROCESSING if waits else Status.PURCHASED
    return Decision(status=status, provider_number_id=earlier["provider_number_id"])


def late_yes(conn: Connection, claimed: Row, outcome: Outcome, decision: Decision, now: datetime) -> Row | None:
    """Evidence wins: a yes for a purchase that has moved on since the call was claimed."""
    row = _locked_late(conn, claimed["id"])
    if row is None:
        return None
    over = claimed["call_deadline"]
    if row["status"] in WITHOUT and is_gone(conn, row, outcome.provider_number_id, over):
        # As of then: of a later purchase it says nothing.
        close_attempt(conn, claimed, outcome, over)
        return None
    if outcome.kind is OutcomeKind.PROCESSING and has_ended(row, outcome.provider_order_id):
        return None
    other = put_aside(conn, claimed, outcome.provider_number_id)
    close_attempt(conn, claimed, outcome, now)
    after = take_evidence(conn, row, decision, now, claimed["revision"])
    if other is not None and (present := find(conn, row["id"])) is not None:
        tell_twice(conn, present, [other, outcome.provider_number_id], now)
    return after


def has_ended(row: Row, order_id: str | None) -> bool:
    """Whether *row* failed by the end of this order, and by nobody's word: that it was taken once says nothing new."""
    same = order_id is not None and row["provider_order_id"] == clip(order_id, 200)
    return same and row["status"] == Status.FAILED and row["error_code"] != RESOLVED


def take_evidence(
    conn: Connection, row: Row, decision: Decision, now: datetime, revision: int | None = None
) -> Row | None:
    """Settle *row*, locked and wherever it has come to, by late evidence. Returns it as it is then, None as it was.

    *revision* is that of the call that it is a yes to: a second one, where the number is ours by another already.
    A purchase that ended without the number stands again: it was paid for, whoever said that it was not. Where another
    purchase of the number is alive by then, that one takes the evidence.
    """
    # One that only a newer program knows is left alone; what the call came to stands with it.
    match row["status"]:
        case Status.QUEUED | Status.DISPATCHED | Status.UNKNOWN:
            return settle(conn, row, decision, now)
        case Status.HELD:
            reopen_orders(conn, [row["id"]], now)
            return settle(conn, row, decision, now)
        case Status.FAILED | Status.CANCELLED:
            return _stand_again(conn, row, decision, now)
        case Status.PURCHASED | Status.PROCESSING | Status.RELEASING | Status.RELEASED if revision is not None:
            tell_second_yes(conn, row, revision, now)
        case Status.PURCHASING:
            conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(doubt=True))
    return None


def _stand_again(conn: Connection, row: Row, decision: Decision, now: datetime) -> Row | None:
    log.error(
        "the provider says it sold %s (purchase %s), which is %s here: it is taken in after all",
        *(row["number"], row["id"], row["status"]),
        extra={**about(row), "provider_number_id": decision.provider_number_id},
    )
    try:
        with conn.begin_nested():
            after = settle(conn, row, decision, now)
    except IntegrityError:
        return _pass_on(conn, row, decision, now)
    reopen_orders(conn, [row["id"]], now)
    return after


def _pass_on(conn: Connection, row: Row, decision: Decision, now: datetime) -> Row | None:
    """Let the purchase that is alive by now take the evidence: the number is ours, and was before its own calls."""
    alive = (_AT.account == row["account"], _AT.number == row["number"], ALIVE)
    found = conn.execute(select(PURCHASE).where(*alive).with_for_update()).mappings().first()
    if found is None:
        return _stand_again(conn, row, decision, now)
    other, known = dict(found), decision.provider_number_id
    if other["status"] not in (Status.PURCHASED, Status.PROCESSING, Status.RELEASING):
        take_evidence(conn, other, replace(decision, already_owned=True), now)
    elif not other["already_owned"] and (known is None or known != other["provider_number_id"]):
        tell_twice(conn, other, [known, other["provider_number_id"]], now)
    else:
        # Its own call bought nothing, and two others may have.
        tell_executed(conn, other, now)
    return None


def _locked_late(conn: Connection, purchase_id: str) -> Row | None:
    """The purchase, locked; one that has ended after its orders, which are told. Raises Raced where it ended since."""
    seen = find(conn, purchase_id)
    if seen is not None and seen["status"] in _ENDED:
        return next(iter(locked_with_orders(conn, [purchase_id])), None)
    row = lock(conn, purchase_id)
    if row is not None and row["status"] in _ENDED:
        raise Raced
    return row


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
