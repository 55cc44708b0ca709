"""How soon: one thing goes wrong at a time, and the time until all is well again is measured."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from schemas.config.rates import parse_rate
from tests.chaos.campaign import settle
from tests.chaos.conftest import LONG
from tests.chaos.faults.blows import redis_away
from tests.chaos.feeder import Feeder, draw_asks
from tests.chaos.judge import judge, unsettled
from tests.chaos.world import KINDS, POLICY, World
from tests.waiting import eventually, fair_clock

TOTAL = 150 if LONG else 75
LOOKED_UP = [kind for kind in KINDS if kind != "timepay"]
SetStage = Callable[..., AbstractContextManager[World]]
FIRST_LOOK = POLICY["reconcile_after"][0]
GRACE = 10.0
"""Seconds that are promised beyond what the policy itself takes, of a machine that has the time."""

both_in_the_long_form = pytest.mark.parametrize(
    "database_url", ["sqlite", "postgresql"] if LONG else ["sqlite"], indirect=True
)


@both_in_the_long_form
def test_the_calls_of_a_killed_worker_are_found_in_time(set_stage: SetStage) -> None:
    # On a busy machine a call takes its time; one that was not answered is found by its own worker.
    stage = set_stage(rates={}, policy={"timeout": 6.0})
    with stage as world, Feeder(world, draw_asks(40, LOOKED_UP), shares=2) as feeder, fair_clock() as clock:
        began = time.monotonic()
        for point in ("answered", "claimed"):
            world.traps.arm(point, "kill")
            feeder.next_share()
            assert world.traps.wait(20)
            # One at a time: the other worker is to find what this one leaves.
            eventually(world.fleet.ready)
            eventually(lambda: not unsettled(world))
        feeder.finish()
        settle(world, feeder)
        verdict = judge(world, feeder.asked, {})
        held_up = time.monotonic() - began - clock()
    assert not verdict.wrong, verdict.wrong
    print(f"\nthis machine had no time for {held_up:.1f} s")
    print(f"charged calls found after at most {max(verdict.found_after):.1f} s")
    assert max(verdict.found_after) < FIRST_LOOK + GRACE + held_up
    print(f"settled as not ours {max(verdict.settled_after):.1f} s after the last look")
    assert max(verdict.settled_after) < GRACE + held_up


@both_in_the_long_form
def test_work_goes_on_soon_after_redis_is_back(set_stage: SetStage) -> None:
    # Some are left to be called for, however late the first call is noticed.
    slow = {"rate_limits": ["1/2 seconds"]}
    with set_stage(rates={}, policy=slow) as world, Feeder(world, draw_asks(40), shares=1) as feeder:
        feeder.next_share()
        eventually(world.shop.calls, what="the first call")
        redis_away(30.0 if LONG else 3.0)(world, random.Random())
        feeder.finish()
        settle(world, feeder)
        verdict = judge(world, feeder.asked, {})
    assert not verdict.wrong, verdict.wrong
    ((away, resumed),) = world.resumed
    print(f"\nRedis away for {away:g} s; the first call came {resumed:.1f} s after its return")
    assert resumed < GRACE


@both_in_the_long_form
def test_no_limit_is_passed_when_redis_is_emptied_and_a_worker_dies(set_stage: SetStage) -> None:
    limit = parse_rate("5/second")
    # Half of the kinds, so that each has enough to come to its limit.
    asks = draw_asks(TOTAL, KINDS[::2])
    with set_stage(rates={}, policy={"rate_limits": [str(limit)]}) as world, Feeder(world, asks, shares=3) as feeder:
        for _ in range(2):
            feeder.next_share()
        for calls in (20, TOTAL // 2):
            eventually(lambda calls=calls: len(world.shop.calls()) >= calls)  # type: ignore[misc]
            world.flush()
        world.traps.arm("reserved", "kill")
        feeder.finish()
        assert world.traps.wait(20)
        settle(world, feeder)
        verdict = judge(world, feeder.asked, dict.fromkeys(KINDS, limit))
    assert not verdict.wrong, verdict.wrong
    # What a worker had claimed when it was killed, and had not called for, TimePay cannot tell: it is held.
    assert verdict.calls + sum(counts["held"] for counts in verdict.table.values()) >= TOTAL
