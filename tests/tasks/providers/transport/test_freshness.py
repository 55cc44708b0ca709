"""Dates of answers: compared with each other, by no clock that can be set."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from tasks.providers.transport.freshness import REMEMBERED, TOLERANCE, Dates, kept


def dated(seconds: float) -> dict[str, str]:
    return {"date": formatdate(time.time() + seconds)}


def test_an_answer_is_as_old_as_the_newest_of_the_latest_says() -> None:
    dates = Dates()
    assert dates.behind(dated(-3600)) == 0.0
    assert dates.behind(dated(0)) == 0.0
    assert dates.behind(dated(-3600)) == pytest.approx(3600, abs=3)
    assert dates.behind(dated(-1)) <= 3


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}, {"date": "0"}])
def test_an_answer_without_a_date_is_not_old(headers: dict[str, str]) -> None:
    dates = Dates()
    dates.behind(dated(0))
    assert dates.behind(headers) == 0.0


def test_a_server_whose_clock_is_ahead_is_forgotten() -> None:
    dates = Dates()
    dates.behind(dated(86_400))
    behind = [dates.behind(dated(0)) for _ in range(REMEMBERED)]
    assert min(behind[:-1]) > 86_000
    assert behind[-1] <= 3


def test_what_a_call_may_take_is_no_age() -> None:
    assert kept({}, TOLERANCE + 30.0, 30.0) is None
    assert "dated 95 s before" in (kept({}, 95.0, 30.0) or "")
