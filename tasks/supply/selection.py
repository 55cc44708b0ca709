"""The offers that were chosen so far: what the limits of a day leave, each account's counted together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from schemas.money import Money
from tasks.ledger.queue.day_spend import DaySpend
from tasks.runtime import Runtime
from tasks.supply.budgets import Budget, budgets, day_spends
from tasks.supply.offers import Offer, usable, within_day


@dataclass(frozen=True, kw_only=True)
class Selection:
    """`offers` can be ordered, in the order in which they were added; `shared` only where there are too few of them.

    `budgets` are what daily limits leave, `days` the max_spend of those that have one. `shared` are offers at providers
    whose daily limit may go to others that wait there, `dear` how many offers a max_spend left out.
    """

    runtime: Runtime
    budgets: Mapping[str, Budget]
    days: Mapping[str, DaySpend]
    offers: list[Offer] = field(default_factory=list)
    shared: list[Offer] = field(default_factory=list)
    dear: Counter[str] = field(default_factory=Counter)

    def add(self, alias: str, offers: Sequence[Offer]) -> bool:
        """Add those of *offers* that can be ordered; whether there were any, and may be more."""
        with self.runtime.database.read() as conn:
            fresh = usable(conn, self.runtime, offers, self.offers)
        if alias in self.days:
            before = len(fresh)
            fresh = within_day(fresh, self.days[alias], self.at_account(alias, [*self.offers, *self.shared]))
            self.dear[alias] += before - len(fresh)
        left = self.left(alias)
        alone = max(0, min(left))
        self.offers.extend(fresh[:alone])
        self.shared.extend(fresh[alone : left.most])
        return 0 < len(fresh) < alone

    def add_shared(self) -> None:
        """Add what has to share a daily limit."""
        with self.runtime.database.read() as conn:
            self.offers.extend(usable(conn, self.runtime, self.shared, self.offers))

    def clear(self) -> None:
        """Begin anew."""
        self.offers.clear()
        self.shared.clear()
        self.dear.clear()

    def left(self, alias: str) -> Budget:
        """The provider's daily limit without what was chosen at its account."""
        most, idle = self.budgets[alias]
        chosen = len(self.at_account(alias, self.offers))
        return Budget(most - chosen - len(self.at_account(alias, self.shared)), idle - chosen)

    def limit_met(self, alias: str) -> str | None:
        """Which limit of its day leaves no more at a provider."""
        if self.left(alias).idle < 1:
            limit = self.runtime.providers[alias].policy.daily_limit
            return f"its daily_limit of {limit} leaves no more beside what waits there"
        if self.dear[alias]:
            return f"its max_spend leaves no more: {self.days[alias]}, beside what waits there"
        return None

    def full(self, alias: str, *, wanted: int, enough: int) -> bool:
        """Whether more of the provider's numbers would be of no use, with *enough* of *wanted* maybe to be shared."""
        left, chosen = self.left(alias), len(self.offers)
        plenty = left.idle < 1 and chosen + len(self.shared) >= enough
        return chosen >= wanted or left.most < 1 or bool(self.dear[alias]) or plenty

    def at_account(self, alias: str, offers: Sequence[Offer]) -> list[Offer]:
        """Those of *offers* that are of the provider's account."""
        providers = self.runtime.providers
        return [one for one in offers if providers[one.provider].account == providers[alias].account]

    def cheapest_first(self, limit: Money | None) -> dict[str, str]:
        """Order by price, in the currency of *limit* or of the first; which providers are left out, and why."""
        priced = [(offer.price.currency, offer.price.monthly, offer) for offer in self.offers if offer.price]
        currency = limit.currency if limit else next((told for told, _, _ in priced), "")
        others = {offer.provider: told for told, _, offer in priced if told != currency}
        same = [(monthly, offer) for told, monthly, offer in priced if told == currency and monthly is not None]
        self.offers[:] = [offer for _, offer in sorted(same, key=lambda one: one[0])]
        return {
            alias: f"its prices are in {told}, and those of others in {currency}: a max_price says which are compared"
            for alias, told in others.items()
        }


def selection_at(conn: Connection, runtime: Runtime, aliases: Sequence[str]) -> Selection:
    """An empty one, with what the limits of a day leave at *aliases*, which buy now."""
    left, days = budgets(conn, runtime, aliases), day_spends(conn, runtime, aliases, waiting=True)
    return Selection(runtime=runtime, budgets=left, days=days)
