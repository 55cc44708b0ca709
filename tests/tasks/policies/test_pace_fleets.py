"""Workers with an old and a new limit at once, as in a rolling restart, and aliases of one account with their own."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis

from schemas.config.policy import Policy
from tasks.policies.pace import HORIZON, Lane, Slot, buying_lane
from tests.tasks.pacing import FROM_REDIS, MICRO, Bench, names, rules, saved_up
from tests.tasks.support import policy

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 1), st.integers(1, 30)),
        st.tuples(st.just("pass"), st.just(0), st.floats(0, 3)),
        st.tuples(st.just("refund"), st.integers(0, 1), st.just(0)),
        st.tuples(st.just("penalise"), st.integers(0, 1), st.floats(0, 1)),
    ),
    max_size=30,
)


def lane(*limits: str, burst: int = 1) -> Lane:
    return buying_lane("account", policy(rate_limits=list(limits), rate_guard=0, burst=burst))


def most(lanes: list[Lane], window: int) -> int:
    """What the looser of two limits lets through in *window* microseconds."""
    return max(min(burst + (window - 1) // interval for interval, burst in one.windows) for one in lanes)


def check(grants: list[int], lanes: list[Lane], windows: list[int]) -> None:
    grants = sorted(grants)
    for window in windows:
        limit = most(lanes, window)
        for first, beyond in zip(grants, grants[limit:], strict=False):
            assert beyond - first >= window, (window, limit, beyond - first)


def work(bench: Bench, lanes: list[Lane], steps: list[tuple[str, int, float]]) -> list[int]:
    grants: list[int] = []
    latest: tuple[Slot, int] | None = None
    for step, which, amount in steps:
        if step == "reserve":
            found = [bench.reserve(lanes[which]) for _ in range(int(amount))]
            grants += [told for _, told in filter(None, found)]
            latest = next(filter(None, reversed(found)), latest)
        elif step == "pass":
            bench.pass_time(amount)
        elif step == "penalise":
            bench.pace.penalise(bench.lane, amount)
        elif latest and bench.refund(*latest, lanes[which]):
            grants.remove(latest[1])
            latest = None
    return grants


@FROM_REDIS
@given(old=rules(), new=rules(), steps=STEPS)
@example(
    old=policy(rate_limits=["10/second"], rate_guard=0),
    new=policy(rate_limits=["100/10 seconds"], rate_guard=0),
    steps=[("reserve", 0, 20), ("reserve", 1, 20)],
)
def test_both_together_stay_within_the_looser_limit(
    redis: Redis, old: Policy, new: Policy, steps: list[tuple[str, int, float]]
) -> None:
    lanes = [buying_lane("account", one) for one in (old, new)]
    bench = Bench(redis, old)
    for one in lanes:
        saved_up(redis, one)
    windows = [round((rate.window + one.rate_guard) * MICRO) for one in (old, new) for rate in one.rate_limits]
    check(work(bench, lanes, steps), lanes, windows)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["40/second"], ["30/second"]),
        (["20/second"], ["19/second"]),
        (["20/second"], ["200/10 seconds"]),
        (["20/second", "150/10 seconds"], ["20/second"]),
        (["1200/minute"], ["19/second", "190/10 seconds"]),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_the_larger_of_two_even_limits_is_kept(redis: Redis, old: list[str], new: list[str], first: int) -> None:
    bench = Bench(redis, policy(rate_limits=old, rate_guard=0))
    lanes = [lane(*old), lane(*new)]
    grants = []
    for step in range(300):
        if found := bench.reserve(lanes[(first + step) % 2]):
            grants.append(found[1])
        bench.pass_time(0.01)
    # the one that comes anew starts empty, and the pace goes on
    assert len(grants) > 30
    check(grants, lanes, [MICRO, 10 * MICRO])


def test_a_new_limit_beside_a_burst_of_the_old_one_adds_none_of_its_own(redis: Redis) -> None:
    old, new = lane("100/second", burst=5), lane("10/second", burst=5)
    bench = Bench(redis, policy(rate_limits=["100/second"], burst=5, rate_guard=0))
    saved_up(redis, new)
    grants = [found[1] for _ in range(150) if (found := bench.reserve(old))]
    grants += [found[1] for _ in range(10) if (found := bench.reserve(new))]
    check(grants, [old], [MICRO])


def test_a_slot_given_back_is_given_back_to_all(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"], rate_guard=0))
    other = lane("90/10 seconds")
    saved_up(redis, other)
    before = redis.hmget(bench.lane.key, names(other))
    began = time.monotonic()
    found = bench.reserve()
    assert found is not None
    assert redis.hmget(bench.lane.key, names(other)) != before
    assert bench.refund(*found)
    again = bench.reserve(other)
    assert again is not None
    assert again[1] - found[1] < (0.1 + time.monotonic() - began) * MICRO


def test_a_slot_from_before_another_limit_came_is_not_given_back(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["10/second"], rate_guard=0))
    found = bench.reserve()
    assert found is not None
    bench.pace.next_in(lane("90/10 seconds"))
    assert not bench.refund(*found)


def test_a_raised_limit_does_not_wait_for_what_the_old_one_left(redis: Redis) -> None:
    bench = Bench(redis, policy(rate_limits=["1/1 days"]))
    assert isinstance(bench.pace.reserve(bench.lane), Slot)
    raised = buying_lane("account", policy(rate_limits=["100/1 days"], burst=50))
    assert bench.pace.next_in(raised) <= HORIZON + raised.interval
    assert bench.pace.next_in(bench.lane) > 80_000
