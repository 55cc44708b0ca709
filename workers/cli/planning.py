"""What a dry run tells: how many per provider, how long at its limits, what is ours or in work already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from schemas.requests import BuyNumber
from schemas.status import Status
from tasks.orders import CHUNK, chunks
from tasks.policies.pace import buying_lane
from tasks.queries import alive_purchases
from tasks.runtime import Binding, Runtime

DAY = timedelta(days=1).total_seconds()


@dataclass
class Plan:
    """One provider's part of an order: lines to buy, lines that are bought, held or in work already.

    `seconds` is the least time that the buying takes at the provider's limits.
    """

    provider: str
    to_buy: int = 0
    bought: int = 0
    held: int = 0
    in_work: int = 0
    seconds: float = 0.0

    def add(self, status: Status | None) -> None:
        """Count one line; None where nothing alive has its number."""
        if status is None:
            self.to_buy += 1
        elif status is Status.PURCHASED:
            self.bought += 1
        elif status is Status.HELD:
            self.held += 1
        else:
            self.in_work += 1


def plan(runtime: Runtime, requests: Iterable[BuyNumber]) -> list[Plan]:
    """The plan of each provider that the requests name."""
    plans: dict[str, Plan] = {}
    for chunk in chunks(requests, CHUNK):
        numbers: dict[str, list[str]] = {}
        for request in chunk:
            numbers.setdefault(request.provider, []).append(request.number)
        for alias, wanted in numbers.items():
            plans.setdefault(alias, Plan(alias))
            with runtime.database.read() as conn:
                alive = alive_purchases(conn, runtime.providers[alias].account, wanted)
            for number in wanted:
                plans[alias].add(alive.get(number))
    for alias, one in plans.items():
        one.seconds = least_seconds(runtime.providers[alias], one.to_buy)
    return [plans[alias] for alias in sorted(plans)]


def least_seconds(binding: Binding, purchases: int) -> float:
    """The least time for so many purchases at the provider's pace and daily limit, from an idle start."""
    policy = binding.policy
    interval = buying_lane(binding.account, policy).interval
    if not policy.daily_limit or purchases <= policy.daily_limit:
        return purchases * interval
    whole_days, rest = divmod(purchases - 1, policy.daily_limit)
    return whole_days * DAY + rest * interval
