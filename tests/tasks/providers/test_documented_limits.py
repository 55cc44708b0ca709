"""What the documents say of pace, size and patience, and that our defaults keep to it."""

from __future__ import annotations

import pytest

from schemas.config.kinds import policy_for
from schemas.config.policy import Policy
from tasks.providers.bandwidth.adapter import MOST_OFFERS as BANDWIDTH_OFFERS
from tasks.providers.bandwidth.pages import PAGE_SIZE as BANDWIDTH_PAGE
from tasks.providers.bird.adapter import PAGE_SIZE as BIRD_PAGE
from tasks.providers.fluents.adapter import PAGE_SIZE as FLUENTS_PAGE
from tasks.providers.plivo.pages import PAGE_SIZE as PLIVO_PAGE
from tasks.providers.registry import kinds
from tasks.providers.signalwire.adapter import MAX_RESULTS as SIGNALWIRE_OFFERS
from tasks.providers.signalwire.adapter import PAGE_SIZE as SIGNALWIRE_PAGE
from tasks.providers.telnyx.pages import PAGE_SIZE as TELNYX_PAGE
from tasks.providers.twilio.adapter import PAGE_SIZE as TWILIO_PAGE
from tasks.providers.vogent.adapter import MAX_CANDIDATES as VOGENT_OFFERS
from tasks.providers.vogent.adapter import PAGE_SIZE as VOGENT_PAGE
from tasks.providers.vonage.pages import PAGE_SIZE as VONAGE_PAGE


def policy(kind: str) -> Policy:
    return policy_for(kinds()[kind], {})


def most(kind: str, window: float, *, looks: bool) -> float:
    """The most calls that a kind's defaults let go in *window* seconds."""
    found = policy(kind)
    rates = found.lookup_rate_limits if looks else found.rate_limits
    return min(max(rate.limit, rate.limit * window / rate.window) for rate in rates)


def test_signalwire_posts_13800_in_10_s_and_keeps_1000_numbers_a_project() -> None:
    assert most("signalwire", 10, looks=False) <= 13_000
    assert policy("signalwire").daily_limit == 1000


def test_plivo_counts_300_requests_in_5_s_over_all_of_them() -> None:
    assert most("plivo", 5, looks=False) + most("plivo", 5, looks=True) <= 300


def test_bird_has_500_posts_and_50_gets_a_second_where_it_says_so() -> None:
    assert most("bird", 1, looks=False) <= 500
    assert most("bird", 1, looks=True) < 50


def test_twilio_counts_calls_at_once_and_may_take_26_s_itself() -> None:
    assert policy("twilio").timeout > 26
    assert policy("twilio").max_in_flight == 10


def test_timepay_shows_no_purchase_so_a_person_settles_what_is_in_doubt() -> None:
    assert policy("timepay").on_unknown == "hold"


@pytest.mark.parametrize("kind", ["timepay", "fluents", "vogent", "telnyx", "vonage", "bandwidth"])
def test_where_no_limit_is_documented_the_pace_is_modest(kind: str) -> None:
    assert most(kind, 1, looks=False) <= 10
    assert policy(kind).max_batch == 1


@pytest.mark.parametrize(
    ("ours", "documented"),
    [
        *((FLUENTS_PAGE, 100), (SIGNALWIRE_PAGE, 1000), (VOGENT_PAGE, 100), (BIRD_PAGE, 99), (TWILIO_PAGE, 1000)),
        *((TELNYX_PAGE, 250), (PLIVO_PAGE, 20), (VONAGE_PAGE, 100), (BANDWIDTH_PAGE, 2500)),
        *((SIGNALWIRE_OFFERS, 100), (VOGENT_OFFERS, 10), (BANDWIDTH_OFFERS, 5000)),
    ],
)
def test_no_page_is_larger_than_documented(ours: int, documented: int) -> None:
    assert 0 < ours <= documented


def test_no_call_carries_more_numbers_than_documented_and_one_by_default() -> None:
    several = {name: kind.max_batch for name, kind in kinds().items() if kind.max_batch > 1}
    # Bird says 25; how many the others take is not said: as many is our choice.
    assert several == dict.fromkeys(("timepay", "bird", "telnyx", "bandwidth"), 25)
    assert all(policy(kind).max_batch == 1 for kind in kinds())
