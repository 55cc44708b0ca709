"""schemas.config.policy: the defaults of each kind, and what a policy must not say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.config.kinds import policy_for
from schemas.config.policy import Policy
from tasks.providers.registry import kinds


def refusal(**fields):
    with pytest.raises(ValidationError) as caught:
        Policy(**fields)
    return str(caught.value)


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_has_coherent_defaults(kind):
    policy = policy_for(kinds()[kind], {})
    assert policy.timeout >= policy.connect_timeout
    assert policy.take_within > policy.send_within
    assert policy.give_up_after > policy.timeout + max(policy.reconcile_after)


def test_the_kinds_defaults_are_those_of_their_pages():
    signalwire = policy_for(kinds()["signalwire"], {})
    assert [str(rate) for rate in signalwire.rate_limits] == ["1300/second", "13800/10 seconds"]
    assert (signalwire.daily_limit, signalwire.max_in_flight) == (1000, 50)
    assert policy_for(kinds()["timepay"], {}).on_unknown == "hold"
    assert {name for name, kind in kinds().items() if policy_for(kind, {}).on_unknown == "hold"} == {"timepay"}


def test_overrides_beat_the_kinds_defaults_and_leave_the_rest():
    policy = policy_for(kinds()["signalwire"], {"daily_limit": 7, "give_up_after": "2h", "rate_limits": ["2/second"]})
    assert (policy.daily_limit, policy.give_up_after, str(policy.rate_limits[0])) == (7, 7200.0, "2/second")
    assert policy.max_in_flight == 50
    assert policy_for(kinds()["signalwire"], {}).daily_limit == 1000


def test_a_burst_above_any_limit_is_refused():
    assert "burst: 6 is above the limit 5/minute: lower" in refusal(burst=6, rate_limits=["50/second", "5/minute"])
    assert Policy(burst=5, rate_limits=["5/second"]).burst == 5


@pytest.mark.parametrize("field", ["rate_limits", "lookup_rate_limits"])
@pytest.mark.parametrize(
    "rates", [["10/second", "5/minute"], ["5/minute", "10/second"], ["10/second", "20/second"], ["10/minute"] * 2]
)
def test_windows_that_contradict_each_other_are_refused(field, rates):
    message = refusal(**{field: rates})
    assert f"{field}: " in message
    assert "contradicts" in message


def test_a_longer_window_may_allow_as_many_or_more():
    assert len(Policy(rate_limits=["10/second", "10/minute", "11/hour"]).rate_limits) == 3


@pytest.mark.parametrize("field", ["rate_limits", "lookup_rate_limits", "reconcile_after"])
def test_an_empty_list_is_refused(field):
    assert f"{field}: is empty: give at least one" in refusal(**{field: []})


@pytest.mark.parametrize("looks", [[30, 5], [5, 5], [5, 30, 30]])
def test_the_looks_must_rise(looks):
    assert "reconcile_after: must rise" in refusal(reconcile_after=looks)


def test_the_longest_backoff_is_not_below_the_first():
    assert "backoff_max: 1 is below backoff_initial: raise it" in refusal(backoff_initial=2, backoff_max=1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"max_spend": "9 USD"}, "max_spend: needs cost_if_unknown beside it"),
        ({"max_spend": "9 USD", "cost_if_unknown": "2 EUR"}, "cost_if_unknown: is in EUR, and max_spend in USD"),
        (
            {"max_spend": "9 USD", "cost_if_unknown": "10 USD"},
            "10.00 USD is above max_spend, 9.00 USD",
        ),
        ({"max_spend": "9", "cost_if_unknown": "2 USD"}, "write an amount and its currency"),
        ({"max_spend": "0 USD", "cost_if_unknown": "2 USD"}, "would buy nothing"),
    ],
)
def test_what_may_be_spent_a_day_says_how_a_number_without_a_price_counts(fields, told):
    assert told in refusal(**fields)
    assert str(Policy(max_spend="9 USD", cost_if_unknown="2 USD").max_spend) == "9.00 USD"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("burst", 0),
        ("max_in_flight", 0),
        ("daily_limit", -1),
        ("timeout", 0),
        ("timeout", 301),
        ("connect_timeout", 0),
        ("send_within", 0),
        ("max_attempts", 0),
        ("pause_after_failures", 1),
        ("give_up_after", 0),
        ("poll_every", "0s"),
        ("reconcile_after", [-1]),
        ("backoff_max", float("inf")),
        ("rate_guard", float("nan")),
        ("give_up_after", float("inf")),
        ("on_unknown", "buy again"),
        ("timout", 3),
    ],
)
def test_values_out_of_bounds_and_unknown_fields_are_refused(field, value):
    assert field in refusal(**{field: value})


def test_a_policy_survives_json():
    policy = policy_for(kinds()["signalwire"], {"burst": 3})
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


def test_a_policy_cannot_be_changed():
    policy = policy_for(kinds()["bird"], {})
    with pytest.raises(ValidationError):
        policy.burst = 2
