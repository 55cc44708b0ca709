"""How long before its slot a call is claimed."""

from __future__ import annotations

import pytest

from schemas.config.policy import Policy
from tasks.policies.claim_time import CLAIM_AHEAD, CONNECT, FIRST, MOST_AHEAD, ClaimTime


def after(*seconds: float) -> ClaimTime:
    claims = ClaimTime()
    for one in seconds:
        claims.took(one)
    return claims


def test_near_the_servers_it_is_as_long_as_a_slow_commit_takes() -> None:
    assert after().ahead(Policy()) == CLAIM_AHEAD
    assert after(*[0.02] * 50).ahead(Policy()) == CLAIM_AHEAD


def test_far_from_them_it_is_what_claims_take() -> None:
    assert after(*[0.3] * 50).ahead(Policy()) == pytest.approx(0.3 + CONNECT, abs=0.01)
    uneven = after(*[0.2, 0.4] * 50)
    assert uneven.ahead(Policy()) > 0.4
    assert uneven.longest < 1.0


def test_before_the_first_it_is_guessed_by_the_distance() -> None:
    claims = ClaimTime(lambda: 0.004)
    assert claims.longest == FIRST * 0.004
    assert claims.ahead(Policy()) == pytest.approx(FIRST * 0.004 + CONNECT)
    for _ in range(50):
        claims.took(0.02)
    assert claims.ahead(Policy()) == CLAIM_AHEAD
    assert ClaimTime(lambda: 9.0).ahead(Policy()) == MOST_AHEAD


def test_it_comes_back_after_a_claim_that_hung() -> None:
    assert after(*[0.02] * 50, 60.0).longest > MOST_AHEAD
    assert after(*[0.02] * 50, 60.0, *[0.02] * 60).ahead(Policy()) == CLAIM_AHEAD


@pytest.mark.parametrize(("send_within", "most"), [(30.0, MOST_AHEAD), (1.0, 0.5), (0.1, CLAIM_AHEAD)])
def test_the_intent_is_fresh_at_the_slot_still(send_within: float, most: float) -> None:
    assert after(*[9.0] * 50).ahead(Policy(send_within=send_within)) == most
