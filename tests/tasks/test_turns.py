"""An operation of several reading requests: each waits for its turn, and the purchase is kept meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from redis.exceptions import RedisError

from schemas.outcomes import Look, OutcomeKind
from schemas.status import Status
from tasks.policies.pace import HORIZON, Later, Slot
from tasks.providers.adapter import ProviderError
from tasks.providers.transport.turns import in_turn, take_turn
from tasks.turns import PATIENCE, Turns
from tests.tasks.support import ABSENT, REFUSED, World


def test_a_refusals_look_keeps_its_purchase_for_as_long_as_it_walks(world: World) -> None:
    """Twenty slow pages, and the sweep at work."""
    world.provider.script.append(REFUSED)
    row = world.accept()
    slots = [Later(9.0), *[Slot(2.0, 1)] * 30]
    world.pace.reserve = lambda lane, **_: slots.pop(0) if lane == world.binding.looking else Slot(0.0, 1)
    swept: list[int] = []

    def walking(numbers: Mapping[str, str | None]) -> dict[str, Look]:
        for _ in range(20):
            take_turn()
            world.clock.advance(world.binding.policy.timeout)
            swept.append(world.sweep())
        return dict.fromkeys(numbers, ABSENT)

    world.provider.look = walking  # type: ignore[method-assign]
    world.work()
    assert swept == [0] * 20
    assert (world.row(row["id"])["status"], world.row(row["id"])["doubt"]) == (Status.FAILED, False)


def test_redis_that_goes_away_within_a_refusals_look_fails_no_number(world: World) -> None:
    world.provider.script.append(REFUSED)
    row = world.accept()
    turns = [Slot(0.0, 1)]

    def reserve(lane: object, **_: object) -> Slot:
        if lane == world.binding.looking and not turns:
            raise RedisError("away")
        return turns.pop() if lane == world.binding.looking else Slot(0.0, 1)

    def walking(numbers: Mapping[str, str | None]) -> dict[str, Look]:
        take_turn()
        take_turn()
        return dict.fromkeys(numbers, ABSENT)

    world.pace.reserve = reserve
    world.provider.look = walking  # type: ignore[method-assign]
    world.work()
    assert (world.row(row["id"])["status"], world.row(row["id"])["attempts"]) == (Status.QUEUED, 0)


@pytest.mark.parametrize(("first", "goes"), [(0.0, False), (4.9, False), (5.0, True)])
def test_the_first_turn_is_waited_for_as_long_as_the_operation_says(world: World, first: float, goes: bool) -> None:
    slots = [Later(5.0), Later(3.0), Slot(1.0, 1)]
    world.pace.reserve = lambda lane, **_: slots.pop(0)
    before = world.clock.moment
    with in_turn(Turns(runtime=world.runtime, binding=world.binding, first=first)):
        if goes:
            take_turn()
            assert (world.clock.moment - before).total_seconds() == 2 * HORIZON + 1.0
            return
        with pytest.raises(ProviderError) as caught:
            take_turn()
    assert (caught.value.outcome.kind, caught.value.outcome.retry_after) == (OutcomeKind.NOT_SENT, 5.0)
    assert world.clock.moment == before


def test_a_turn_that_never_comes_is_given_up(world: World) -> None:
    first = [Slot(0.0, 1)]
    world.pace.reserve = lambda lane, **_: first.pop() if first else Later(2.1)
    before = world.clock.moment
    with in_turn(Turns(runtime=world.runtime, binding=world.binding)):
        take_turn()
        with pytest.raises(ProviderError, match="at its look-up limit"):
            take_turn()
    assert PATIENCE <= (world.clock.moment - before).total_seconds() <= PATIENCE + 2 * HORIZON
