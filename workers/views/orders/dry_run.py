"""What a dry run tells: how many per provider and country, how long at its limits, what is ours or in work already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection

from schemas.numbering.regions import region_of
from schemas.requests import BuyNumber
from schemas.status import Status
from tasks.chunks import chunks
from tasks.ledger.queue.day_counts import DayCount
from tasks.ledger.releases.made import given_back
from tasks.orders import CHUNK
from tasks.policies.pace import buying_lane
from tasks.reports.queries import alive_purchases
from tasks.runtime import Binding, Runtime
from workers.views.day_limits import counts_of

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
    _time(runtime, plans)
    first = sorted(countries.values(), key=lambda one: (-one.to_buy, one.country or "~"))
    return [plans[alias] for alias in sorted(plans)], first


def _by_provider(requests: Iterable[BuyNumber]) -> dict[str, list[str]]:
    numbers: dict[str, list[str]] = {}
    for request in requests:
        numbers.setdefault(request.provider, []).append(request.number)
    return numbers


def _time(runtime: Runtime, plans: Mapping[str, Plan]) -> None:
    with runtime.database.read() as conn:
        days = counts_of(conn, runtime, (alias for alias, one in plans.items() if one.to_buy))
        for alias, one in plans.items():
            binding, day = runtime.providers[alias], days.get(alias)
            ahead, fits = (day.waiting(conn), fits_in(conn, day, binding)) if day else (0, None)
            one.seconds = least_seconds(binding, one.to_buy, unpriced=True, ahead=ahead, fits=fits)


def fits_in(conn: Connection, day: DayCount, binding: Binding) -> Callable[[int], float]:
    """In how many seconds so many fit the provider's daily_limit, beside what is charged and under way."""
    limit = binding.policy.daily_limit
    return lambda more: (day.fits_at(conn, limit, more) - day.now).total_seconds()


def least_seconds(
    binding: Binding,
    purchases: int,
    *,
    unpriced: bool = False,
    ahead: int = 0,
    fits: Callable[[int], float] | None = None,
) -> float:
    """The least time for so many purchases at the provider's pace and its limits of a day, *ahead* of them first.

    *fits* is what `fits_in` returns; without it from an idle start. What is *unpriced* counts for max_spend as
    cost_if_unknown.
    """
    policy = binding.policy
    interval = buying_lane(binding.account, policy).interval
    total = purchases and ahead + purchases
    a_day = [policy.daily_limit] if policy.daily_limit else []
    if unpriced and policy.max_spend and policy.cost_if_unknown:
        a_day.append(int(policy.max_spend.amount // policy.cost_if_unknown.amount))
    least = total * interval
    if total > min(a_day, default=total):
        whole_days, rest = divmod(total - 1, min(a_day))
        least = whole_days * DAY + rest * interval
    if fits is None or not total:
        return least
    whole_days, rest = divmod(total - 1, policy.daily_limit)
    return max(least, whole_days * DAY + fits(rest + 1))
