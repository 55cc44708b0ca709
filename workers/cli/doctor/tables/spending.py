"""What is used of the limits of a day, and whether what waits can be bought within what may be spent in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select

from schemas.config.file import Config
from schemas.config.policy import Policy
from schemas.money import Money, price_of
from schemas.tables.purchases import PURCHASE, QUEUED
from tasks.ledger.queue import standing
from tasks.ledger.queue.day_counts import day_counts
from tasks.ledger.queue.day_spend import day_spend
from tasks.ledger.queue.purses import cost
from tasks.policies.accounts import Account, accounts_of
from workers.cli.doctor.findings import Finding, ok, warn

_AT = PURCHASE.c
_PRICE = (_AT.monthly_price, _AT.setup_price, _AT.currency)


def examine_spending(conn: Connection, config: Config, now: datetime) -> Iterator[Finding]:
    """A line for each provider with a max_spend, and one more where something waits that costs more than all of it.

    And one for each of whose daily_limit some is used.
    """
    accounts = accounts_of((alias, provider.account) for alias, provider in config.providers.items())
    yield from _daily_limits(conn, config, accounts, now)
    for alias, provider in config.providers.items():
        most, account = provider.policy.max_spend, accounts[provider.account]
        if most is None:
            continue
        names = standing.unpaused(standing.read(conn, account), alias, account).names
        told = f"{alias}: {day_spend(conn, account, names, provider.policy, now)}"
        if many := _too_dear(conn, alias, most, provider.policy):
            message = f"{told}; {many:,} that wait cost more than {most}, or something in another currency"
            yield warn("max_spend", message, f"raise policy.max_spend of {alias}, or `dialstock purchase cancel` them")
        else:
            yield ok("max_spend", told)


def _daily_limits(
    conn: Connection, config: Config, accounts: Mapping[str, Account], now: datetime
) -> Iterator[Finding]:
    limits = {alias: one for alias, one in config.providers.items() if one.policy.daily_limit}
    days = day_counts(conn, [accounts[name] for name in dict.fromkeys(one.account for one in limits.values())], now)
    for alias, provider in limits.items():
        if (day := days[provider.account]).charged:
            yield ok("daily_limit", f"{alias}: {day.of(provider.policy.daily_limit)} are bought")


def _too_dear(conn: Connection, alias: str, most: Money, policy: Policy) -> int:
    waits = select(*_PRICE, func.count().label("count")).where(QUEUED, _AT.provider == alias).group_by(*_PRICE)
    rows = map(dict, conn.execute(waits).mappings())
    costs = [(cost(price_of(row), most, policy.cost_if_unknown), row["count"]) for row in rows]
    return sum(count for amount, count in costs if amount is None or amount > most.amount)
