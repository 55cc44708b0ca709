"""Purchases that the provider is asked about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from schemas.outcomes import WRONG_NUMBER, Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.calls import looks
from tasks.ledger.orders import cancel
from tasks.ledger.rows import Row
from tasks.policies.retry import MAX_LOOK_FAILURES
from tests.tasks.clock import START
from tests.tasks.scripted_provider import ABSENT, REFUSED, UNCLEAR, UNKNOWN
from tests.tasks.support import ACCOUNT, World, number

OWNED = Look(kind=LookKind.OWNED, provider_number_id="id-9")


def doubtful(world: World, wanted: str = number(0)) -> Row:
    """A purchase whose call timed out."""
    world.provider.script.append(UNKNOWN)
    row = world.accept(wanted)
    world.work()
    return world.row(row["id"])


def look(world: World, answer: Look, row: Row) -> Row:
    """Let the next look be due, and answer it."""
    present = world.row(row["id"])
    world.clock.moment = max(world.clock.moment, present["due_at"])
    world.provider.looks.append(answer)
    assert world.look() == 1
    world.work()
    return world.row(row["id"])


def test_looks_are_spread_over_the_policys_times_after_the_deadline(world: World) -> None:
    row = doubtful(world)
    deadline = row["call_deadline"]
    times = []
    while row["status"] == Status.UNKNOWN:
        times.append((row["due_at"] - deadline).total_seconds())
        row = look(world, ABSENT, row)
    assert times == [5, 30, 120]
    assert row["status"] == Status.QUEUED


def test_who_sells_another_number_than_is_asked_for_is_not_asked_again(world: World) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.UNKNOWN, http_status=201, error_code=WRONG_NUMBER))
    row = world.settle(world.accept()["id"], seconds=20_000.0)
    assert (row["status"], row["error_code"]) == (Status.HELD, WRONG_NUMBER)
    assert world.attempts(row["id"]) == [OutcomeKind.UNKNOWN]


def test_nothing_in_doubt_is_posted_again_before_the_last_look(world: World) -> None:
    row = doubtful(world)
    while world.row(row["id"])["status"] == Status.UNKNOWN:
        world.tick()
        world.clock.advance(1)
        assert len(world.attempts(row["id"])) == 1
    assert world.clock.moment >= row["call_deadline"] + timedelta(seconds=120)


def test_a_look_that_comes_late_puts_the_next_one_off(world: World) -> None:
    row = doubtful(world)
    world.clock.moment = row["due_at"] + timedelta(seconds=600)
    row = look(world, ABSENT, row)
    assert row["due_at"] == world.clock.moment + timedelta(seconds=25)
    row = look(world, ABSENT, row)
    assert row["due_at"] == world.clock.moment + timedelta(seconds=90)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_number_that_shows_late_is_found(world: World, before: int) -> None:
    row = doubtful(world)
    for _ in range(before):
        row = look(world, ABSENT, row)
    row = look(world, OWNED, row)
    assert (row["status"], row["provider_number_id"], row["already_owned"]) == (Status.PURCHASED, "id-9", False)
    assert world.events() == ["purchased"]


def test_a_look_that_fails_is_asked_again_and_then_a_person_is(world: World) -> None:
    row = doubtful(world)
    for count in range(1, MAX_LOOK_FAILURES):
        row = look(world, UNCLEAR, row)
        assert (row["status"], row["look_failures"], row["looks"]) == (Status.UNKNOWN, count, 0)
        assert row["error"] == UNKNOWN.error
    row = look(world, UNCLEAR, row)
    assert (row["status"], row["error_code"], row["success"]) == (Status.HELD, "look_failed", None)


def test_a_refused_account_does_not_use_up_the_looks_nor_the_time(world: World) -> None:
    row = doubtful(world)
    tried = row["tried_seconds"]
    for _ in range(MAX_LOOK_FAILURES + 1):
        row = look(world, Look(kind=LookKind.UNCLEAR, account=True, error="401"), row)
    assert (row["status"], row["look_failures"], row["tried_seconds"]) == (Status.UNKNOWN, 0, tried)


def test_time_in_doubt_counts_towards_giving_up(world: World) -> None:
    row = doubtful(world)
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
    assert row["tried_seconds"] == pytest.approx(row["call_deadline"].timestamp() - row["created_at"].timestamp() + 120)


def test_a_refusal_after_a_doubt_goes_through_all_looks_and_is_held(world: World) -> None:
    row = doubtful(world)
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
    world.provider.script.append(REFUSED)
    world.clock.moment = row["due_at"]
    world.release()
    world.work()
    row = world.row(row["id"])
    assert (row["status"], row["attempts"]) == (Status.UNKNOWN, 2)
    answers = 0
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
        answers += 1
    assert answers == 3
    assert (row["status"], row["error_code"]) == (Status.HELD, "refused")
    assert world.events() == ["held"]


def test_a_cancel_waits_for_the_doubt_and_is_held(world: World) -> None:
    row = doubtful(world)
    with world.write() as conn:
        cancel.cancel(conn, row["id"], world.clock())
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
    assert (row["status"], row["error_code"]) == (Status.HELD, "cancelled_in_doubt")


def test_what_is_not_usable_yet_is_followed_until_it_is(world: World) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="id-1"))
    row = world.accept()
    world.work()
    row = look(world, Look(kind=LookKind.PROCESSING), world.row(row["id"]))
    assert (row["status"], row["provider_number_id"]) == (Status.PROCESSING, "id-1")
    assert world.events() == []
    row = look(world, Look(kind=LookKind.OWNED, provider_number_id="id-1"), row)
    assert row["status"] == Status.PURCHASED


@pytest.mark.parametrize(
    ("answer", "code"), [(Look(kind=LookKind.LOST), "order_lost"), (ABSENT, "processing_too_long")]
)
def test_what_does_not_become_usable_is_held(world: World, answer: Look, code: str) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="id-1"))
    row = world.accept()
    world.work()
    world.clock.advance(world.binding.policy.poll_for)
    row = look(world, answer, world.row(row["id"]))
    assert (row["status"], row["error_code"], row["provider_number_id"]) == (Status.HELD, code, "id-1")


def followed(world: World) -> Row:
    """A purchase that the provider has accepted."""
    world.provider.script.append(Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="id-1"))
    row = world.accept()
    world.work()
    return world.row(row["id"])


@pytest.mark.parametrize("answer", [ABSENT, Look(kind=LookKind.PROCESSING)])
def test_a_clock_that_is_set_ahead_does_not_end_the_following(world: World, answer: Look) -> None:
    row = followed(world)
    world.clock.set(world.binding.policy.poll_for)
    row = look(world, answer, row)
    assert row["status"] == Status.PROCESSING
    world.clock.advance(world.binding.policy.poll_for)
    assert look(world, answer, row)["status"] == Status.HELD


def test_what_is_followed_by_one_process_after_another_ends_in_time(world: World) -> None:
    row = followed(world)
    for _ in range(4):
        assert row["status"] == Status.PROCESSING
        world.clock.advance(world.binding.policy.poll_for / 4)
        row = look(world, Look(kind=LookKind.PROCESSING), row)
        world.clock.start_anew()
    assert row["status"] == Status.HELD


def test_a_look_is_taken_once_and_taken_over_where_nobody_asked(world: World) -> None:
    row = doubtful(world)
    world.clock.moment = row["due_at"]
    assert (world.look(), world.look()) == (1, 0)
    world.sent.clear()
    world.clock.advance(31)
    assert world.look() == 1


def test_a_look_under_way_is_left_alone_for_as_long_as_it_may_take(world: World) -> None:
    row = doubtful(world)
    world.clock.moment = row["due_at"]
    world.look()
    taken = world.row(row["id"])
    with world.write() as conn:
        until = world.clock() + timedelta(seconds=60)
        assert len(looks.begin(conn, ACCOUNT, [(row["id"], taken["revision"])], until)) == 1
        assert looks.begin(conn, ACCOUNT, [(row["id"], taken["revision"] - 1)], until) == []
    world.clock.advance(31)
    assert world.look() == 0
    world.clock.advance(30)
    assert world.look() == 1


def test_an_answer_for_a_row_that_moved_on_changes_nothing(world: World) -> None:
    row = doubtful(world)
    moved = look(world, OWNED, row)
    with world.write() as conn:
        assert looks.record_look(conn, row, ABSENT, world.binding.policy, world.clock.watch()) is None
    assert world.row(row["id"]) == moved


@pytest.mark.parametrize(
    "another",
    [
        {"status": Status.PURCHASING},
        {"status": Status.QUEUED},
        {"call_deadline": START + timedelta(hours=1)},
    ],
)
def test_an_answer_from_before_the_database_went_back_changes_nothing(world: World, another: dict[str, Any]) -> None:
    """The purchase has come to the same revision by another way: it may be called for at this moment."""
    row = doubtful(world)
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**another))
    present = world.row(row["id"])
    with world.write() as conn:
        assert looks.record_look(conn, row, ABSENT, world.binding.policy, world.clock.watch()) is None
    assert world.row(row["id"]) == present


def taken(world: World, conn: Connection, alias: str) -> list[Row]:
    return looks.take_due(conn, alias, ACCOUNT, world.clock.watch(), world.binding.policy, lease=30, limit=3)


def test_no_more_are_taken_than_asked_for(world: World) -> None:
    rows = [doubtful(world, number(n)) for n in range(5)]
    world.clock.moment = rows[-1]["due_at"]
    with world.write() as conn:
        assert len(taken(world, conn, "acme")) == 3
        assert len(taken(world, conn, "acme")) == 2
        assert taken(world, conn, "twin") == []
