"""What numbers cost together."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.money import Price, amount_text
from workers.views.words import count


@dataclass
class Costs:
    """What numbers cost together, by currency, and how many tell no price a month."""

    monthly: dict[str, Decimal] = field(default_factory=dict)
    setup: dict[str, Decimal] = field(default_factory=dict)
    without_price: int = 0

    def add(self, price: Price | None) -> None:
        """One number more."""
        self.without_price += price is None or price.monthly is None
        if price is not None:
            for sums, amount in ((self.monthly, price.monthly), (self.setup, price.setup)):
                if amount is not None:
                    sums[price.currency] = sums.get(price.currency, Decimal(0)) + amount

    def __str__(self) -> str:
        """'12.00 USD a month, 3.00 USD setup, 2 numbers without a price'; empty for no number."""
        parts = ((self.monthly, "a month"), (self.setup, "setup"))
        told = [f"{sums_in_words(sums)} {what}" for sums, what in parts if sums]
        if self.without_price:
            told.append(f"{count(self.without_price, 'number')} without a price")
        return ", ".join(told)

    def document(self) -> dict[str, Any]:
        """As plain data; amounts are text."""
        monthly, setup = ({code: amount_text(one) for code, one in sums.items()} for sums in (self.monthly, self.setup))
        return {"monthly": monthly, "setup": setup, "without_price": self.without_price}


def sums_in_words(sums: dict[str, Decimal]) -> str:
    """'12.00 USD', with a plus between currencies."""
    return " + ".join(f"{amount_text(amount)} {currency}" for currency, amount in sorted(sums.items()))
