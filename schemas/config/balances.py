"""What an account has left, and at what it is low: exact decimals, in the currency that the provider tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

ANY = "any"
"""The currency of a balance that tells its own."""

_AMOUNT = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,20})?")
_CURRENCY = re.compile(r"[A-Z]{3}|")


@dataclass(frozen=True)
class Balance:
    """An amount, and its currency's ISO 4217 code; that is empty where the provider tells none."""

    amount: Decimal
    currency: str = ""

    def is_low(self, low: Balance) -> bool | None:
        """Whether it is at *low* or below; None where their currencies differ: that cannot be told."""
        return self.amount <= low.amount if self.currency == low.currency else None

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}".rstrip()


def read_balance(amount: str, currency: str = "") -> Balance | None:
    """A plain decimal, of 12 digits and 20 behind the point at the most, and its currency; None for anything else."""
    if not _AMOUNT.fullmatch(amount) or not _CURRENCY.fullmatch(currency):
        return None
    return Balance(Decimal(amount), currency)


def parse_low_balance(value: Any) -> Balance:
    """Read '50.00 EUR', or '50.00' alone. Raises ValueError; a number of TOML, which may be binary, is none."""
    if isinstance(value, Balance):
        return value
    found = read_balance(*value.split(" ", 1)) if isinstance(value, str) else None
    if found is None or found.amount < 0 or value.endswith(" "):
        raise ValueError(f"{value!r} is no balance: write an amount as text, like '50.00 EUR'")
    return found


LowBalance = Annotated[Balance, BeforeValidator(parse_low_balance)]
