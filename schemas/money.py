"""Money: exact decimals with their currency, never floats. In rows, events and JSON an amount is decimal text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_MONEY = re.compile(rf"\s*({_AMOUNT.pattern})\s*({_CURRENCY.pattern})\s*")


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

    def within(self, told: Price | None) -> bool:
        """Whether it is no more than was *told* before; yes where nothing was, no where that cannot be compared."""
        if told is None:
            return True
        pairs = ((self.monthly, told.monthly), (self.setup, told.setup))
        same = self.currency == told.currency and all((now is None) == (was is None) for now, was in pairs)
        return same and all(now <= was for now, was in pairs if now is not None and was is not None)

    def __str__(self) -> str:
        told = ((self.monthly, "a month"), (self.setup, "setup"))
        return ", ".join(f"{amount_text(amount)} {self.currency} {what}" for amount, what in told if amount is not None)


def amount_text(amount: Decimal) -> str:
    """An amount as plain decimal text, with two places at least: '3.50', '0.0012'."""
    whole, _, places = f"{amount:f}".partition(".")
    return f"{whole}.{places.rstrip('0'):0<2}"


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


def readable(price: Price | None) -> Price | None:
    """A price as a row will say it; None for what is none: below nothing, or not finite."""
    return None if price is None else price_of(price_columns(price))


@dataclass
class MonthlyTotal:
    """What some numbers cost a month together, by currency, and of how many no price a month is known."""

    by_currency: dict[str, Decimal] = field(default_factory=dict)
    without_price: int = 0

    def add(self, price: Price | None) -> None:
        """One number more."""
        if price is None or price.monthly is None:
            self.without_price += 1
        else:
            self.by_currency[price.currency] = self.by_currency.get(price.currency, Decimal(0)) + price.monthly

    def texts(self) -> dict[str, str]:
        """The amounts as text, by currency."""
        return {currency: amount_text(amount) for currency, amount in sorted(self.by_currency.items())}

    def __str__(self) -> str:
        """'12.00 USD a month, and of 3 numbers no price is known'; empty for no number."""
        told = " and ".join(f"{amount} {currency}" for currency, amount in self.texts().items())
        numbers = "1 number" if self.without_price == 1 else f"{self.without_price:,} numbers"
        unknown = f"of {numbers} no price is known" if self.without_price else ""
        return ", and ".join(part for part in (told and f"{told} a month", unknown) if part)


def parse_money(value: Any) -> Money:
    """Read '2.00 USD'. Raises ValueError; a number of TOML, which may be binary, is none."""
    if isinstance(value, Money):
        return value
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"{value!r} is no price: write an amount and its currency, like '2.00 USD'")
    return Money(Decimal(match[1]), match[2])


MoneyText = Annotated[
    Money,
    BeforeValidator(parse_money),
    PlainSerializer(str),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_MONEY.pattern}$", "description": "an amount and its currency: '2.00 USD'"}
    ),
]
"""Money in a configuration or a request: text like '2.00 USD'."""


def _above_nothing(value: Money) -> Money:
    if not value.amount:
        raise ValueError("would buy nothing: raise it, or leave it out for no limit")
    return value


MostMoney = Annotated[MoneyText, AfterValidator(_above_nothing)]
"""The most that something may cost."""
