"""Money is exact, has a currency, and is read from nothing else."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.money import Money, Price, amount_text, parse_money, price_columns, price_of, read_amount, read_price

AMOUNTS = st.decimals(min_value=0, max_value=10**12 - 1, places=12) | st.decimals(0, 10**12 - 1, places=2)


@pytest.mark.parametrize("value", ["-1 EUR", "1e0 EUR", "NaN EUR", "3.50", "3.50 eur", "3.50 EURO", "", None, 3.5, 2])
def test_what_is_no_amount_with_a_currency_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"write an amount and its currency, like '2.00 USD'"):
        parse_money(value)


def test_money_is_read_back() -> None:
    money = parse_money(" 3.5EUR ")
    assert (money, str(money)) == (Money(Decimal("3.5"), "EUR"), "3.50 EUR")
    assert parse_money(str(money)) == parse_money(money) == money


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        *[("0.80000", "0.80"), (1, "1.00"), (0.9, "0.90"), ("12.3456", "12.3456"), ("0", "0.00"), ("100", "100.00")],
        *[("0.000000000001", "0.000000000001"), ("9" * 12, "9" * 12 + ".00")],
        *[(value, None) for value in (True, None, "", "x", "-1", "1e3", "1,5", "9" * 13, [], {}, 1e300, float("nan"))],
        ("0.0000000000001", None),
    ],
)
def test_a_foreign_amount(value: Any, amount: str | None) -> None:
    found = read_amount(value)
    assert (found if found is None else amount_text(found)) == amount


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"monthly": "1", "setup": "2.5", "currency": "USD"}, "1.00 USD a month, 2.50 USD setup"),
        ({"monthly": "1", "setup": "free", "currency": "USD"}, "1.00 USD a month"),
        ({"monthly": None, "setup": "0", "currency": "USD"}, "0.00 USD setup"),
        ({"monthly": None, "setup": None, "currency": "USD"}, None),
        *[({"monthly": "1", "currency": wrong}, None) for wrong in (None, "usd", "US", ["USD"], "", "USDT")],
    ],
)
def test_a_foreign_price(told: Any, found: str | None) -> None:
    price = read_price(**told)
    assert (price if price is None else str(price)) == found


@pytest.mark.parametrize(
    ("monthly", "currency", "covered"),
    [("3.50", "EUR", True), ("0", "EUR", True), ("3.500000000001", "EUR", False), ("1", "USD", False)],
)
def test_it_covers_what_is_not_above_it_in_its_currency(monthly: str, currency: str, covered: bool) -> None:
    assert parse_money("3.50 EUR").covers(read_price(monthly=monthly, currency=currency)) is covered


def test_it_covers_nothing_that_tells_no_price_a_month() -> None:
    assert not parse_money("3.50 EUR").covers(None)
    assert not parse_money("3.50 EUR").covers(read_price(monthly=None, setup="1", currency="EUR"))


@given(AMOUNTS, st.none() | AMOUNTS)
def test_a_price_comes_back_from_its_columns(monthly: Decimal, setup: Decimal | None) -> None:
    price = Price(monthly=monthly, setup=setup, currency="USD")
    assert price_of(price_columns(price)) == price


def test_no_price_is_null_in_each_column() -> None:
    columns = price_columns(None)
    assert (set(columns.values()), price_of(columns)) == ({None}, None)
