"""Numbers that could be ordered, and which of them can be ordered now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from schemas.money import Money, Price
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.queue.purses import Bound, affordable, cost
from tasks.pools.counting import DAY
from tasks.pools.stock import in_pools
from tasks.runtime import Runtime


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A number that could be ordered. `price` is what its search told."""

    number: str
    provider: str
    price: Price | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


def usable(conn: Connection, runtime: Runtime, offers: Sequence[Offer], chosen: Sequence[Offer] = ()) -> list[Offer]:
    """The offers that can be ordered now; each number once, and none of *chosen*.

    Left out: what is bought or in work at the account, what failed there in the last 24 hours, what was ever released
    there, and what another pool has.
    """
    taken = in_pools(conn, [offer.number for offer in offers]) | {offer.number for offer in chosen}
    used = {
        (alias, number)
        for alias in {offer.provider for offer in offers}
        for number in _used(conn, runtime, alias, [offer.number for offer in offers if offer.provider == alias])
    }
    free: dict[str, Offer] = {}
    for offer in offers:
        if offer.number not in taken and (offer.provider, offer.number) not in used:
            free.setdefault(offer.number, offer)
    return list(free.values())


def within(offers: Sequence[Offer], spend: Money | None) -> Sequence[Offer]:
    """Those of *offers* that together cost no more than *spend*, each its setup and first month."""
    if spend is None:
        return offers
    return [offers[place] for place in affordable([one.price for one in offers], spend, spend.amount)]


def within_day(offers: Sequence[Offer], day: Bound, chosen: Sequence[Offer]) -> list[Offer]:
    """Those of *offers* that fit into what is left of a *day* beside the *chosen*."""
    left = replace(day)
    for one in chosen:
        left.take(one.price)
    return [one for one in offers if left.take(one.price)]


def less(spend: Money, chosen: Sequence[Offer]) -> Money:
    """What is left of *spend* beside the *chosen*, which are within it."""
    costs = [cost(one.price, spend) or Decimal(0) for one in chosen]
    return Money(spend.amount - sum(costs, Decimal(0)), spend.currency)


def _used(conn: Connection, runtime: Runtime, alias: str, numbers: Sequence[str]) -> set[str]:
    at = PURCHASE.c
    query = select(at.number).where(
        at.account == runtime.providers[alias].account,
        at.number.in_(numbers),
        or_(
            at.status.not_in((Status.FAILED, Status.CANCELLED)),
            and_(at.status == Status.FAILED, at.finished_at > runtime.now() - DAY),
        ),
    )
    return set(conn.execute(query).scalars())
