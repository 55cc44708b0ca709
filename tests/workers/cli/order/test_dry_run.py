"""The least time at a provider's limits."""

from typing import Any, cast

import pytest

from schemas.config.kinds import policy_for
from tasks.providers.adapter import Adapter
from tasks.providers.registry import kinds
from tasks.runtime import Binding
from workers.views.orders.dry_run import DAY, least_seconds


def bound(**policy: Any) -> Binding:
    return Binding(
        alias="a",
        kind="vogent",
        account="vogent|https://x|",
        policy=policy_for(kinds()["vogent"], {"rate_guard": 0, **policy}),
        adapter=cast(Adapter, None),
    )


def test_the_slowest_window_sets_the_pace() -> None:
    binding = bound(rate_limits=["10/second", "30/minute"])
    assert least_seconds(binding, 100) == pytest.approx(200)
    assert least_seconds(binding, 0) == 0


def test_what_may_be_spent_a_day_takes_days() -> None:
    binding = bound(rate_limits=["10/second"], daily_limit=1000, max_spend="25 USD", cost_if_unknown="2.50 USD")
    assert least_seconds(binding, 11) == pytest.approx(1.1)
    assert least_seconds(binding, 10, unpriced=True) == pytest.approx(1)
    assert least_seconds(binding, 25, unpriced=True) == pytest.approx(2 * DAY + 0.4)


def test_a_daily_limit_takes_days() -> None:
    binding = bound(rate_limits=["10/second"], daily_limit=1000)
    assert least_seconds(binding, 1000) == pytest.approx(100)
    assert least_seconds(binding, 1001) == pytest.approx(DAY)
    assert least_seconds(binding, 2500) == pytest.approx(2 * DAY + 49.9)
