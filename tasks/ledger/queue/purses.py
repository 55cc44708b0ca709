"""Bounds in money: what a number costs, its setup and first month, and what is left of a bound beside others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, func, select, union_all

from schemas.money import Money, Price, price_of
from schemas.tables.purchases import PURCHASE

_PRICE = (PURCHASE.c.monthly_price, PURCHASE.c.setup_price, PURCHASE.c.currency)

Which = Sequence[ColumnElement[bool] | TextClause]
"""Conditions that all have to be true of a purchase."""


@dataclass(frozen=True, kw_only=True)
class Purse:
    """What is left of a bound.

    That is nothing where some of what counts has no price in its currency: `unknown` of it. `overdrawn` tells that what
    counts costs more.
    """

    left: Decimal
    unknown: int
    overdrawn: bool

    def uncounted(self, within: str = "") -> str | None:
        """What keeps it from being counted; *within* says of which numbers, like ' of these 24 hours'."""
        if not self.unknown:
            return None
        numbers = "1 number" if self.unknown == 1 else f"{self.unknown:,} numbers"
        return f"what {numbers}{within} cost, or will, is not known in the currency of max_spend"


def cost(price: Price | None, bound: Money) -> Decimal | None:
    """What a number costs, setup and first month; None where one of them is not told in the bound's currency."""
    if price is None or price.monthly is None or price.setup is None or price.currency != bound.currency:
        return None
    return price.monthly + price.setup


def affordable(prices: Iterable[Price | None], bound: Money, left: Decimal) -> list[int]:
    """The places of *prices* that fit into what is *left*, in their order; none without a whole price."""
    found = []
    for place, price in enumerate(prices):
        amount = cost(price, bound)
        if amount is not None and amount <= left:
            left -= amount
            found.append(place)
    return found


def affordable_ids(rows: Sequence[Mapping[str, Any]], bound: Money, left: Decimal) -> list[str]:
    """The purchases that fit into what is *left*."""
    return [rows[place]["id"] for place in affordable(map(price_of, rows), bound, left)]


def purse_beside(conn: Connection, bound: Money, counted: Iterable[Which]) -> Purse:
    """What is left of *bound* beside the purchases that *counted* says, each by one set of its conditions at most."""
    spent, unknown = Decimal(0), 0
    for row in map(dict, conn.execute(union_all(*map(_priced, counted))).mappings()):
        amount = cost(price_of(row), bound)
        unknown += row["count"] if amount is None else 0
        spent += row["count"] * (amount or 0)
    left = Decimal(0) if unknown else max(Decimal(0), bound.amount - spent)
    return Purse(left=left, unknown=unknown, overdrawn=spent > bound.amount)


def _priced(which: Which) -> Any:
    return select(*_PRICE, func.count().label("count")).where(*which).group_by(*_PRICE)
