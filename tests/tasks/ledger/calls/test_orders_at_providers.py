"""Purchases that a provider takes as an order, or holds back for want of papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.outcomes import COMPLIANCE, Look, LookKind, Outcome, OutcomeKind
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, PROVIDER
from tasks.ledger.calls.intents import Claim
from tasks.ledger.resolve import Resolution
from tasks.ledger.rows import Row
from tasks.operator.resolve import resolve
from tasks.policies.retry import RESOLVED
from tests.tasks.ledger.calls.test_late_evidence import put
from tests.tasks.ledger.calls.test_late_looks import say
from tests.tasks.ledger.calls.test_looks import look
from tests.tasks.ledger.calls.test_outcomes import record
from tests.tasks.scripted_provider import ABSENT, UNKNOWN
from tests.tasks.support import World, number

ORDERED = Outcome(kind=OutcomeKind.PROCESSING, http_status=201, provider_order_id="order-1")
TAKEN = Look(kind=LookKind.PROCESSING, provider_order_id="order-1")
PAPERS = Outcome(kind=OutcomeKind.COMPLIANCE, http_status=400, error_code="21649", error="a bundle is required")
PENDING = Look(kind=LookKind.PROCESSING, provider_order_id="order-1")
OWNED = Look(kind=LookKind.OWNED, provider_number_id="id-9", provider_order_id="order-1")
ENDED = Look(kind=LookKind.REFUSED, error="not available any more", error_code="5005")


def bought(world: World, *script: Outcome) -> Row:
    """A purchase whose first call was answered so."""
    world.provider.script.extend(script)
    row = world.accept()
    world.work()
    return world.row(row["id"])


def references(world: World) -> list[str | None]:
    return [row["reference"] for row in world.rows(select(ATTEMPT).order_by(ATTEMPT.c.started_at))]


def retry(world: World, row: Row) -> Row:
    resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.RETRY)], by="a person")
    return world.row(row["id"])


def test_an_order_is_followed_by_its_id_ever_more_slowly(world: World) -> None:
    row = bought(world, ORDERED)
    assert (row["status"], row["provider_order_id"]) == (Status.PROCESSING, "order-1")
    waits = []
    for _ in range(6):
        waits.append((row["due_at"] - world.clock.moment).total_seconds())
        row = look(world, PENDING, row)
        assert world.provider.known[row["number"]].order_id == "order-1"  # type: ignore[union-attr]
    assert waits == [1, 2, 4, 8, 15, 15]
    row = look(world, OWNED, row)
    assert (row["status"], row["provider_number_id"], row["provider_order_id"]) == (Status.PURCHASED, "id-9", "order-1")


def test_an_order_that_ends_refused_fails(world: World) -> None:
    row = look(world, ENDED, bought(world, ORDERED))
    assert (row["status"], row["error_code"], row["error"]) == (Status.FAILED, "5005", "not available any more")
    assert len(world.provider.asks) == 1


def frozen(world: World) -> tuple[Claim, Row]:
    """A call whose worker stands still with its answer, and the purchase, which is in doubt for that."""
    claim = world.claimed()
    world.clock.advance(3600)
    world.sweep()
    return claim, world.row(claim.row["id"])


def ended(world: World, row: Row, look_of: Look) -> Row:
    while row["status"] == Status.UNKNOWN:
        row = look(world, look_of, row)
    return row


def test_the_late_answer_of_an_order_that_ended_says_nothing_new(world: World) -> None:
    claim, row = frozen(world)
    failed = ended(world, row, replace(ENDED, provider_order_id="order-1"))
    assert failed["status"] == Status.FAILED
    assert record(world, claim, ORDERED) is None
    assert world.row(row["id"]) == failed
    assert world.events() == ["failed"]


def overtaken(world: World) -> tuple[Row, Row]:
    """The purchase as a look that stood still began with it, and as another one left it, which saw its order end."""
    seen = bought(world, ORDERED)
    ended = look(world, replace(ENDED, provider_order_id="order-1"), seen)
    assert ended["status"] == Status.FAILED
    return seen, ended


def test_so_does_a_look_at_it_that_was_overtaken(world: World) -> None:
    seen, failed = overtaken(world)
    assert say(world, seen, TAKEN) is None
    assert world.row(seen["id"]) == failed
    assert world.events() == ["failed"]
    assert world.rows(select(ATTEMPT.c.outcome)) == [{"outcome": "refused"}]


def test_an_overtaken_look_at_another_order_is_followed(world: World) -> None:
    seen, _ = overtaken(world)
    after = say(world, seen, replace(TAKEN, provider_order_id="order-2"))
    assert after is not None
    assert (after["status"], after["provider_order_id"]) == (Status.PROCESSING, "order-2")


def test_so_is_that_at_an_order_that_a_person_gave_up(world: World) -> None:
    seen, failed = overtaken(world)
    put(world, failed, Status.FAILED, error_code=RESOLVED)
    after = say(world, seen, TAKEN)
    assert after is not None
    assert after["status"] == Status.PROCESSING


def test_the_late_answer_of_another_order_is_followed(world: World) -> None:
    claim, row = frozen(world)
    ended(world, row, replace(ENDED, provider_order_id="order-2"))
    after = record(world, claim, ORDERED)
    assert after is not None
    assert (after["status"], after["provider_order_id"]) == (Status.PROCESSING, "order-1")


def test_so_is_that_of_an_order_that_a_person_gave_up(world: World) -> None:
    claim, row = frozen(world)
    put(world, row, Status.FAILED, provider_order_id="order-1", error_code=RESOLVED)
    after = record(world, claim, ORDERED)
    assert after is not None
    assert after["status"] == Status.PROCESSING


def test_an_order_that_ends_refused_after_a_doubt_waits_for_a_person(world: World) -> None:
    row = bought(world, UNKNOWN)
    world.provider.script.append(ORDERED)
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
    world.clock.moment = max(world.clock.moment, row["due_at"])
    world.tick()
    row = look(world, ENDED, world.row(row["id"]))
    assert (row["status"], row["error_code"]) == (Status.HELD, "refused")


@pytest.mark.parametrize(("script", "status"), [([UNKNOWN], Status.FAILED), ([UNKNOWN, UNKNOWN], Status.HELD)])
def test_the_refused_order_of_a_doubtful_call_is_believed_after_all_looks(
    world: World, script: Sequence[Outcome], status: Status
) -> None:
    row = bought(world, *script)
    for _ in script[1:]:
        while row["status"] == Status.UNKNOWN:
            row = look(world, ABSENT, row)
        world.clock.moment = max(world.clock.moment, row["due_at"])
        world.tick()
        row = world.row(row["id"])
    looks = 0
    while row["status"] == Status.UNKNOWN:
        row, looks = look(world, ENDED, row), looks + 1
    assert (row["status"], looks) == (status, len(world.binding.policy.reconcile_after))


def test_missing_papers_hold_a_purchase_until_a_person_goes_on(world: World) -> None:
    row = bought(world, PAPERS)
    assert (row["status"], row["error_code"], row["doubt"]) == (Status.HELD, COMPLIANCE, False)
    assert row["error"] == "a bundle is required"
    retry(world, row)
    world.tick()
    assert world.row(row["id"])["status"] == Status.PURCHASED
    assert len(world.provider.charged) == 1


def test_missing_papers_are_no_reason_to_pause(world: World) -> None:
    world.provider.script.extend([PAPERS] * 20)
    for index in range(20):
        world.accept(number(index))
    world.work()
    assert not [row for row in world.rows(select(PROVIDER)) if row["paused_at"]]
    assert len(world.provider.asks) == 20


@pytest.mark.parametrize("told", ["at once", "by a poll", "by a look"])
def test_an_order_that_waits_for_papers_is_never_ordered_again(world: World, told: str) -> None:
    waits = replace(PENDING, compliance=True, error="an address is required")
    if told == "at once":
        row = bought(world, replace(PAPERS, provider_order_id="order-1"))
    else:
        row = look(world, waits, bought(world, ORDERED if told == "by a poll" else UNKNOWN))
    assert (row["status"], row["error_code"], row["provider_order_id"]) == (Status.HELD, COMPLIANCE, "order-1")
    row = retry(world, row)
    assert (row["status"], row["provider_order_id"], row["error"]) == (Status.PROCESSING, "order-1", None)
    assert look(world, OWNED, row)["status"] == Status.PURCHASED
    assert len(world.provider.asks) == 1


def test_a_record_older_than_the_first_call_was_ours_already(world: World) -> None:
    yes = Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="id-1", already_owned=True)
    row = bought(world, yes)
    assert (row["status"], row["already_owned"]) == (Status.PURCHASED, True)


def test_a_call_has_a_name_that_stands_in_its_intent_and_that_looks_ask_for(world: World) -> None:
    world.provider.keeps_reference = True
    row = bought(world, UNKNOWN)
    [ask] = world.provider.asks
    assert references(world) == [ask.reference]
    assert ask.reference.startswith(row["id"].replace("-", ""))  # type: ignore[union-attr]
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
        assert world.provider.known[row["number"]].references == (ask.reference,)  # type: ignore[union-attr]
    world.provider.script.append(UNKNOWN)
    world.clock.moment = max(world.clock.moment, row["due_at"])
    world.tick()
    look(world, ABSENT, world.row(row["id"]))
    first, second = (one.reference for one in world.provider.asks)
    assert first != second
    assert world.provider.known[row["number"]].references == (second, first)  # type: ignore[union-attr]


def test_calls_have_no_name_where_the_provider_keeps_none(world: World) -> None:
    row = bought(world, UNKNOWN)
    assert [ask.reference for ask in world.provider.asks] == [None] == references(world)
    look(world, ABSENT, row)
    assert world.provider.known[row["number"]].references == ()  # type: ignore[union-attr]


def test_a_call_knows_how_long_ago_the_first_one_began(world: World) -> None:
    row = bought(world, UNKNOWN)
    while row["status"] == Status.UNKNOWN:
        row = look(world, ABSENT, row)
    world.clock.moment = max(world.clock.moment, row["due_at"])
    world.tick()
    first, second = world.provider.asks
    passed = (world.clock.moment - world.row(row["id"])["first_attempt_at"]).total_seconds()
    assert (first.since, second.since) == (0.0, passed)
