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


@dataclass
class Bound:
    """A bound in money, and what is left of it while purchases are chosen.

    What does not tell its setup and first month counts as `if_unknown`, where that is given, or as what it tells, where
    that is more.
    """

    most: Money
    left: Decimal
    if_unknown: Money | None = None

    def cost(self, price: Price | None) -> Decimal | None:
        """What a number counts as; None where that is not known in the bound's currency."""
        return cost(price, self.most, self.if_unknown)

    def covers(self, price: Price | None) -> bool:
        """Whether a number fits into what is left."""
        amount = self.cost(price)
        return amount is not None and amount <= self.left

    def take(self, price: Price | None) -> bool:
        """Choose a number where it fits; whether it does."""
        if fits := self.covers(price):
            self.left -= self.cost(price) or 0
        return fits


def cost(price: Price | None, bound: Money, if_unknown: Money | None = None) -> Decimal | None:
    """What a number costs, setup and first month; None where one of them is not told in the bound's currency.

    *if_unknown* is `Bound.if_unknown`.
    """
    if price is not None and price.currency != bound.currency:
        return None
    told = [amount for amount in (price.monthly, price.setup) if amount is not None] if price else []
    if len(told) < 2 and if_unknown is None:
        return None
    least = Decimal(0) if if_unknown is None or len(told) == 2 else if_unknown.amount
    return max(sum(told, Decimal(0)), least)


def affordable(prices: Iterable[Price | None], bound: Money, left: Decimal) -> list[int]:
    """The places of *prices* that fit into what is *left*, in their order; none without a whole price."""
    found = []
    for place, price in enumerate(prices):
        amount = cost(price, bound)
        if amount is not None and amount <= left:
            left -= amount
            found.append(place)
    return found


def fitting_ids(rows: Sequence[Mapping[str, Any]], bounds: Sequence[Bound]) -> list[str]:
    """The purchases that fit into what is left of all *bounds*, from which they are taken."""
    found = []
    for row in rows:
        price = price_of(row)
        if all(bound.covers(price) for bound in bounds):
            for bound in bounds:
                bound.take(price)
            found.append(row["id"])
    return found


def purse_beside(conn: Connection, bound: Money, counted: Iterable[Which]) -> Purse:
    """What is left of *bound* beside the purchases that *counted* says, each by one set of its conditions at most."""
    spent, unknown = spending(conn, bound, counted)
    left = Decimal(0) if unknown else max(Decimal(0), bound.amount - spent)
    return Purse(left=left, unknown=unknown, overdrawn=spent > bound.amount)


def spending(
    conn: Connection, bound: Money, counted: Iterable[Which], if_unknown: Money | None = None
) -> tuple[Decimal, int]:
    """What the purchases that *counted* says cost in the currency of *bound*, and of how many that is not known."""
    spent, unknown = Decimal(0), 0
    for row in map(dict, conn.execute(union_all(*map(_priced, counted))).mappings()):
        amount = cost(price_of(row), bound, if_unknown)
        unknown += row["count"] if amount is None else 0
        spent += row["count"] * (amount or 0)
    return spent, unknown


def _priced(which: Which) -> Any:
    return select(*_PRICE, func.count().label("count")).where(*which).group_by(*_PRICE)
