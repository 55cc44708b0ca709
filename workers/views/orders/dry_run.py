"""What a dry run tells: how many per provider and country, how long at its limits, what is ours or in work already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from schemas.numbering.regions import region_of
from schemas.requests import BuyNumber
from schemas.status import Status
from tasks.chunks import chunks
from tasks.ledger.releases.made import given_back
from tasks.orders import CHUNK
from tasks.policies.pace import buying_lane
from tasks.reports.queries import alive_purchases
from tasks.runtime import Binding, Runtime

DAY = timedelta(days=1).total_seconds()


@dataclass(kw_only=True)
class Counts:
    """Lines to buy, of them `given_back` those that were bought once; and lines that are bought, held or in work."""

    to_buy: int = 0
    bought: int = 0
    held: int = 0
    in_work: int = 0
    given_back: int = 0

    def add(self, status: Status | None, *, given_back: bool) -> None:
        """Count one line; no status where nothing alive has its number."""
        if status is None:
            self.to_buy += 1
            self.given_back += given_back
        elif status is Status.PURCHASED:
            self.bought += 1
        elif status is Status.HELD:
            self.held += 1
        else:
            self.in_work += 1


@dataclass
class Plan(Counts):
    """One provider's part of an order.

    `seconds` is the least time that the buying takes at the provider's limits.
    """

    provider: str
    seconds: float = 0.0


@dataclass
class InCountry(Counts):
    """The numbers of one country (ISO 3166-1 alpha-2); None for codes that are no country's, like +800."""

    country: str | None


def plan(runtime: Runtime, requests: Iterable[BuyNumber]) -> tuple[list[Plan], list[InCountry]]:
    """The plan of each provider that the requests name, and of each country, the one with the most to buy first."""
    plans: dict[str, Plan] = {}
    countries: dict[str | None, InCountry] = {}
    for chunk in chunks(requests, CHUNK):
        for alias, wanted in _by_provider(chunk).items():
            with runtime.database.read() as conn:
                account = runtime.providers[alias].account
                alive, gone = alive_purchases(conn, account, wanted), given_back(conn, account, wanted)
            for number in wanted:
                country = region_of(number)
                for counts in (countries.setdefault(country, InCountry(country)), plans.setdefault(alias, Plan(alias))):
                    counts.add(alive.get(number), given_back=number in gone)
    for alias, one in plans.items():
        one.seconds = least_seconds(runtime.providers[alias], one.to_buy, unpriced=True)
    first = sorted(countries.values(), key=lambda one: (-one.to_buy, one.country or "~"))
    return [plans[alias] for alias in sorted(plans)], first


def _by_provider(requests: Iterable[BuyNumber]) -> dict[str, list[str]]:
    numbers: dict[str, list[str]] = {}
    for request in requests:
        numbers.setdefault(request.provider, []).append(request.number)
    return numbers


def least_seconds(binding: Binding, purchases: int, *, unpriced: bool = False) -> float:
    """The least time for so many purchases at the provider's pace and its limits of a day, from an idle start.

    What is *unpriced* counts for max_spend as cost_if_unknown.
    """
    policy = binding.policy
    interval = buying_lane(binding.account, policy).interval
    a_day = [policy.daily_limit] if policy.daily_limit else []
    if unpriced and policy.max_spend and policy.cost_if_unknown:
        a_day.append(int(policy.max_spend.amount // policy.cost_if_unknown.amount))
    if purchases <= min(a_day, default=purchases):
        return purchases * interval
    whole_days, rest = divmod(purchases - 1, min(a_day))
    return whole_days * DAY + rest * interval
