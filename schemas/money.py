"""Money: exact decimals with their currency, never floats. In rows, events and JSON an amount is decimal text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MONEY = re.compile(rf"\s*({_AMOUNT.pattern})\s*({_CURRENCY.pattern})\s*")
_CENTS = Decimal("0.01")


@dataclass(frozen=True)
class Money:
    """An amount, and its currency's ISO 4217 code."""

    amount: Decimal
    currency: str

    def covers(self, price: Price | None) -> bool:
        """Whether a month at *price* is not above it; no where none is told, and for another currency."""
        if price is None or price.monthly is None:
            return False
        return price.currency == self.currency and price.monthly <= self.amount

    def __str__(self) -> str:
        return f"{amount_text(self.amount)} {self.currency}"


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a number costs a month, and once for its setup; None for what its provider does not tell."""

    monthly: Decimal | None
    setup: Decimal | None = None
    currency: str

    def __str__(self) -> str:
        told = ((self.monthly, "a month"), (self.setup, "setup"))
        return ", ".join(f"{amount_text(amount)} {self.currency} {what}" for amount, what in told if amount is not None)


def amount_text(amount: Decimal) -> str:
    """An amount as plain decimal text, with two places at least: '3.50', '0.0012'."""
    exact = amount.normalize()
    return f"{exact.quantize(_CENTS) if exact == round(exact, 2) else exact:f}"


def read_amount(value: Any) -> Decimal | None:
    """A foreign amount, text or number of JSON, of 12 digits and 12 places at the most; None for what is none.

    A number of JSON is read by its shortest spelling, which is how its provider wrote it.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not _AMOUNT.fullmatch(str(value)):
        return None
    return Decimal(str(value))


def read_price(*, monthly: Any, setup: Any = None, currency: Any) -> Price | None:
    """A foreign price; None where its currency or both its amounts cannot be read."""
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        return None
    month, once = read_amount(monthly), read_amount(setup)
    return None if month is None and once is None else Price(monthly=month, setup=once, currency=currency)


def price_columns(price: Price | None) -> dict[str, str | None]:
    """A price as the columns of a row: monthly_price, setup_price and currency; null for what is not told."""
    if price is None:
        return {"monthly_price": None, "setup_price": None, "currency": None}
    return {
        "monthly_price": None if price.monthly is None else amount_text(price.monthly),
        "setup_price": None if price.setup is None else amount_text(price.setup),
        "currency": price.currency,
    }


def price_of(row: Mapping[str, Any]) -> Price | None:
    """The price that stands in a row's columns."""
    return read_price(monthly=row["monthly_price"], setup=row["setup_price"], currency=row["currency"])


def parse_money(value: Any) -> Money:
    """Read '2.00 USD'. Raises ValueError; a number of TOML, which may be binary, is none."""
    if isinstance(value, Money):
        return value
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{value!r} is no price: write an amount and its currency, like '2.00 USD'")
    return Money(Decimal(match[1]), match[2])


MoneyText = Annotated[Money, BeforeValidator(parse_money), PlainSerializer(str)]
"""Money in a configuration or a request: text like '2.00 USD'."""
