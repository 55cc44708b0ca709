"""An operation of several reading requests: each waits for its turn, and the purchase is kept meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from redis import Redis
from redis.exceptions import RedisError

from schemas.config.policy import Policy
from schemas.outcomes import Look, OutcomeKind
from schemas.status import Status
from tasks import reading_turns
from tasks.policies import pace as pace_module
from tasks.policies.concurrency import Concurrency, Places
from tasks.policies.pace import HORIZON, SLEEPABLE, WAKING, Later, Pace, Slot, looking_lane
from tasks.providers.adapter import Known, ProviderError
from tasks.providers.transport.turns import Gate, in_turn, take_turn
from tasks.reading_turns import CONNECT_AHEAD, KEPT, PATIENCE, TURNS, Stopped, Turns, wait_for_turn
from tests.tasks.scripted_provider import ABSENT, REFUSED
from tests.tasks.support import World
from tests.waiting import lateness


def test_a_refusals_look_keeps_its_purchase_for_as_long_as_it_walks(world: World) -> None:
    """Twenty slow pages, and the sweep at work."""
    world.provider.script.append(REFUSED)
    row = world.accept()
    slots = [Later(9.0), *[Slot(2.0, 1)] * 30]
    world.pace.reserve = lambda lane, **_: slots.pop(0) if lane == world.binding.looking else Slot(0.0, 1)
    swept: list[int] = []

    def walking(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        for _ in range(20):
            take_turn()()
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

    def walking(numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        take_turn()()
        take_turn()()
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
            take_turn()()
            assert (world.clock.moment - before).total_seconds() == 2 * HORIZON + 1.0
            return
        with pytest.raises(ProviderError) as caught:
            take_turn()()
    assert (caught.value.outcome.kind, caught.value.outcome.retry_after) == (OutcomeKind.NOT_SENT, 5.0)
    assert world.clock.moment == before


def test_a_turn_that_never_comes_is_given_up(world: World) -> None:
    first = [Slot(0.0, 1)]
    world.pace.reserve = lambda lane, **_: first.pop() if first else Later(2.1)
    before = world.clock.moment
    with in_turn(Turns(runtime=world.runtime, binding=world.binding)):
        take_turn()()
        with pytest.raises(ProviderError, match="at its look-up limit"):
            take_turn()()
    assert PATIENCE <= (world.clock.moment - before).total_seconds() <= PATIENCE + 2 * HORIZON


class Standing:
    """In place of the module `time`: it goes on where somebody sleeps alone, and no busy machine misses a slot."""

    def __init__(self) -> None:
        self._now = time.monotonic()

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Standing:
    """What goes by Redis's time has the real one."""
    standing = Standing()
    if "redis" not in request.fixturenames:
        monkeypatch.setattr(reading_turns, "time", standing)
        monkeypatch.setattr(pace_module, "time", standing)
    return standing


class Line:
    """A lane that gives the slots it is told, and what becomes of them."""

    def __init__(self, world: World, *slots: Slot | Later) -> None:
        self.world, self.slots, self.kept, self.slept = world, list(slots), list[float](), list[float]()
        world.pace.reserve = lambda lane, **_: self.slots.pop(0)
        world.pace.refunded.clear()

    def turn(
        self, guard: float = 0.025, patience: float | None = 0.0, sleep: Callable[[float], object] | None = None
    ) -> Gate:
        return wait_for_turn(
            self.world.pace,
            self.world.binding.looking,
            "acme",
            guard=guard,
            sleep=sleep or self._sleep,
            places=None,
            patience=patience,
            keep=self.kept.append,
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        reading_turns.time.sleep(seconds)


def slot(wait: float, *, ago: float = 0.0) -> Slot:
    return Slot(wait, 1, reading_turns.time.monotonic() - ago)


def test_a_call_connects_before_its_slot_and_goes_at_it(world: World) -> None:
    line = Line(world, slot(1.5))
    gate = line.turn()
    assert (line.slept, line.kept) == ([pytest.approx(1.5 - CONNECT_AHEAD)], [1.5])
    gate()
    assert line.slept[1:] == [pytest.approx(CONNECT_AHEAD)]
    assert (line.slots, world.pace.refunded) == ([], [])


@pytest.mark.parametrize(("ago", "guard"), [(0.0, 0.0), (0.9, 2.0), (0.0, 0.025)])
def test_a_call_within_half_of_the_guard_goes_on_its_only_slot(world: World, ago: float, guard: float) -> None:
    line = Line(world, slot(0.0, ago=ago))
    line.turn(guard)()
    assert (line.slots, world.pace.refunded) == ([], [])


@pytest.mark.parametrize(("ago", "guard"), [(0.1, 0.0), (1.1, 2.0), (0.1, 0.025)])
def test_a_call_that_missed_its_slot_takes_another_for_it(
    world: World, clock: Standing, ago: float, guard: float
) -> None:
    missed, after = slot(0.0, ago=ago), slot(0.25)
    line = Line(world, missed, after)
    gate = line.turn(guard)
    assert line.kept == [0.0]
    gate()
    assert (line.slots, world.pace.refunded) == ([], [missed])
    # the purchase is kept for the second wait too
    assert line.kept == [0.0, 0.25]
    assert after.at - clock.monotonic() < SLEEPABLE


@pytest.mark.parametrize("late", [0.013, 0.04])
def test_on_a_machine_that_wakes_its_threads_late_it_goes_at_a_later_slot(
    world: World, clock: Standing, late: float
) -> None:
    line, given = Line(world), list[Slot]()

    def reserve(*_: object, **__: object) -> Slot:
        given.append(slot(0.2))
        return given[-1]

    world.pace.reserve = reserve
    line.turn(sleep=lambda seconds: clock.sleep(seconds + (late if seconds > WAKING else 0)))()
    assert 1 < len(given) <= TURNS
    assert world.pace.refunded == given[:-1]
    assert given[-1].at - clock.monotonic() < SLEEPABLE


@pytest.mark.parametrize("patience", [0.0, None])
def test_another_turn_is_waited_for_as_long_as_the_first(world: World, patience: float | None) -> None:
    line = Line(world, slot(0.0, ago=1.0), Later(3.0), slot(0.0, ago=-HORIZON))
    gate = line.turn(patience=patience)
    if patience is None:
        gate()
        assert line.slept.count(HORIZON) == 1
        return
    with pytest.raises(ProviderError) as caught:
        gate()
    assert (caught.value.outcome.held_back, caught.value.outcome.retry_after) == (True, 3.0)


def test_a_call_that_misses_every_slot_is_not_made(world: World) -> None:
    line = Line(world, *(slot(0.0, ago=1.0) for _ in range(TURNS + 1)))
    gate = line.turn()
    with pytest.raises(ProviderError) as caught:
        gate()
    assert caught.value.outcome.held_back
    assert (len(world.pace.refunded), len(line.slots)) == (TURNS, 1)


def test_a_call_told_to_stop_takes_no_other_turn(world: World) -> None:
    stops = iter([False, True])
    line = Line(world, slot(0.0, ago=1.0), slot(0.0))
    turns = Turns(runtime=world.runtime, binding=world.binding, stopping=lambda: next(stops))
    with pytest.raises(Stopped), in_turn(turns):
        take_turn()()
    assert len(line.slots) == 1


@pytest.mark.parametrize(("wait", "places"), [(KEPT + CONNECT_AHEAD + 0.1, 2), (0.0, 1)])
def test_a_place_that_waited_long_for_another_turn_is_given_back_for_another(
    world: World, clock: Standing, wait: float, places: int
) -> None:
    held: list[str] = []
    given_back: list[str] = []

    class Recording(Concurrency):
        def take(self, *_: object) -> Callable[[], None]:
            held.append(f"place {len(held)}")
            return partial(given_back.append, held[-1])

    Line(world, slot(0.0, ago=1.0), slot(wait))
    world.pace.concurrency = Recording(None)
    gate = wait_for_turn(
        world.pace,
        world.binding.looking,
        "acme",
        guard=0.025,
        sleep=clock.sleep,
        places=Places(key="calls", limit=1, longest=30.0),
    )
    leave = gate()
    assert (len(held), given_back) == (places, held[:-1])
    assert leave is not None
    leave()
    assert given_back == held


def test_reads_that_connect_slowly_keep_to_the_limit_on_a_real_pace(world: World, redis: Redis) -> None:
    """Eight threads, twenty calls a second; each connection takes its own time, up to thrice what is allowed for."""
    pace, at = Pace(redis), list[float]()
    policy = Policy.model_validate({"lookup_rate_limits": ["20/second"], "rate_guard": 0.05})
    lane = looking_lane(world.binding.account, policy)

    def read(number: int) -> None:
        for step in range(5):
            gate = wait_for_turn(pace, lane, "acme", guard=0.05, sleep=time.sleep, places=None)
            time.sleep((number + step) % 4 * CONNECT_AHEAD)
            gate()
            at.append(time.monotonic())

    with lateness() as late, ThreadPoolExecutor(8) as threads:
        list(threads.map(read, range(8)))
        # one that waits between its turn and its line here seems to go later than it did
        window = 1.0 - min(0.5, late())
    at.sort()
    assert len(at) == 40
    assert min(beyond - first for first, beyond in zip(at, at[20:], strict=False)) >= window
