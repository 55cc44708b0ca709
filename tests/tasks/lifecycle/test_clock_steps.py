"""A database clock that is set while a purchase is in doubt: every wait is waited for, in time that passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import product

import pytest

from schemas.outcomes import Look, Outcome
from schemas.status import Status
from tasks.providers.adapter import Known
from tests.tasks.ledger.calls.test_outcomes import COMING
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import Killed, World, die

Make = Callable[..., World]

CALL, LOOKS = 32.0, (5.0, 30.0, 120.0)
"""The policy's seconds: from the intent to the deadline, and from there to each look."""

MOMENTS = [0.5, 10.5, 31.5, 33.5, 36.5, 38.5, 61.5, 64.5, 100.5, 151.5]
"""Seconds after the intent: during the call, before and after each look, and before the second call."""


def times_of(world: World) -> tuple[list[float], list[float]]:
    """When the provider is called, and when it is looked at, in seconds that passed."""
    calls, looks = [], []
    buy, look = world.provider.buy, world.provider.look

    def counted_look(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        looks.append(world.clock.passed)
        return look(numbers)

    def counted_buy(asks: object) -> list[Outcome]:
        calls.append(world.clock.passed)
        return buy(asks)  # type: ignore[arg-type]

    world.provider.look = counted_look  # type: ignore[method-assign]
    world.provider.buy = counted_buy  # type: ignore[method-assign, assignment]
    return calls, looks


def live(world: World, purchase_id: str, events: Mapping[float, Callable[[], None]]) -> None:
    """Let time pass with all timers running, and *events* happen, until the number is bought."""
    waiting = dict(events)
    while world.row(purchase_id)["status"] != Status.PURCHASED:
        for at in [at for at in waiting if at <= world.clock.passed]:
            waiting.pop(at)()
        world.tick()
        due = world.row(purchase_id)["due_at"] or world.clock.moment
        # What is due and is not seen to yet is asked again in a while.
        wait = (due - world.clock.moment).total_seconds()
        next_event = min(waiting, default=4000.0) - world.clock.passed
        assert next_event > 0
        world.clock.advance(min(wait if wait > 0 else 2.0, next_event))


def keeps_its_distances(calls: list[float], looks: list[float]) -> None:
    first, again = calls
    sooner = first + CALL
    assert len(looks) == len(LOOKS)
    for look, wait in zip(looks, (LOOKS[0], LOOKS[1] - LOOKS[0], LOOKS[2] - LOOKS[1]), strict=True):
        assert look >= sooner + wait
        sooner = look
    assert again >= first + CALL + LOOKS[-1]


@pytest.mark.parametrize(
    ("at", "seconds"), [*product(MOMENTS, [600.0]), (10.5, 20.0), (33.5, -600.0), (64.5, -600.0), (151.5, -600.0)]
)
def test_each_look_keeps_its_distance_whenever_the_clock_is_set(world: World, at: float, seconds: float) -> None:
    calls, looks = times_of(world)

    def slowly(_: str) -> Outcome:
        for _ in range(30):
            world.clock.advance(0.5)
            if world.clock.passed == at:
                world.clock.set(seconds)
        return UNKNOWN

    world.provider.script.append(slowly)
    row = world.accept()
    events = {} if at < 15 else {at: lambda: world.clock.set(seconds)}
    live(world, row["id"], events)
    keeps_its_distances(calls, looks)


@pytest.mark.parametrize("at", MOMENTS)
def test_a_call_that_was_lost_keeps_its_distances_too(world: World, at: float) -> None:
    calls, looks = times_of(world)
    world.points["answered"] = die
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    with pytest.raises(Killed):
        world.work()
    live(world, row["id"], {at: lambda: world.clock.set(600)})
    keeps_its_distances(calls, looks)


@pytest.mark.parametrize("at", MOMENTS)
def test_a_new_process_after_the_step_waits_too(world: World, at: float) -> None:
    """It never saw the clock as it was."""
    calls, looks = times_of(world)
    world.provider.script.append(UNKNOWN)
    row = world.accept()

    def set_and_start() -> None:
        world.clock.set(600)
        world.clock.advance(0.25)
        world.clock.start_anew()

    live(world, row["id"], {at: set_and_start})
    keeps_its_distances(calls, looks)


def test_a_clock_that_is_set_again_and_again_buys_nothing_twice(world: World) -> None:
    calls, looks = times_of(world)
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    live(world, row["id"], {float(at): lambda: world.clock.set(600) for at in range(5, 300, 7)})
    keeps_its_distances(calls, looks)


def test_the_step_takes_no_running_call_for_lost(world: World) -> None:
    claim = world.claimed()
    world.clock.set(600)
    assert world.sweep() == 0
    world.clock.advance(33)
    assert world.sweep() == 0
    world.clock.advance(1)
    assert world.sweep() == 1
    assert world.row(claim.row["id"])["due_at"] == world.clock.moment + timedelta(seconds=LOOKS[0])


def test_an_accepted_order_is_followed_by_a_new_process_at_once(world: World) -> None:
    """Asking whether it is usable buys nothing."""
    world.provider.script.append(COMING)
    row = world.accept()
    world.work()
    world.clock.advance(60)
    world.clock.start_anew()
    world.provider.charge(row["number"])
    world.tick()
    assert world.row(row["id"])["status"] == Status.PURCHASED


def test_a_step_ahead_is_no_time_spent_trying(make: Make) -> None:
    world = make(give_up_after="10m")
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    live(world, row["id"], {40.5: lambda: world.clock.set(86_400)})
    assert world.row(row["id"])["tried_seconds"] < 600


def test_a_process_that_watched_all_along_is_not_held_up(world: World) -> None:
    _, looks = times_of(world)
    world.provider.script.append(UNKNOWN)
    world.clock.start_anew()
    row = world.accept()
    live(world, row["id"], {})
    assert [look - CALL - wait for look, wait in zip(looks, LOOKS, strict=True)] == [0, 0, 0]
