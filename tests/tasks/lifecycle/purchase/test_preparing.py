"""Providers that search before they buy: a purchase is kept from the sweep for its search, and no longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.outcomes import Outcome
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT
from tasks.policies.pace import HORIZON, Lane, Later, Pace
from tasks.providers.adapter import Ask, ProviderError
from tasks.providers.reading.searches import found_together
from tasks.providers.transport.turns import take_turn
from tests.tasks.scripted_provider import NOT_SENT, REFUSED
from tests.tasks.support import Killed, OpenSlot, World, number

Make = Callable[..., World]
FAILED = replace(NOT_SENT, retry_after=None)


def searching(world: World, seconds: int, found: Outcome | None = None) -> list[str]:
    """Have each search take *seconds* in which the timers sweep. Returns the numbers searched for, as they are."""
    searched: list[str] = []

    def prepare(ask: Ask) -> Ask | Outcome:
        try:
            take_turn()()
        except ProviderError as exc:
            return exc.outcome
        searched.append(ask.number)
        for _ in range(seconds):
            world.clock.advance(1.0)
            world.sweep()
        return found or ask

    world.provider.prepares = True
    world.provider.prepare = prepare  # type: ignore[method-assign]
    return searched


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (None, Status.PURCHASED),
        (REFUSED, Status.FAILED),
        (FAILED, Status.QUEUED),
    ],
    ids=["found", "not for sale", "not asked"],
)
def test_what_must_be_prepared_is_prepared_before_the_intent(
    world: World, found: Outcome | None, status: Status
) -> None:
    searching(world, 0, found)
    row = world.accept()
    world.work()
    assert world.row(row["id"])["status"] == status
    assert len(world.provider.charged) == (status == Status.PURCHASED)


def test_an_outdated_message_prepares_nothing(world: World) -> None:
    row = world.accept()
    searched = searching(world, 0)
    world.pause()
    world.work()
    assert searched == []
    assert world.row(row["id"])["status"] == Status.QUEUED
    assert world.pace.refunded == []


def test_preparing_waits_for_the_pace_of_looks(world: World) -> None:
    row = world.accept()
    searching(world, 0, REFUSED)
    world.pace.reserve = lambda lane, **_: Later(9.0) if lane == world.binding.looking else OpenSlot()
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["attempts"]) == (Status.QUEUED, 0)
    assert isinstance(world.pace, Pace)


@pytest.mark.parametrize("seconds", [9, 30])
def test_a_slow_search_ends_in_its_purchase(world: World, seconds: int) -> None:
    searched = searching(world, seconds)
    row = world.accept()
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["attempts"], after["revision"]) == (Status.PURCHASED, 1, row["revision"] + 2)
    assert searched == [row["number"]]


def test_a_search_of_many_requests_keeps_its_purchase(world: World) -> None:
    swept: list[int] = []

    def prepare(ask: Ask) -> Ask:
        for _ in range(10):
            take_turn()()
            world.clock.advance(world.binding.policy.timeout)
            swept.append(world.sweep())
        return ask

    world.provider.prepares = True
    world.provider.prepare = prepare  # type: ignore[method-assign]
    row = world.accept()
    world.work()
    assert swept == [0] * 10
    assert (world.row(row["id"])["status"], world.row(row["id"])["attempts"]) == (Status.PURCHASED, 1)


def test_a_batch_of_slow_searches_goes_in_one_call(make: Make) -> None:
    world = make(max_batch=25, max_in_flight=25)
    numbers = [number(index) for index in range(25)]
    ids = [world.queued(wanted)["id"] for wanted in numbers]
    assert world.release() == 25
    searched = searching(world, 30)
    world.work()
    assert (sorted(searched), world.provider.calls) == (numbers, [25])
    assert {world.row(one)["status"] for one in ids} == {Status.PURCHASED}


@pytest.mark.parametrize(("together", "slots"), [(False, 25), (True, 1)])
def test_one_search_for_a_batch_takes_one_slot_of_the_look_ups(make: Make, together: bool, slots: int) -> None:
    world = make(max_batch=25, max_in_flight=25)
    ids = [world.queued(number(index))["id"] for index in range(25)]
    assert world.release() == 25
    searching(world, 0)
    if together:
        world.provider.prepare_together = lambda asks: (take_turn()(), list(asks))[1]  # type: ignore[attr-defined]
    taken: list[Lane] = []
    world.pace.reserve = lambda lane, **_: (taken.append(lane), OpenSlot())[1]
    world.work()
    assert {world.row(one)["status"] for one in ids} == {Status.PURCHASED}
    assert (taken.count(world.binding.looking), world.provider.calls) == (slots, [25])


def test_what_a_common_search_does_not_show_is_searched_for_alone(make: Make) -> None:
    world = make(max_batch=3)
    ids = [world.queued(number(index))["id"] for index in range(3)]
    assert world.release() == 3
    searched = searching(world, 0)
    world.provider.prepare_together = lambda asks: [asks[0], REFUSED, None]  # type: ignore[attr-defined]
    world.work()
    statuses = [world.row(one)["status"] for one in ids]
    assert statuses == [Status.PURCHASED, Status.FAILED, Status.PURCHASED]
    assert (searched, world.provider.calls) == ([number(2)], [2])


def test_what_a_search_does_not_show_has_no_part_in_the_name_of_its_batchs_call(make: Make) -> None:
    """Else it is asked for by that name after a restore, and found in an order of other numbers, which says nothing."""
    world = make(max_batch=2)
    bought, refused = (world.queued(number(index))["id"] for index in range(2))
    assert world.release() == 2
    searching(world, 0)
    world.provider.keeps_reference = True
    world.provider.prepare_together = lambda asks: [asks[0], REFUSED]  # type: ignore[attr-defined]
    world.work()
    names = {row["purchase_id"]: row["reference"] for row in world.rows(select(ATTEMPT))}
    assert (names[bought], names[refused]) == (world.provider.asks[0].reference, None)
    assert names[bought] is not None


def test_who_is_alone_is_not_searched_for_together(make: Make) -> None:
    world = make(max_batch=3)
    world.queued(number(0))
    assert world.release() == 1
    searched = searching(world, 0)
    world.provider.prepare_together = lambda asks: [REFUSED for _ in asks]  # type: ignore[attr-defined]
    world.work()
    assert searched == [number(0)]


def test_a_search_that_is_held_back_holds_back_all_of_a_batch(make: Make) -> None:
    world = make(max_batch=2)
    ids = [world.queued(number(index))["id"] for index in range(2)]
    assert world.release() == 2
    searched = searching(world, 0)

    def search(_: str, __: str) -> list[dict[str, str]]:
        take_turn()()
        raise AssertionError("a search went out beyond the limit")

    world.provider.prepare_together = lambda asks: found_together(asks, search, "number")  # type: ignore[attr-defined]
    world.pace.reserve = lambda lane, **_: Later(9.0) if lane == world.binding.looking else OpenSlot()
    world.work()
    assert searched == []
    assert {(world.row(one)["status"], world.row(one)["attempts"]) for one in ids} == {(Status.QUEUED, 0)}


def test_a_slow_search_that_fails_comes_to_an_end(make: Make) -> None:
    world = make(give_up_after="10s", backoff_initial=4, backoff_max=4)
    searched = searching(world, 30, FAILED)
    row = world.accept()
    after = world.settle(row["id"])
    assert (after["status"], after["attempts"]) == (Status.FAILED, 0)
    assert world.attempts(row["id"]) == ["not_sent"] * len(searched)
    assert world.events() == ["failed"]


def test_what_moves_on_during_a_batch_is_not_searched_for(make: Make) -> None:
    world = make(max_batch=2)
    ids = [world.queued(number(index))["id"] for index in range(2)]
    assert world.release() == 2
    [message] = world.sent
    searched = searching(world, 0, REFUSED)
    search = world.provider.prepare
    world.provider.prepare = lambda ask: (world.pause(), search(ask))[1]  # type: ignore[method-assign]
    assert world.deliver(message) == []
    assert len(searched) == 1
    assert {world.row(one)["status"] for one in ids} == {Status.QUEUED}


def test_a_worker_that_died_in_its_search_loses_the_purchase(world: World) -> None:
    row = world.accept()
    searching(world, 0)

    def dying(_: Ask) -> Ask:
        raise Killed

    world.provider.prepare = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.work()
    policy = world.binding.policy
    world.clock.advance(HORIZON + policy.timeout + policy.take_within - 0.1)
    assert world.sweep() == 0
    world.clock.advance(0.1)
    assert world.sweep() == 1
    assert world.row(row["id"])["status"] == Status.QUEUED
