"""A look's yes that comes late: its worker stood still, and the purchase was called for again meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select

from schemas.events import EventType
from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, EVENT
from tasks.ledger.calls import looks
from tasks.ledger.calls.found import FOUND_BY_LOOK
from tasks.ledger.calls.intents import Claim
from tasks.ledger.rows import Row
from tests.tasks.ledger.calls.test_late_evidence import fail, failed, put
from tests.tasks.ledger.calls.test_outcomes import COMING, FIRST, SECOND, lose, record
from tests.tasks.scripted_provider import ABSENT, NOT_SENT, REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import World

OWNED = Look(kind=LookKind.OWNED, provider_number_id="first")
PROCESSING = Look(kind=LookKind.PROCESSING, provider_number_id="first")
ORDERED = Outcome(kind=OutcomeKind.PROCESSING, provider_order_id="order-2")
ORDER_ENDED = Look(kind=LookKind.REFUSED, error="the order has failed")


def say(world: World, seen: Row, answer: Look) -> Row | None:
    """What a worker does with the answer to a look at the purchase as it was when it asked."""
    with world.write() as conn:
        return looks.record_look(conn, seen, answer, world.binding.policy, world.clock.watch())


def called_again(world: World, first: Claim | None = None) -> tuple[Row, Claim]:
    """The purchase as a frozen worker looks at it, in doubt, and the call that followed when others had looked."""
    seen = lose(world, first or world.claimed())
    world.provider.looks.extend([ABSENT] * 3)
    while world.row(seen["id"])["status"] != Status.DISPATCHED:
        world.clock.advance(5)
        world.look()
        world.work()
        world.release()
    return seen, world.claim(seen["id"])


def twice(world: World) -> list[list[str | None]]:
    told = world.rows(select(EVENT).where(EVENT.c.type == EventType.CHARGED_TWICE))
    return [one["data"]["provider_number_ids"] for one in told]


@pytest.mark.parametrize("second", [REFUSED, UNKNOWN, NOT_SENT, THROTTLED], ids=lambda one: one.kind)
@pytest.mark.parametrize("answer", [OWNED, PROCESSING], ids=lambda one: one.kind)
def test_the_call_under_way_cannot_end_without_the_number(world: World, answer: Look, second: Outcome) -> None:
    seen, claim = called_again(world)
    assert say(world, seen, answer) is None
    after = record(world, claim, second)
    assert after is not None
    assert after["status"] == (Status.PURCHASED if answer is OWNED else Status.PROCESSING)
    assert after["provider_number_id"] == "first"


def test_a_call_that_is_lost_meanwhile_ends_with_the_number(world: World) -> None:
    seen, claim = called_again(world)
    say(world, seen, OWNED)
    after = lose(world, claim)
    assert (after["status"], after["provider_number_id"]) == (Status.PURCHASED, "first")


@pytest.mark.parametrize("first", ["the look", "the call"])
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (OWNED, [["first", "second"]]),
        (Look(kind=LookKind.OWNED, provider_number_id="second"), []),
        (ABSENT, []),
    ],
    ids=["another", "the same", "absent"],
)
def test_two_charges_are_told_of_once(world: World, answer: Look, told: list[list[str]], first: str) -> None:
    """A look that was read late may have seen what the later call bought: that is no second charge."""
    seen, claim = called_again(world)
    if first == "the look":
        say(world, seen, answer)
    record(world, claim, SECOND)
    for _ in range(2):
        say(world, seen, answer)
    assert [sorted(ids, key=str) for ids in twice(world)] == told
    assert world.attempts(seen["id"]) == ["purchased" if told else "unknown", "purchased"]
    assert world.row(seen["id"])["provider_number_id"] == "second"


def test_what_a_look_found_in_time_is_a_charge_beside_a_late_yes(world: World) -> None:
    first = world.claimed()
    lose(world, called_again(world, first)[1])
    world.provider.looks.append(Look(kind=LookKind.OWNED, provider_number_id="second"))
    world.settle(first.row["id"])
    assert record(world, first, FIRST) is None
    assert [sorted(ids, key=str) for ids in twice(world)] == [["first", "second"]]


def test_a_late_yes_to_what_a_look_found_in_time_is_the_same_charge(world: World) -> None:
    """Of two calls in doubt the look's yes was written into the later one: the earlier says now that it was its own."""
    first = world.claimed()
    lose(world, called_again(world, first)[1])
    world.provider.looks.append(OWNED)
    row = world.settle(first.row["id"])
    assert record(world, first, FIRST) is None
    assert twice(world) == []
    assert world.attempts(row["id"]) == ["purchased", "unknown"]


@pytest.mark.parametrize("again", [True, False], ids=["called twice", "called once"])
def test_a_late_yes_beside_what_a_look_wrote_into_its_own_call_is_a_second_charge(world: World, again: bool) -> None:
    """What the look found was the earlier call's, or nobody knows whose: both were paid for."""
    claim = world.claimed()
    if again:
        _, claim = called_again(world, claim)
    lose(world, claim)
    world.provider.looks.append(OWNED)
    row = world.settle(claim.row["id"])
    assert record(world, claim, SECOND) is None
    assert [sorted(ids, key=str) for ids in twice(world)] == [["first", "second"]]
    assert world.attempts(row["id"]) == ["purchased"] * (2 if again else 1)
    assert world.row(row["id"])["provider_number_id"] == "first"


def test_a_late_yes_that_a_look_has_found_already_is_told_of_by_none(world: World) -> None:
    claim = world.claimed()
    _, claim = called_again(world, claim)
    lose(world, claim)
    world.provider.looks.append(OWNED)
    world.settle(claim.row["id"])
    assert record(world, claim, FIRST) is None
    assert twice(world) == []
    assert world.attempts(claim.row["id"]) == ["unknown", "purchased"]


@pytest.mark.parametrize("ends", ["refused", "lost"])
def test_two_yeses_that_came_during_a_third_call_are_told_of(world: World, ends: str) -> None:
    first = world.claimed()
    _, second = called_again(world, first)
    _, third = called_again(world, second)
    record(world, first, FIRST)
    record(world, second, SECOND)
    after = record(world, third, REFUSED) if ends == "refused" else lose(world, third)
    assert after is not None
    assert after["status"] == Status.PURCHASED
    assert [sorted(ids, key=str) for ids in twice(world)] == [["first", "second"]]
    assert world.row(after["id"])["revision"] == after["revision"]


@pytest.mark.parametrize("late", [REFUSED, UNKNOWN], ids=lambda one: one.kind)
def test_a_late_no_takes_no_yes_back(world: World, late: Outcome) -> None:
    first = world.claimed()
    seen, claim = called_again(world, first)
    say(world, seen, OWNED)
    record(world, first, late)
    assert world.attempts(seen["id"]) == ["purchased", None]
    after = record(world, claim, REFUSED)
    assert after is not None
    assert after["provider_number_id"] == "first"


def test_what_may_be_the_later_calls_own_is_no_second_charge(world: World) -> None:
    """Its yes came without an id, so that nothing tells whether the look saw another."""
    _, claim = called_again(world)
    seen = lose(world, claim)
    record(world, claim, Outcome(kind=OutcomeKind.PURCHASED))
    say(world, seen, OWNED)
    assert twice(world) == []
    assert world.attempts(seen["id"]) == ["unknown", "purchased"]


@pytest.mark.parametrize("first", ["the look", "the order"])
@pytest.mark.parametrize(
    ("order", "told"), [(None, []), ("order-1", [["first", None]])], ids=["by its number", "by its order"]
)
def test_what_a_later_order_may_have_bought_is_no_second_charge(
    world: World, order: str | None, told: list[list[str | None]], first: str
) -> None:
    """A slow look sees the number, whose id its own order does not tell yet. An earlier call's order is another one."""
    seen, claim = called_again(world)
    answer = replace(OWNED, provider_order_id=order)
    steps = [partial(say, world, seen, answer), partial(record, world, claim, ORDERED)]
    for step in steps if first == "the look" else reversed(steps):
        step()
    own = Look(kind=LookKind.OWNED, provider_number_id="first", provider_order_id="order-2")
    say(world, world.row(seen["id"]), own)
    assert [sorted(ids, key=str, reverse=True) for ids in twice(world)] == told
    row = world.row(seen["id"])
    assert (row["status"], row["provider_number_id"]) == (Status.PURCHASED, "first")


def test_two_calls_that_say_yes_themselves_are_two_whatever_their_ids(world: World) -> None:
    first = world.claimed()
    _, claim = called_again(world, first)
    record(world, claim, FIRST)
    record(world, first, FIRST)
    assert twice(world) == [["first", "first"]]


def test_an_order_that_waits_for_papers_is_no_yes(world: World) -> None:
    seen, _ = called_again(world)
    say(world, seen, Look(kind=LookKind.PROCESSING, compliance=True))
    assert world.attempts(seen["id"]) == ["unknown", None]


def test_a_yes_of_its_own_is_not_told_of_as_a_second_one(world: World) -> None:
    """The call was answered while the look was under way: both speak of the one purchase, by an id or without."""
    first = world.claimed()
    seen = lose(world, first)
    record(world, first, Outcome(kind=OutcomeKind.PURCHASED))
    say(world, seen, OWNED)
    assert twice(world) == []
    assert world.events() == ["purchased"]


@pytest.mark.parametrize("second", [REFUSED, SECOND], ids=lambda one: one.kind)
def test_the_next_purchase_of_the_number_takes_the_yes(world: World, second: Outcome) -> None:
    first = world.claimed()
    seen = lose(world, first)
    fail(world, put(world, seen, Status.HELD))
    claim = world.claim(world.accept()["id"])
    assert say(world, seen, OWNED) is None
    after = record(world, claim, second)
    assert after is not None
    assert after["status"] == Status.PURCHASED
    assert twice(world) == ([] if second is REFUSED else [["first", "second"]])
    if second is REFUSED:
        assert after["provider_number_id"] == "first"


def test_a_doubt_that_came_since_the_claim_is_looked_into_and_held(world: World) -> None:
    claim = world.claimed()
    put(world, claim.row, Status.PURCHASING, doubt=True)
    after = record(world, claim, REFUSED)
    assert after is not None
    assert (after["status"], after["error_code"]) == (Status.UNKNOWN, REFUSED.error_code)
    world.provider.looks.extend([ABSENT] * 3)
    row = world.settle(after["id"])
    assert (row["status"], row["error_code"]) == (Status.HELD, "refused")
    assert world.provider.asked == [row["number"]] * 3


@pytest.mark.parametrize("evidence", [FIRST, COMING], ids=lambda one: one.kind)
def test_an_order_that_ends_leaves_what_another_call_bought(world: World, evidence: Outcome) -> None:
    first = world.claimed()
    _, claim = called_again(world, first)
    record(world, claim, ORDERED)
    record(world, first, evidence)
    after = say(world, world.row(first.row["id"]), ORDER_ENDED)
    assert after is not None
    known = (after["status"], after["provider_number_id"], after["error_code"])
    assert known == ((Status.PURCHASED, "first", None) if evidence is FIRST else (Status.HELD, None, "refused"))


def test_an_order_that_ends_leaves_what_an_earlier_purchase_bought(world: World) -> None:
    first = failed(world)
    claim = world.claim(world.accept()["id"])
    record(world, claim, Outcome(kind=OutcomeKind.PROCESSING))
    record(world, first, FIRST)
    after = say(world, world.row(claim.row["id"]), ORDER_ENDED)
    assert after is not None
    assert (after["status"], after["provider_number_id"]) == (Status.PURCHASED, "first")


def test_the_call_says_that_its_yes_is_a_looks(world: World) -> None:
    first = world.claimed()
    seen = lose(world, first)
    put(world, seen, Status.HELD)
    world.clock.advance(60)
    say(world, seen, OWNED)
    [call] = world.rows(select(ATTEMPT))
    written = (call["outcome"], call["provider_number_id"], call["error_code"], call["ended_at"])
    assert written == ("purchased", "first", FOUND_BY_LOOK, world.clock.moment)
