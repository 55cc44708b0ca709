"""A purchase and its slot: taken, slept for, missed; and Redis, which grants it, away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from schemas.outcomes import Outcome
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.lifecycle import claim
from tasks.policies.pace import NOTICE, WAKING, Lane, Later, Slot
from tasks.providers.adapter import Ask
from tasks.providers.transport import deadline
from tasks.providers.transport.http import Body, HttpClient
from tasks.runtime import Message
from tests.scripted import ScriptedServer, reply
from tests.servers import RedisServer
from tests.tasks.pacing import saved_up
from tests.tasks.scripted_provider import REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import World, number

Make = Callable[..., World]


def test_without_a_slot_the_purchase_waits_in_the_table(world: World) -> None:
    row = world.accept()
    world.pace.reserve = lambda lane, **_: Later(30.0)
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["due_at"]) == (Status.QUEUED, world.clock.moment + timedelta(seconds=30))
    assert (after["attempts"], world.attempts(row["id"])) == (0, [])


@pytest.mark.parametrize(("claims", "ahead"), [([], 0.1), ([0.3] * 50, 0.35), ([9.0] * 50, 1.0)])
def test_a_slot_is_slept_for_and_claimed_ahead_by_what_a_claim_takes(
    world: World, claims: list[float], ahead: float
) -> None:
    world.accept()
    for seconds in claims:
        world.runtime.claims.took(seconds)
    world.pace.reserve = lambda lane, **_: Slot(1.5, 1)
    before, began, claimed = world.clock.moment, time.monotonic(), list[float]()
    world.points["claimed"] = lambda: claimed.append((world.clock.moment - before).total_seconds())
    world.work()
    assert claimed[0] <= 1.5 - ahead + 0.001
    # Sleeping takes no time here, so that what was left of the slot's time is slept once more, and whole.
    slept, passed = (world.clock.moment - before).total_seconds() - claimed[0], time.monotonic() - began
    assert slept + passed >= 1.5


@pytest.mark.parametrize(
    ("limits", "notice"),
    [
        ({"rate_limits": ["1000/second"]}, NOTICE),
        ({"rate_limits": ["1000/second"], "max_concurrent_calls": 10}, 0.0),
        ({"rate_limits": ["5/second"], "max_concurrent_calls": 10}, NOTICE),
    ],
    ids=str,
)
def test_who_waits_for_a_place_does_not_wait_for_slots_that_have_notice(
    make: Make, limits: dict[str, object], notice: float
) -> None:
    """Its next slot lies behind all that were given: up to NOTICE away, for which its place would stand empty."""
    world = make(**limits)
    world.accept()
    asked = offer(world, lambda: Later(30.0))
    world.work()
    assert [said for _, said in asked] == [notice]


AHEAD = 0.25
"""Seconds from a slot's promise to the slot: a busy machine does not miss it by itself."""


def stall() -> None:
    """A worker that gets no processor time for longer than a call may be late."""
    time.sleep(AHEAD + 2 * WAKING)


def offer(world: World, *offers: Callable[[], Slot | Later]) -> list[tuple[float, float]]:
    """Have the pace answer with these, in order. Returns the horizons and notices that it is asked for."""
    left, asked = list(offers), []

    def reserve(lane: Lane, horizon: float = 2.0, *, notice: float = 0.0) -> Slot | Later:
        asked.append((horizon, notice))
        return left.pop(0)()

    world.pace.reserve = reserve
    return asked


def soon() -> Slot:
    return Slot(AHEAD, 1)


def past() -> Slot:
    """A slot that was told of too late."""
    return Slot(0.0, 1, time.monotonic() - 1)


def far() -> Later:
    return Later(9.0)


@pytest.mark.parametrize("others", [(lambda: Slot(0.2, 2),), (past, past, soon)], ids=["the next", "the one after"])
def test_a_call_that_missed_its_slot_takes_another_that_it_does_not_miss(
    make: Make, others: tuple[Callable[[], Slot], ...]
) -> None:
    world = make(rate_guard=0)
    row = world.accept()
    asked = offer(world, soon, *others)
    world.points["claimed"] = stall
    world.work()
    assert world.row(row["id"])["status"] == Status.PURCHASED
    # As long as the intent is fresh, and at once: the call is claimed and connected already.
    assert asked.pop(0) == (2.0, NOTICE)
    assert len(asked) == len(others)
    assert all(0 < horizon <= world.binding.policy.send_within and not notice for horizon, notice in asked)


def test_a_call_that_missed_its_slot_and_finds_no_other_is_not_made(make: Make) -> None:
    world = make(rate_guard=0)
    row = world.accept()
    offer(world, soon, past, far)
    world.points["claimed"] = stall
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["error_code"], after["attempts"]) == (Status.QUEUED, "pace", 0)
    assert world.provider.charged == []


def test_a_call_within_half_of_its_guard_has_not_missed_its_slot(make: Make) -> None:
    world = make(rate_guard=5)
    world.accept()
    offer(world, soon)
    world.points["claimed"] = stall
    world.work()
    assert len(world.provider.charged) == 1


def test_a_slot_missed_before_the_claim_is_given_back_for_another(world: World) -> None:
    row = world.accept()
    offer(world, past, lambda: Slot(1.0, 1))
    world.work()
    assert len(world.pace.refunded) == 1
    assert (world.row(row["id"])["status"], world.attempts(row["id"])) == (Status.PURCHASED, ["purchased"])


def test_a_slot_missed_before_the_claim_with_no_other_leaves_no_intent(world: World) -> None:
    row = world.accept()
    offer(world, past, far)
    world.work()
    assert (world.row(row["id"])["status"], world.attempts(row["id"])) == (Status.QUEUED, [])


def test_a_claim_that_finds_no_database_gives_its_slot_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    row = world.accept()

    def away(*_: object) -> None:
        raise OperationalError("SELECT", {}, ConnectionError("server closed the connection"))

    monkeypatch.setattr(claim, "claim", away)
    with pytest.raises(OperationalError):
        world.work()
    assert (len(world.pace.refunded), world.row(row["id"])) == (1, row)


def begin_two(world: World) -> tuple[list[tuple[str, float]], Message, Message]:
    """Two messages of purchases whose slots are 20 and 40 s away, and where it is told which call slept for what."""
    for one in range(2):
        world.accept(number(one))
    world.release()
    slept, gone = list[float](), list[tuple[str, float]]()
    object.__setattr__(world.runtime, "sleep", slept.append)

    def sell(wanted: str) -> Outcome:
        gone.append((wanted, round(slept[-1])))
        return world.provider.charge(wanted)

    world.provider.script += [sell, sell]
    offer(world, lambda: Slot(20.0, 1), lambda: Slot(40.0, 2))
    first, second = world.sent
    return gone, first, second


def test_a_call_that_is_ready_goes_at_the_slot_of_one_whose_claim_takes_longer(world: World) -> None:
    gone, first, second = begin_two(world)
    world.points["claimed"] = lambda: world.deliver(second)
    world.deliver(first)
    assert [seconds for _, seconds in gone] == [20, 40]
    assert [wanted for wanted, _ in gone] == [number(1), number(0)]


@pytest.mark.parametrize("which", [0, 1])
def test_where_one_of_two_cannot_be_claimed_the_other_has_the_nearer_slot_and_the_farther_is_given_back(
    world: World, which: int
) -> None:
    gone, *messages = begin_two(world)
    late = messages[which].kwargs
    messages[which] = replace(messages[which], kwargs={**late, "revision": late["revision"] - 1})
    world.points["reserved"] = lambda: world.deliver(messages[1])
    world.deliver(messages[0])
    assert gone == [(number(1 - which), 20)]
    assert [slot.token for slot in world.pace.refunded] == [2]


def test_a_slot_that_cannot_be_given_back_is_left_to_the_next_call(world: World) -> None:
    gone, first, second = begin_two(world)
    late = {**first.kwargs, "revision": first.kwargs["revision"] - 1}
    world.pace.refund = lambda *_: False
    world.deliver(replace(first, kwargs=late))
    world.deliver(second)
    assert gone == [(number(1), 20)]


def test_a_call_that_stood_still_on_its_way_is_not_made(world: World) -> None:
    row = world.accept()
    world.points["sending"] = lambda: world.clock.advance(world.binding.policy.send_within + 0.1)
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["error_code"], after["attempts"]) == (Status.QUEUED, "too_late", 0)
    assert world.provider.charged == []


def test_redis_away_after_a_missed_slot_means_no_call(make: Make) -> None:
    world = make(rate_guard=0)
    row = world.accept()

    def away() -> Slot:
        raise RedisConnectionError

    offer(world, soon, away)
    world.points["claimed"] = stall
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["error_code"], world.provider.charged) == (Status.QUEUED, "pace", [])


def test_a_call_over_http_is_on_its_way_before_its_slot_and_sends_nothing_until_then(world: World) -> None:
    """What a connection takes to be opened does not make the call late."""
    world.accept()
    offer(world, lambda: Slot(5.0, 1))
    told: list[str] = []
    object.__setattr__(world.runtime, "sleep", lambda _: told.append(f"sleeps with {len(server.seen)} sent"))
    with ScriptedServer() as server:
        calls = HttpClient(server.url, {}, connect_timeout=2.0, timeout=5.0)

        def call(_: Sequence[Ask]) -> list[Outcome]:
            told.append("calls")
            server.queue(reply(200))
            calls.request("POST", "/", Body(json={}))
            return [UNKNOWN]

        world.provider.buy = call  # type: ignore[method-assign]
        world.work()
        assert len(server.seen) == 1
    assert told == ["sleeps with 0 sent", "calls", "sleeps with 0 sent"]


def test_a_call_over_http_that_stood_still_when_it_was_to_go_takes_another_slot(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make(rate_guard=0)
    world.accept()
    asked = offer(world, soon, lambda: Slot(0.2, 2))
    stalls, get_ready = [stall], deadline._Stream._get_ready

    def stalled(stream: deadline._Stream) -> None:
        get_ready(stream)
        if stalls:
            stalls.pop()()

    monkeypatch.setattr(deadline._Stream, "_get_ready", stalled)
    monkeypatch.setattr(deadline, "AT_ONCE", AHEAD)
    with ScriptedServer() as server:
        calls = HttpClient(server.url, {}, connect_timeout=2.0, timeout=5.0)

        def call(_: Sequence[Ask]) -> list[Outcome]:
            server.queue(reply(200))
            calls.request("POST", "/", Body(json={}))
            return [UNKNOWN]

        world.provider.buy = call  # type: ignore[method-assign]
        world.work()
        assert (len(server.seen), len(asked)) == (1, 2)


def test_with_a_real_pace_a_number_is_bought(make: Make, redis: Redis) -> None:
    world = make(redis)
    lane = world.binding.buying
    saved_up(redis, lane)
    row = world.accept()
    world.work()
    assert world.row(row["id"])["status"] == Status.PURCHASED


def test_redis_away_means_no_purchase(make: Make, redis: Redis, redis_server: RedisServer) -> None:
    world = make(redis)
    row = world.accept()
    redis_server.kill()
    with pytest.raises(RedisConnectionError):
        world.work()
    assert world.provider.charged == []
    assert world.row(row["id"]) == row


def test_redis_away_during_the_call_loses_no_answer(make: Make, redis: Redis, redis_server: RedisServer) -> None:
    world = make(redis)
    for n, outcome in enumerate([THROTTLED, REFUSED]):
        for lane in (world.binding.buying, world.binding.looking):
            saved_up(redis, lane)
        world.accept(number(n))
        world.provider.script.append(lambda _, outcome=outcome: (redis_server.kill(), outcome)[1])
        world.work()
        redis_server.restart()
    assert [row["status"] for row in world.rows(select(PURCHASE))] == [Status.QUEUED] * 2
