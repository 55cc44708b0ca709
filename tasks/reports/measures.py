"""What is measured of the tables: counts and ages, by queries that stay cheap with a million rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, func, select

from schemas.config.balances import Balance, read_balance
from schemas.status import Status
from schemas.tables.accounts import BALANCE_CHECK
from schemas.tables.audits import FINDING, OPEN_FINDING
from schemas.tables.purchases import EVENT, FOLLOWED, HELD, PURCHASE, UNPUBLISHED
from tasks.accounts.overtaken import overtaken
from tasks.ledger.queue.daily_limit import DAY
from tasks.policies.accounts import Account
from tasks.pools.counting import Levels, levels
from tasks.reports.queries import provider_states, status_counts
from tasks.reports.spending import Spent, spent
from tasks.runtime import Runtime

OUTDATED = "outdated"

_BOUGHT = PURCHASE.c


@dataclass(frozen=True, kw_only=True)
class Measures:
    """How all stands at one moment.

    purchases: by provider and status. oldest_unknown, oldest_held: since when the longest is in doubt, or waits for a
    person, by provider. oldest_event: when the oldest event was written that is not published. paused: the cause, by
    provider; OUTDATED where workers' file and the database take it for different accounts. findings: an audit's open
    ones, by provider and kind. thresholds: low and target, by pool. spent: what was bought in 24 hours cost, by
    provider and currency, and bought: how many that were, with those that may have been charged, by provider, with all
    aliases of its account. balances: what the account had left and whether that is low, when it was looked at last, by
    provider; nothing of those without a `low_balance`, or where no look could tell.
    """

    at: datetime
    purchases: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest_unknown: dict[str, datetime] = field(default_factory=dict)
    oldest_held: dict[str, datetime] = field(default_factory=dict)
    oldest_event: datetime | None = None
    paused: dict[str, str] = field(default_factory=dict)
    findings: dict[tuple[str, str], int] = field(default_factory=dict)
    pools: dict[str, Levels] = field(default_factory=dict)
    thresholds: dict[str, tuple[int, int]] = field(default_factory=dict)
    spent: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)
    balances: dict[str, tuple[Balance, bool]] = field(default_factory=dict)


def measure(runtime: Runtime) -> Measures:
    """All of them, read in one transaction."""
    with runtime.database.read() as conn:
        now = runtime.now()
        day = spent(conn, "provider", now - DAY, now + DAY)
        return Measures(
            at=now,
            purchases={(row["provider"], row["status"]): row["count"] for row in status_counts(conn)},
            oldest_unknown=_oldest_unknown(conn),
            oldest_held=_oldest_held(conn),
            oldest_event=conn.execute(select(EVENT.c.time).where(UNPUBLISHED).order_by(EVENT.c.seq).limit(1)).scalar(),
            paused=dict.fromkeys(overtaken(conn, runtime.config, now), OUTDATED)
            | _paused(conn, runtime.accounts.values(), runtime.providers),
            findings=_findings(conn),
            pools={name: levels(conn, name, now) for name in sorted(runtime.config.pools)},
            thresholds={name: (pool.low, pool.target) for name, pool in runtime.config.pools.items()},
            spent={(one.key, one.currency): one.total for one in day if one.key and one.currency},
            bought=_bought(day, runtime.accounts.values()),
            balances=_balances(conn, runtime),
        )


def _oldest_unknown(conn: Connection) -> dict[str, datetime]:
    query = select(_BOUGHT.provider, func.min(_BOUGHT.call_deadline)).where(FOLLOWED, _BOUGHT.status == Status.UNKNOWN)
    found = conn.execute(query.group_by(_BOUGHT.provider))
    return {provider: at for provider, at in found if at is not None}


def _oldest_held(conn: Connection) -> dict[str, datetime]:
    query = select(_BOUGHT.provider, func.min(_BOUGHT.updated_at)).where(HELD).group_by(_BOUGHT.provider)
    return {provider: at for provider, at in conn.execute(query)}  # noqa: C416 - a Row is no pair for mypy


def _bought(day: Iterable[Spent], accounts: Iterable[Account]) -> dict[str, int]:
    of: Counter[str | None] = Counter()
    for one in day:
        of[one.key] += one.bought + one.unsettled
    return {alias: sum(of[one] for one in account.aliases) for account in accounts for alias in account.aliases}


def _balances(conn: Connection, runtime: Runtime) -> dict[str, tuple[Balance, bool]]:
    told = select(BALANCE_CHECK.c.account, BALANCE_CHECK.c.balance, BALANCE_CHECK.c.low)
    looks = conn.execute(told.where(BALANCE_CHECK.c.balance.is_not(None)))
    read = {account: (read_balance(*text.split(" ", 1)), bool(low)) for account, text, low in looks}
    found = {}
    for alias, provider in runtime.providers.items():
        balance, low = read.get(provider.account, (None, False))
        if balance is not None and runtime.config.providers[alias].low_balance is not None:
            found[alias] = balance, low
    return found


def _paused(conn: Connection, accounts: Iterable[Account], aliases: Container[str]) -> dict[str, str]:
    states = provider_states(conn, accounts)
    return {alias: row["cause"] for alias, row in states.items() if row["paused_at"] is not None and alias in aliases}


def _findings(conn: Connection) -> dict[tuple[str, str], int]:
    at = FINDING.c
    query = select(at.provider, at.kind, func.count()).where(OPEN_FINDING).group_by(at.provider, at.kind)
    return {(provider, kind): count for provider, kind, count in conn.execute(query)}
