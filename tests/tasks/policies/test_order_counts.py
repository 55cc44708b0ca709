"""For how long a count of what an order bought is remembered, and for how much of its limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks.policies.order_counts import MOST_A_SECOND, REMEMBERED, SPARE, Counts

START = datetime(2026, 7, 21, tzinfo=UTC)
LIMIT = 200_000
BOUGHT = 100_000
ORDER = "order"


class Clock:
    """This machine's, which nobody sets."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counts(clock: Clock) -> Counts:
    found = Counts(clock)
    found.note(ORDER, LIMIT, START, BOUGHT)
    return found


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_what_was_counted_is_remembered_as_if_much_was_bought_since(counts: Counts, clock: Clock) -> None:
    assert counts.left(ORDER, LIMIT, START, 0) == LIMIT - BOUGHT
    clock.now += 0.5
    assert counts.left(ORDER, LIMIT, later(0.5), 0) == LIMIT - BOUGHT - MOST_A_SECOND / 2
    assert counts.left("another", LIMIT, later(0.5), 0) is None


def test_what_is_given_out_is_bought(counts: Counts) -> None:
    assert counts.left(ORDER, LIMIT, START, 30) == LIMIT - BOUGHT
    assert counts.left(ORDER, LIMIT, START, 0) == LIMIT - BOUGHT - 30


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (REMEMBERED, REMEMBERED),
        # the database's clock was set back, by little and by much
        (REMEMBERED, 0.0),
        (0.0, -1.0),
        # this machine stood still, and knows nothing of it
        (0.0, REMEMBERED),
    ],
)
def test_a_second_by_either_clock_is_the_end_of_it(counts: Counts, clock: Clock, here: float, there: float) -> None:
    clock.now += here
    assert counts.left(ORDER, LIMIT, later(there), 0) is None


def test_near_the_limit_each_is_counted(counts: Counts, clock: Clock) -> None:
    counts.note(ORDER, BOUGHT + SPARE + 100, START, BOUGHT)
    assert counts.left(ORDER, BOUGHT + SPARE + 100, START, 101) is None
    assert counts.left(ORDER, BOUGHT + SPARE + 100, START, 100) == SPARE + 100
    assert counts.left(ORDER, BOUGHT + SPARE + 100, START, 1) is None
    counts.note(ORDER, BOUGHT + SPARE - 1, START, BOUGHT)
    assert counts.left(ORDER, BOUGHT + SPARE - 1, START, 0) is None
    assert counts.far() == []


def test_an_order_is_far_from_its_limit_for_a_moment_longer(counts: Counts, clock: Clock) -> None:
    clock.now += REMEMBERED
    assert counts.far() == [ORDER]
    clock.now += REMEMBERED
    assert counts.far() == []


def test_orders_that_nobody_asks_for_are_forgotten(counts: Counts, clock: Clock) -> None:
    clock.now += 2 * REMEMBERED
    counts.note("another", LIMIT, later(2 * REMEMBERED), 0)
    clock.now -= 2 * REMEMBERED
    assert counts.far() == ["another"]
