"""Whether a price is no more than one that was told before."""

from __future__ import annotations

from decimal import Decimal

import pytest

from schemas.money import Price


def price(monthly: str | None, setup: str | None = None, currency: str = "USD") -> Price:
    return Price(monthly=monthly and Decimal(monthly), setup=setup and Decimal(setup), currency=currency)


@pytest.mark.parametrize("now", [price("1.00", "0"), price("0.99", "0"), price("1", "0.00")])
def test_as_much_or_less(now: Price) -> None:
    assert now.within(price("1.00", "0"))
    assert now.within(None)


@pytest.mark.parametrize(
    "now",
    [price("1.01", "0"), price("1.00", "0.01"), price("1.00"), price(None, "0"), price("1.00", "0", "EUR")],
)
def test_more_or_what_cannot_be_compared(now: Price) -> None:
    assert not now.within(price("1.00", "0"))


def test_a_setup_that_was_not_told_before_is_more() -> None:
    assert not price("1.00", "5.00").within(price("1.00"))
    assert price("1.00").within(price("1.00"))
