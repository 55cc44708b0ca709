"""What a dry run of an order by criteria tells: what there is, from whom, at what price, and how long it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from schemas.by_criteria.wishes import Wish
from schemas.money import Money
from tasks.runtime import Runtime
from tasks.supply.candidates import find
from tasks.supply.offers import Offer, less, within
from workers.cli.terminal.output import show, show_table
from workers.views.costs import Costs, sums_in_words
from workers.views.orders.dry_run import least_seconds
from workers.views.words import count, duration

_COLUMNS = (
    *("wish", "wanted", "provider", "to buy", "a month", "setup", "without price"),
    *("at its limits", "why not more"),
)


@dataclass
class FromOne:
    """What would be bought of one provider for a wish; `seconds` is the least that this takes at its limits."""

    provider: str
    to_buy: int = 0
    costs: Costs = field(default_factory=Costs)
    seconds: float = 0.0
    reason: str | None = None


@dataclass
class Preview:
    """What one wish would come to."""

    wish: Wish
    parts: list[FromOne]

    @property
    def to_buy(self) -> int:
        """How many numbers were found, none where they are fewer than `at_least`."""
        found = sum(part.to_buy for part in self.parts)
        return found if found >= self.wish.at_least else 0

    def document(self) -> dict[str, Any]:
        """As plain data."""
        providers = [{**vars(part), "costs": part.costs.document()} for part in self.parts]
        criteria = self.wish.criteria.model_dump(mode="json", exclude={"exclude"})
        wanted = {"count": self.wish.count, "at_least": self.wish.at_least, "criteria": criteria}
        return {**wanted, "to_buy": self.to_buy, "providers": providers}


def preview(runtime: Runtime, wishes: Sequence[Wish], spend: Money | None = None) -> list[Preview]:
    """Search for each wish, once, within what all may *spend*.

    A number that two wishes find is told of for the first alone.
    """
    taken: set[str] = set()
    previews = []
    for wish in wishes:
        excluded = wish.criteria.exclude | taken
        criteria = wish.criteria.model_copy(update={"exclude": frozenset(excluded)})
        found = find(runtime, criteria, wish.count, spend=spend)
        chosen = within(found.offers, spend)[: wish.count]
        spend = spend and less(spend, chosen)
        taken.update(offer.number for offer in chosen)
        parts = {alias: FromOne(alias, reason=found.reasons.get(alias)) for alias in criteria.providers}
        _count(runtime, parts, chosen)
        previews.append(Preview(wish, list(parts.values())))
    return previews


def _count(runtime: Runtime, parts: Mapping[str, FromOne], chosen: Sequence[Offer]) -> None:
    for offer in chosen:
        parts[offer.provider].to_buy += 1
        parts[offer.provider].costs.add(offer.price)
    for alias, part in parts.items():
        if alias in runtime.providers:
            part.seconds = least_seconds(runtime.providers[alias], part.to_buy)


def show_preview(previews: Sequence[Preview]) -> None:
    """For a person, with the sum."""
    show_table(_COLUMNS, [row for one in previews for row in _rows(one)], numbers=("wanted", "to buy", "without price"))
    show()
    buys = [one for one in previews if one.to_buy]
    costs, seconds = Costs(), dict[str, float]()
    for part in (part for one in buys for part in one.parts):
        _add(costs, part.costs)
        seconds[part.provider] = seconds.get(part.provider, 0.0) + part.seconds
    money = f" ({costs})" if str(costs) else ""
    wanted, buy = sum(one.wish.count for one in previews), sum(one.to_buy for one in buys)
    longest = duration(max(seconds.values(), default=0.0))
    show(f"{buy:,} of {count(wanted, 'number')} would be bought{money}, in {longest} at the least. This was a dry run.")


def _add(total: Costs, more: Costs) -> None:
    total.without_price += more.without_price
    for sums, others in ((total.monthly, more.monthly), (total.setup, more.setup)):
        for currency, amount in others.items():
            sums[currency] = sums.get(currency, Decimal(0)) + amount


def _rows(one: Preview) -> list[tuple[Any, ...]]:
    fewer = f"fewer than at_least, {one.wish.at_least}: nothing is bought" if not one.to_buy else None
    return [
        (
            str(one.wish.criteria),
            one.wish.count,
            part.provider,
            part.to_buy,
            sums_in_words(part.costs.monthly),
            sums_in_words(part.costs.setup),
            part.costs.without_price,
            duration(part.seconds),
            part.reason or (fewer if part.to_buy else ""),
        )
        for part in one.parts
        if part.to_buy or part.reason
    ]
