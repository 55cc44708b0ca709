"""A provider that says, before any 429, that it takes no more calls for a while: no worker makes one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from redis import Redis

from schemas.outcomes import Outcome, OutcomeKind, OwnedNumber
from schemas.status import Status
from tasks import provider_reaction
from tasks.policies.pace import Pace
from tasks.providers.adapter import Ask
from tasks.providers.transport.turns import in_turn, tell
from tasks.reading_turns import Turns
from tests.tasks.scripted_provider import NOT_SENT, THROTTLED, UNKNOWN
from tests.tasks.shops import Shop
from tests.tasks.support import World, number

Says = Callable[[World, Outcome | None, Sequence[float]], None]


@pytest.fixture
def says() -> Says:
    """Has the provider's next call be answered so, and tell how long no more calls are taken."""

    def say(world: World, outcome: Outcome | None, told: Sequence[float]) -> None:
        buy = world.provider.buy

        def buying(asks: Sequence[Ask]) -> list[Outcome]:
            for seconds in told:
                tell(seconds)
            return buy(asks)

        world.provider.buy = buying  # type: ignore[method-assign]
        if outcome is not None:
            world.provider.script.append(outcome)

    return say


@pytest.mark.parametrize("outcome", [None, UNKNOWN])
def test_a_purchase_holds_back_all_calls_once_it_is_recorded(world: World, says: Says, outcome: Outcome | None) -> None:
    says(world, outcome, [2.0, 7.0])
    row = world.accept()
    found: list[str] = []
    world.points["recorded"] = lambda: found.extend([world.row(row["id"])["status"], *world.pace.cooled])
    world.deliver(world.sent.pop(0))
    assert found == [Status.PURCHASED if outcome is None else Status.UNKNOWN]
    assert (world.pace.cooled, world.pace.penalties) == (["buy", "look"], [7.0, 7.0])


def test_where_nothing_is_told_nothing_is_held_back(world: World, says: Says) -> None:
    says(world, None, [])
    world.accept()
    world.deliver(world.sent.pop(0))
    assert world.pace.penalties == []


def test_a_429_is_kept_to_as_it_says(world: World, says: Says) -> None:
    says(world, THROTTLED, [60.0])
    world.accept()
    world.deliver(world.sent.pop(0))
    assert world.pace.penalties == [7.0, 7.0]


def test_what_was_told_is_no_reason_to_wait_for_this_purchase(world: World, says: Says) -> None:
    says(world, NOT_SENT, [60.0])
    row = world.accept()
    world.deliver(world.sent.pop(0))
    assert (world.row(row["id"])["due_at"] - world.clock.moment).total_seconds() < 60


def test_a_reading_call_holds_back_those_of_its_lane(world: World) -> None:
    with in_turn(Turns(runtime=world.runtime, binding=world.binding)):
        tell(3.0)
    tell(4.0)
    assert (world.pace.cooled, world.pace.penalties) == (["look"], [3.0])


def test_the_other_workers_wait_too(make: Callable[..., World], redis: Redis) -> None:
    world = make(redis)
    full = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, full_for=5.0)
    began = time.monotonic()
    provider_reaction.react(world.runtime, world.binding, [(number(1), full)], probe=False)
    another = Pace(redis)
    for lane in (world.binding.buying, world.binding.looking):
        cools_for = another.cools_for(lane)
        assert 5.0 - (time.monotonic() - began) - 0.1 <= cools_for <= 5.0


def test_a_walk_holds_back_its_next_page(fluents: Shop) -> None:
    fluents.own(*(number(n) for n in range(150)))
    shown = fluents.binding.adapter.owned

    def owned() -> Iterator[OwnedNumber]:
        tell(3.0)
        return shown()

    fluents.binding.adapter.owned = owned  # type: ignore[method-assign]
    assert fluents.audit().owned == 150
    assert fluents.world.pace.penalties[0] == 3.0
