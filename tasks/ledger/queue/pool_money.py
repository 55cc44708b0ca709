"""A pool's bound in money: what it buys in any 24 hours costs so much at the most, each setup and first month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, TextClause, func, select, union_all

from schemas.money import Money, Price, price_of
from schemas.tables.purchases import POOLED, PURCHASE
from tasks.ledger.queue.pool_limits import CHARGED, DOUBTFUL_AGAIN, MOVING, WAITING, called_within

_PRICE = (PURCHASE.c.monthly_price, PURCHASE.c.setup_price, PURCHASE.c.currency)


@dataclass(frozen=True, kw_only=True)
class Purse:
    """What is left of a bound.

    That is nothing where some of what counts has no price in its currency: `unknown` of it. `overdrawn` tells that what
    counts costs more.
    """

    left: Decimal
    unknown: int
    overdrawn: bool

    @property
    def uncounted(self) -> str | None:
        """What keeps it from being counted."""
        if not self.unknown:
            return None
        numbers = "1 number" if self.unknown == 1 else f"{self.unknown:,} numbers"
        return f"what {numbers} of these 24 hours cost, or will, is not known in the currency of max_spend"


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


def purse(conn: Connection, pool: str, bound: Money, now: datetime, *, waiting: bool) -> Purse:
    """What the pool may spend now, beside what counts for its daily limit; with *waiting* beside all that waits too."""
    counted: Sequence[Sequence[ColumnElement[bool] | TextClause]] = (
        (MOVING,),
        (CHARGED, called_within(now)),
        WAITING if waiting else (*DOUBTFUL_AGAIN, called_within(now)),
    )
    spent, unknown = Decimal(0), 0
    for row in map(dict, conn.execute(union_all(*(_priced(pool, which) for which in counted))).mappings()):
        amount = cost(price_of(row), bound)
        unknown += row["count"] if amount is None else 0
        spent += row["count"] * (amount or 0)
    left = Decimal(0) if unknown else max(Decimal(0), bound.amount - spent)
    return Purse(left=left, unknown=unknown, overdrawn=spent > bound.amount)


def _priced(pool: str, which: Sequence[ColumnElement[bool] | TextClause]) -> Any:
    query = select(*_PRICE, func.count().label("count")).where(POOLED, PURCHASE.c.pool == pool, *which)
    return query.group_by(*_PRICE)


def affordable_ids(rows: Sequence[Mapping[str, Any]], bound: Money, left: Decimal) -> list[str]:
    """The purchases that fit into what is *left*."""
    return [rows[place]["id"] for place in affordable(map(price_of, rows), bound, left)]
