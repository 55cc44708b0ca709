"""Walks through each provider's list over a real socket: in their turn, and on after a 429."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import select

from schemas.tables.audits import AUDIT_RUN
from tasks.audit.walk_owned import TRIES
from tasks.policies.pace import HORIZON, Lane, Later, Pace, Slot, looking_lane
from tasks.providers.adapter import ProviderError
from tasks.reading_turns import Stopped
from tests.tasks.shops import PAGES, Shop
from tests.tasks.support import OpenPace, number


class CountingPace(OpenPace):
    def __init__(self) -> None:
        super().__init__()
        self.lanes: list[Lane] = []

    def reserve(self, lane: Lane, horizon: float = 2.0, *, notice: float = 0.0) -> Slot:
        self.lanes.append(lane)
        return Slot(0.25, 1)


def test_every_page_is_paced_and_progress_adds_up(shop: Shop) -> None:
    shop.own(*(number(n) for n in range(PAGES[shop.kind] + 1)))
    pace = CountingPace()
    shop.runtime = replace(shop.runtime, pace=pace)
    before = shop.world.clock.moment
    steps: list[int] = []
    report = shop.audit(progress=steps.append)
    assert steps == [0, PAGES[shop.kind], 1]
    assert report.owned == PAGES[shop.kind] + 1
    assert pace.lanes == [looking_lane(shop.binding.account, shop.binding.policy)] * 2
    assert (shop.world.clock.moment - before).total_seconds() == 0.5


@pytest.mark.parametrize("fault", ["error_before", "cut_before", "html", "account"])
def test_a_walk_that_breaks_off_finds_nothing(shop: Shop, fault: str) -> None:
    shop.buy(number(1))
    shop.forget()
    shop.own(*(number(n) for n in range(2, PAGES[shop.kind] + 3)))
    shop.world.clock.advance(600)
    pages = iter([None, lambda: shop.sandbox.control.plan(shop.kind, fault, on="read")])

    def spoil_the_second(_: int) -> None:
        if spoil := next(pages, None):
            spoil()

    with pytest.raises(ProviderError):
        shop.audit(progress=spoil_the_second)


def test_told_to_stop_it_stops_before_the_next_page(fluents: Shop) -> None:
    fluents.own(*(number(n) for n in range(250)))
    steps: list[int] = []
    pages = iter([False, True])
    with pytest.raises(Stopped):
        fluents.audit(progress=steps.append, stopping=lambda: next(pages))
    assert steps == [0, 100]


def test_pages_wait_for_the_lookup_limit_on_a_real_pace(open_shop: Callable[..., Shop], redis: Redis) -> None:
    shop = open_shop("fluents", lookup_rate_limits=["20/second"], rate_guard=0.0)
    shop.own(*(number(n) for n in range(550)))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    shop.runtime = replace(shop.runtime, pace=Pace(redis), sleep=sleep)
    began = time.monotonic()
    assert shop.audit().owned == 550
    # six pages; a limiter that Redis does not know starts empty, two seconds away
    assert time.monotonic() - began >= 5 / 20
    assert sum(slept) >= 5 / 20


def test_without_redis_there_is_no_audit(fluents: Shop) -> None:
    class Away(Pace):
        def __init__(self) -> None:
            pass

        def reserve(self, lane: Lane, horizon: float = 2.0, *, notice: float = 0.0) -> Later:
            raise RedisError("away")

    fluents.runtime = replace(fluents.runtime, pace=Away())
    with pytest.raises(RedisError):
        fluents.audit()
    assert fluents.scheduled() is None
    [run] = fluents.world.rows(select(AUDIT_RUN))
    assert run["error"] == "away"


def after_the_first(action: Callable[[], object]) -> Callable[[int], None]:
    """A walk's *progress* that does something once, between the first page and the second."""
    steps = iter([lambda: None, action])
    return lambda _: next(steps, lambda: None)()


def test_a_walk_goes_on_where_a_429_stopped_it(shop: Shop) -> None:
    shop.own(*(number(n) for n in range(PAGES[shop.kind] + 1)))
    pace = CountingPace()
    shop.runtime = replace(shop.runtime, pace=pace)
    throttle = lambda: shop.sandbox.control.plan(shop.kind, "throttle", on="read", retry_after=7)  # noqa: E731
    assert shop.audit(progress=after_the_first(throttle)).owned == PAGES[shop.kind] + 1
    assert pace.penalties == [7.0]
    # the second page is asked for again, in its turn, and the first is not
    assert len(pace.lanes) == 3


def test_without_a_retry_after_the_waits_grow_for_each_page_anew(fluents: Shop) -> None:
    fluents.own(*(number(n) for n in range(101)))
    throttle = lambda times: fluents.sandbox.control.plan(  # noqa: E731
        "fluents", "throttle", times=times, on="read", retry_after=None
    )
    throttle(3)
    pages = iter([None, None, None, None, lambda: throttle(1)])
    assert fluents.audit(progress=lambda _: (next(pages, None) or (lambda: None))()).owned == 101
    assert fluents.world.pace.penalties == [1.0, 2.0, 4.0, 1.0]


def test_a_provider_that_never_stops_saying_429_is_given_up(shop: Shop) -> None:
    shop.sandbox.control.plan(shop.kind, "throttle", times=100, on="read", retry_after=3)
    with pytest.raises(ProviderError, match="HTTP 429"):
        shop.audit()
    assert shop.world.pace.penalties == [3.0] * TRIES


def test_a_429_holds_back_everybodys_reading_calls(fluents: Shop, redis: Redis) -> None:
    pace = Pace(redis)
    held_until: list[float] = []

    def sleep(seconds: float) -> None:
        held_until.append(time.monotonic() + pace.next_in(fluents.binding.looking))
        time.sleep(seconds)

    fluents.runtime = replace(fluents.runtime, pace=pace, sleep=sleep)
    fluents.sandbox.control.plan("fluents", "throttle", on="read", retry_after=4)
    began = time.monotonic()
    fluents.audit()
    assert began + HORIZON + 0.1 < max(held_until) <= time.monotonic() + 0.1
    assert time.monotonic() - began >= 4.0


def test_a_long_retry_after_is_not_waited_for_and_not_run_into(fluents: Shop, redis: Redis) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    fluents.runtime = replace(fluents.runtime, pace=Pace(redis), sleep=sleep)
    fluents.sandbox.control.plan("fluents", "throttle", on="read", retry_after=3600)
    for _ in range(2):
        with pytest.raises(
            ProviderError, match="fluents is at its look-up limit, or asked to slow down: no reading call before 3,"
        ):
            fluents.audit()
    assert sum(slept) < 30
    assert fluents.scheduled() is None
    [run] = fluents.world.rows(select(AUDIT_RUN))
    assert "asked to slow down" in run["error"]


def test_told_to_stop_it_does_not_wait_for_the_end_of_a_penalty(fluents: Shop, redis: Redis) -> None:
    slept: list[float] = []
    fluents.runtime = replace(fluents.runtime, pace=Pace(redis), sleep=slept.append)
    fluents.runtime.pace.penalise(fluents.binding.looking, 60.0)
    turns = iter([False, False, True])
    with pytest.raises(Stopped):
        fluents.audit(stopping=lambda: next(turns))
    assert slept == [2.0, 2.0]
