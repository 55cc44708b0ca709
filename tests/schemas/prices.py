"""Prices for tests."""

from __future__ import annotations

from schemas.money import Price, parse_money


def a_month(text: str) -> Price:
    """A price of *text*, like '1.50 USD', a month, and nothing told of its setup."""
    money = parse_money(text)
    return Price(monthly=money.amount, currency=money.currency)
