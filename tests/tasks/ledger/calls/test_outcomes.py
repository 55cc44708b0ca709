"""A call's outcome, in time and late, and what it meets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.events import EventType
from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, EVENT, PURCHASE
from tasks.ledger.calls import outcomes
from tasks.ledger.calls.answers import Answer
from tasks.ledger.calls.intents import Claim
from tasks.ledger.orders import cancel
from tasks.ledger.rows import Row, move
from tasks.policies.retry import History, after_call
from tests.tasks.scripted_provider import NOT_SENT, REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import World, number

FIRST = Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="first", http_status=200)
SECOND = Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="second", http_status=200)
COMING = Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="first", http_status=202)


def record(world: World, claim: Claim, outcome: Outcome) -> Row | None:
    """What a worker with an answer does."""
    history = History(attempts=claim.row["attempts"], doubt=claim.row["doubt"])
    decision = after_call(outcome, history, world.binding.policy)
    with world.write() as conn:
        return outcomes.record(conn, claim, outcome, decision, world.clock())


def lose(world: World, claim: Claim) -> Row:
    """The worker freezes: its deadline passes and the sweep finds it."""
    world.clock.moment = claim.deadline + timedelta(seconds=3)
    assert world.sweep() == 1
    return world.row(claim.row["id"])


def queue_again(world: World, claim: Claim) -> Row:
    """Lost, and every look says not ours."""
    lose(world, claim)
    while world.row(claim.row["id"])["status"] == Status.UNKNOWN:
        world.clock.advance(5)
        world.look()
        world.work()
    return world.row(claim.row["id"])


def dispatch_again(world: World, claim: Claim) -> Row:
    queue_again(world, claim)
    world.clock.advance(600)
    assert world.release() == 1
    return world.row(claim.row["id"])


def hold(world: World, claim: Claim) -> Row:
    row = lose(world, claim)
    with world.write() as conn:
        move(conn, row, Status.HELD, world.clock())
    return world.row(row["id"])


def answer(world: World, claim: Claim, outcome: Outcome = FIRST) -> Answer:
    history = History(attempts=claim.row["attempts"], doubt=claim.row["doubt"])
    return Answer(claim=claim, outcome=outcome, decision=after_call(outcome, history, world.binding.policy))


def record_all(world: World, *answers: Answer) -> list[Row | None]:
    with world.write() as conn:
        return outcomes.record_all(conn, answers, world.clock())


def test_yeses_recorded_together_are_each_written_as_one_alone_is(world: World) -> None:
    claims = [world.claimed(number(index)) for index in range(3)]
    world.clock.advance(5)
    alone = record(world, claims[0], FIRST)
    after = record_all(world, *(answer(world, claim) for claim in claims[1:]))
    rows = [world.row(claim.row["id"]) for claim in claims]
    assert [alone, *after] == rows
    own = {"id", "number"}
    assert [{name: row[name] for name in row.keys() - own} for row in rows[1:]] == [
        {name: rows[0][name] for name in rows[0].keys() - own}
    ] * 2
    attempts = [{**row, "purchase_id": None} for row in world.rows(select(ATTEMPT))]
    assert attempts == [attempts[0]] * 3
    told = world.rows(select(EVENT).where(EVENT.c.type == EventType.PURCHASED).order_by(EVENT.c.seq))
    assert [(one["subject"], one["sequence"], one["data"]["purchase_id"]) for one in told] == [
        (row["number"], row["revision"], row["id"]) for row in rows
    ]


def test_yeses_recorded_together_meet_what_they_would_meet_alone(world: World) -> None:
    moved = world.claimed()
    lose(world, moved)
    stands, again, refused, coming, vanished = (world.claimed(number(index)) for index in range(1, 6))
    with world.write() as conn:
        conn.execute(PURCHASE.delete().where(PURCHASE.c.id == vanished.row["id"]))
    after = record_all(
        world,
        answer(world, stands),
        answer(world, moved),
        answer(world, again),
        answer(world, again, SECOND),
        answer(world, refused, REFUSED),
        answer(world, coming, COMING),
        answer(world, vanished),
    )
    assert [row and row["status"] for row in after] == [
        *("purchased", "purchased", "purchased", None, "failed", "processing", None)
    ]
    for claim, row in zip((stands, moved, again), after, strict=False):
        assert row == {**world.row(claim.row["id"]), "doubt": row["doubt"] if row else None}
    assert world.row(again.row["id"])["provider_number_id"] == "first"
    assert world.attempts(moved.row["id"]) == ["purchased"]


def test_a_yes_with_a_doubt_behind_it_is_not_plain_in_company(world: World) -> None:
    early, late = second_attempt(world)
    other = world.claimed(number(1))
    record(world, early, FIRST)
    record_all(world, answer(world, other), answer(world, late, SECOND))
    assert sorted(world.events()) == ["charged_twice", "purchased", "purchased"]


def test_a_yes_is_written_with_its_attempt_and_event(world: World) -> None:
    claim = world.claimed()
    after = record(world, claim, FIRST)
    assert after is not None
    row = world.row(after["id"])
    assert (row["status"], row["success"], row["provider_number_id"]) == (Status.PURCHASED, True, "first")
    assert (row["due_at"], row["finished_at"]) == (None, world.clock.moment)
    assert world.attempts(row["id"]) == ["purchased"]
    assert world.events() == ["purchased"]


def test_recording_twice_changes_nothing(world: World) -> None:
    claim = world.claimed()
    for outcome in (FIRST, FIRST):
        record(world, claim, outcome)
    row = world.row(claim.row["id"])
    assert record(world, claim, FIRST) is None
    assert world.row(claim.row["id"]) == row
    assert world.events() == ["purchased"]


def test_throttling_counts_neither_as_attempt_nor_as_time(world: World) -> None:
    claim = world.claimed()
    world.clock.advance(5)
    after = record(world, claim, THROTTLED)
    assert after is not None
    assert (after["status"], after["attempts"], after["tried_seconds"]) == (Status.QUEUED, 0, 0.0)
    assert after["first_attempt_at"] is None
    assert after["due_at"] == world.clock.moment + timedelta(seconds=7)


def test_a_call_that_was_not_sent_adds_its_time_and_its_wait_and_is_no_attempt(world: World) -> None:
    claim = world.claimed()
    world.clock.advance(5)
    after = record(world, claim, NOT_SENT)
    assert after is not None
    waits = (after["due_at"] - world.clock.moment).total_seconds()
    assert after["tried_seconds"] == pytest.approx(5 + waits)
    assert (after["attempts"], after["first_attempt_at"]) == (0, claim.started_at)


def test_a_call_never_takes_longer_than_its_length(world: World) -> None:
    """Whatever the clock says: else a step ahead would use up the time to give up after."""
    claim = world.claimed()
    world.clock.advance(86_400)
    after = record(world, claim, NOT_SENT)
    assert after is not None
    assert after["tried_seconds"] <= 32 + world.binding.policy.backoff_initial


@pytest.mark.parametrize("meets", [lose, queue_again, dispatch_again, hold], ids=lambda one: one.__name__)
@pytest.mark.parametrize("outcome", [FIRST, COMING], ids=["purchased", "processing"])
def test_a_late_yes_is_kept_whatever_it_meets(world: World, meets: object, outcome: Outcome) -> None:
    claim = world.claimed()
    meets(world, claim)  # type: ignore[operator]
    after = record(world, claim, outcome)
    row = world.row(claim.row["id"])
    assert after is not None
    assert row["status"] == (Status.PURCHASED if outcome is FIRST else Status.PROCESSING)
    assert row["provider_number_id"] == "first"
    assert world.attempts(row["id"]) == [str(outcome.kind)]
    assert world.events().count("purchased") == (outcome is FIRST)


def test_a_late_yes_makes_a_message_under_way_worthless(world: World) -> None:
    claim = world.claimed()
    dispatch_again(world, claim)
    record(world, claim, FIRST)
    world.work()
    assert world.provider.charged == []
    assert world.attempts(claim.row["id"]) == ["purchased"]


def test_a_late_no_changes_only_its_attempt(world: World) -> None:
    claim = world.claimed()
    before = queue_again(world, claim)
    assert record(world, claim, REFUSED) is None
    assert world.row(claim.row["id"]) == before
    assert world.attempts(claim.row["id"]) == ["refused"]


def test_a_late_yes_for_what_a_look_found_is_no_second_charge(world: World) -> None:
    claim = world.claimed()
    world.provider.charge(claim.row["number"])
    lose(world, claim)
    world.settle(claim.row["id"])
    assert record(world, claim, Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="id-1")) is None
    assert world.events() == ["purchased"]


def second_attempt(world: World) -> tuple[Claim, Claim]:
    """The first call's worker is frozen, the second call is under way."""
    first = world.claimed()
    dispatch_again(world, first)
    return first, world.claim(first.row["id"])


@pytest.mark.parametrize("second", [REFUSED, UNKNOWN, NOT_SENT, THROTTLED], ids=lambda one: one.kind)
@pytest.mark.parametrize("evidence", [FIRST, COMING], ids=["purchased", "processing"])
def test_a_late_yes_keeps_a_second_attempt_from_ending_otherwise(
    world: World, evidence: Outcome, second: Outcome
) -> None:
    early, late = second_attempt(world)
    assert record(world, early, evidence) is None
    assert world.row(early.row["id"])["status"] == Status.PURCHASING
    after = record(world, late, second)
    assert after is not None
    assert after["status"] == str(evidence.kind)
    assert after["provider_number_id"] == "first"


@pytest.mark.parametrize("evidence", [FIRST, COMING], ids=["purchased", "processing"])
def test_a_late_yes_settles_a_second_attempt_that_is_lost(world: World, evidence: Outcome) -> None:
    early, late = second_attempt(world)
    record(world, early, evidence)
    assert lose(world, late)["status"] == str(evidence.kind)


def test_two_yeses_are_one_purchase_and_a_cry(world: World) -> None:
    early, late = second_attempt(world)
    record(world, early, FIRST)
    record(world, late, SECOND)
    row = world.row(early.row["id"])
    assert (row["status"], row["provider_number_id"]) == (Status.PURCHASED, "second")
    assert world.events() == ["purchased", "charged_twice"]
    told = world.rows(select(EVENT).order_by(EVENT.c.seq))
    assert sorted(told[-1]["data"]["provider_number_ids"]) == ["first", "second"]
    # each event of a purchase has a sequence above those before
    assert [one["sequence"] for one in told] == sorted({one["sequence"] for one in told})
    assert told[-1]["sequence"] == row["revision"]


def test_a_yes_after_the_purchase_is_settled_is_a_cry_too(world: World) -> None:
    early, late = second_attempt(world)
    record(world, late, SECOND)
    assert record(world, early, FIRST) is None
    assert world.events() == ["purchased", "charged_twice"]


def test_a_cancel_during_the_call_takes_effect_after_it(world: World) -> None:
    claim = world.claimed()
    with world.write() as conn:
        cancel.cancel(conn, claim.row["id"], world.clock())
    after = record(world, claim, THROTTLED)
    assert after is not None
    assert after["status"] == Status.CANCELLED
    assert world.events() == ["cancelled"]


def test_a_cancel_during_the_call_does_not_undo_a_yes(world: World) -> None:
    claim = world.claimed()
    with world.write() as conn:
        cancel.cancel(conn, claim.row["id"], world.clock())
    after = record(world, claim, FIRST)
    assert after is not None
    assert after["status"] == Status.PURCHASED


def test_a_cancel_that_meets_a_doubt_is_held(world: World) -> None:
    early, late = second_attempt(world)
    with world.write() as conn:
        cancel.cancel(conn, early.row["id"], world.clock())
    after = record(world, late, THROTTLED)
    assert after is not None
    assert (after["status"], after["error_code"]) == (Status.HELD, "cancelled_in_doubt")


def test_foreign_texts_are_bounded(world: World) -> None:
    claim = world.claimed()
    long = Outcome(kind=OutcomeKind.UNKNOWN, error="e" * 9000, error_code="c" * 9000, detail="d" * 9000)
    after = record(world, claim, long)
    assert after is not None
    assert len(after["error"]) <= 500
    assert len(after["error_code"]) <= 80
    assert len(world.rows(select(ATTEMPT))[0]["detail"]) <= 500


def test_a_purchase_that_vanished_is_left_alone(world: World) -> None:
    claim = world.claimed()
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(revision=99))
        conn.execute(PURCHASE.delete())
    assert record(world, claim, FIRST) is None
    assert record(world, claim, NOT_SENT) is None


def go_back(world: World, claim: Claim, **changes: Any) -> Row:
    """The database went back in time, and has come to the same revision by another way."""
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == claim.row["id"]).values(**changes))
    return world.row(claim.row["id"])


@pytest.mark.parametrize("outcome", [REFUSED, UNKNOWN, THROTTLED])
def test_a_no_from_before_the_database_went_back_changes_nothing(world: World, outcome: Outcome) -> None:
    waits = go_back(world, claim := world.claimed(), status=Status.QUEUED, call_deadline=None)
    assert record(world, claim, outcome) is None
    assert world.row(claim.row["id"]) == waits
    another = {"status": Status.PURCHASING, "call_deadline": claim.deadline + timedelta(seconds=60)}
    called_again = go_back(world, claim, **another)
    assert record(world, claim, outcome) is None
    assert world.row(claim.row["id"]) == called_again


@pytest.mark.parametrize("outcome", [NOT_SENT, REFUSED, UNKNOWN])
def test_nor_what_the_call_came_to_that_has_its_revision_since(world: World, outcome: Outcome) -> None:
    claim = world.claimed()
    with world.write() as conn:
        another = {"deadline": claim.deadline + timedelta(seconds=60), "outcome": str(OutcomeKind.UNKNOWN)}
        conn.execute(update(ATTEMPT).values(**another, error_code="its own"))
    go_back(world, claim, status=Status.UNKNOWN, call_deadline=another["deadline"])
    record(world, claim, outcome)
    assert [row["error_code"] for row in world.rows(select(ATTEMPT))] == ["its own"]


def test_yeses_from_before_the_database_went_back_are_taken(world: World) -> None:
    claims = [world.claimed(number(index)) for index in range(2)]
    for claim in claims:
        go_back(world, claim, status=Status.QUEUED, call_deadline=None)
    record_all(world, *(answer(world, claim) for claim in claims))
    assert [world.row(claim.row["id"])["status"] for claim in claims] == [Status.PURCHASED] * 2
