"""Dates of answers: compared with each other, by no clock that can be set."""

from __future__ import annotations

import random
import time
from email.utils import formatdate

import pytest

from tasks.providers.transport import freshness
from tasks.providers.transport.freshness import QUESTIONS, REMEMBERED, TICK, TOLERANCE, Dates, kept

START = 1_790_000_000
LISTED, OTHER = "GET /numbers", "GET /balance"
TIMEOUT = 30.0


class Provider:
    """What comes of its answers, as its time and ours pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dates = Dates(TIMEOUT)
        self.passed = 0.0
        monkeypatch.setattr(freshness, "steady", lambda: self.passed)

    def now(self, ahead: float = 0.0) -> float:
        return START + self.passed + ahead

    def says(self, date: float, asked: str = LISTED) -> str | None:
        return self.dates.kept(asked, {"date": formatdate(date)})


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Provider:
    return Provider(monkeypatch)


@pytest.mark.parametrize("ahead", [120.0, -120.0, TOLERANCE, -TOLERANCE])
@pytest.mark.parametrize("wrong", [1, 2])
@pytest.mark.parametrize("every", [0.1, 1.0, 30.0])
def test_servers_whose_clocks_are_apart_make_no_answer_old(
    provider: Provider, ahead: float, wrong: int, every: float, seed: int
) -> None:
    balancer = random.Random(seed)
    for _ in range(400):
        assert provider.says(provider.now(ahead if balancer.randrange(4) < wrong else 0.0)) is None
        provider.passed += every * balancer.uniform(0.5, 1.0)


def test_a_server_that_is_a_day_ahead_makes_the_others_no_older(provider: Provider) -> None:
    for n in range(400):
        provider.passed += 1.0
        assert provider.says(provider.now(86_400.0 if n % 5 == 3 else 0.0)) is None


def test_one_that_is_dated_far_behind_most_of_the_latest_is_kept(provider: Provider) -> None:
    for _ in range(3):
        assert provider.says(provider.now(), OTHER) is None
    assert provider.says(provider.now(-TOLERANCE - TIMEOUT)) is None
    assert "dated 331 s before" in (provider.says(provider.now(-TOLERANCE - TIMEOUT - 1)) or "")
    assert provider.says(provider.now(-7200)) is not None
    assert provider.says(provider.now(), OTHER) is None


def test_a_copy_that_is_given_for_minutes_is_kept_though_others_are_of_now(provider: Provider) -> None:
    copy = provider.now()
    assert provider.says(copy) is None
    for seconds in (5, 15, 15, 85):
        provider.passed += seconds
        said = provider.says(copy) or ""
        assert (f"kept its date for {provider.passed:.0f} s" in said) is (provider.passed > TIMEOUT + TICK)
        assert provider.says(provider.now(), OTHER) is None
    assert provider.says(provider.now()) is None


def test_what_is_asked_again_is_known_for_longest(provider: Provider) -> None:
    copy = provider.now()
    provider.says(copy)
    for n in range(3 * QUESTIONS):
        provider.passed += 1
        provider.says(provider.now(), f"GET /numbers/{n}")
        if n % (QUESTIONS - 100) == 99:
            assert provider.says(copy) is not None
    assert len(provider.dates._last) == QUESTIONS


def test_what_a_slow_call_was_answered_is_not_kept(provider: Provider) -> None:
    date = provider.now()
    for _ in range(2):
        assert provider.says(date) is None
        provider.passed += TIMEOUT + TICK


def test_the_same_date_for_another_question_says_nothing(provider: Provider) -> None:
    date = provider.now()
    assert provider.says(date, OTHER) is None
    provider.passed += 120
    assert provider.says(date) is None


def test_a_provider_whose_clock_is_set_back_is_read_again_soon(provider: Provider) -> None:
    for _ in range(REMEMBERED):
        assert provider.says(provider.now(3600)) is None
    said = [provider.says(provider.now()) for _ in range(REMEMBERED)]
    assert None not in said[: REMEMBERED // 2 - 1]
    assert set(said[REMEMBERED // 2 :]) == {None}


@pytest.mark.parametrize("headers", [{}, {"date": ""}, {"date": "yesterday"}, {"date": "0"}])
def test_an_answer_without_a_date_is_not_old(provider: Provider, headers: dict[str, str]) -> None:
    provider.says(provider.now())
    assert provider.dates.kept(LISTED, headers) is None


def test_why_it_is_kept_names_what_says_so() -> None:
    assert kept({}) is None
    assert kept({"age": "240"}) == "a list that a cache has kept: age 240"


def test_a_remark_without_its_end_hides_no_hit() -> None:
    assert kept({"cache-status": 'a; fwd=miss; detail="no; hit'}) is not None
    assert kept({"cache-status": 'a; fwd=miss; detail="a \\" b; hit"'}) is None


@pytest.mark.parametrize(
    "text", ["a", ",", "from ", "-_", "hit-for-", "0, ", '"', '"\\', ";hit=?0", "110", "1 1", "cache;desc=", "cdn-"]
)
def test_a_long_header_is_read_in_time(text: str) -> None:
    began = time.thread_time()
    for name in (
        "age",
        "x-cache",
        "cache-status",
        "warning",
        "x-cache-hits",
        "x-varnish",
        "server-timing",
        "x-rack-cache",
    ):
        kept({name: text * (60_000 // len(text)) + "x"})
    assert time.thread_time() - began < 5
