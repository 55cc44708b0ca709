"""What was taken late says that what was released after it waits still."""

from __future__ import annotations

from datetime import timedelta

from tasks.policies.backlog import Backlog
from tests.tasks.clock import START

WITHIN = 8.0


def taken(*pairs: tuple[float, float]) -> Backlog:
    """Pairs of seconds: released, and taken."""
    backlog = Backlog()
    for released, at in pairs:
        backlog.took(START + timedelta(seconds=released), START + timedelta(seconds=at), WITHIN)
    return backlog


def test_what_is_taken_in_half_of_its_time_is_not_late() -> None:
    assert taken((0, 0.1), (1, 5)).since() is None


def test_the_first_release_of_those_that_were_late_counts_once() -> None:
    backlog = taken((3, 8), (2, 7), (4, 5), (5, 11))
    assert backlog.since() == START + timedelta(seconds=2)
    assert backlog.since() is None


def test_a_clock_that_was_set_back_says_nothing() -> None:
    assert taken((100, 1)).since() is None
