"""How much of their daily limits accounts have used, for people: a few statements for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, func, select

from schemas.tables.purchases import PURCHASE, QUEUED
from tasks.ledger.among import among
from tasks.ledger.queue import dispatch, standing
from tasks.ledger.queue.daily_limit import CHARGED, DAY, count_elsewhere, fits_at
from tasks.policies.accounts import Account

_AT = PURCHASE.c
_CHARGED = (
    select(_AT.provider, func.count())
    .where(among(_AT.provider, "names"), _AT.call_deadline > bindparam("since"), CHARGED)
    .group_by(_AT.provider)
)
# What is in doubt counts as charged.
_WAITING = select(func.count()).where(among(_AT.provider, "names"), QUEUED, ~_AT.doubt)


@dataclass(frozen=True, kw_only=True)
class DayCount:
    """What counts for an account's daily limit: `charged` in the last 24 hours, and `running` now."""

    account: Account
    names: tuple[str, ...]
    charged: int
    running: int
    now: datetime

    def left(self, limit: int) -> int:
        """How many more may be bought now."""
        return max(0, limit - self.charged - self.running)

    def of(self, limit: int) -> str:
        """'1,000 of 1,000 in 24 h'; '1,000 in 24 h' where none is used."""
        return f"{self.charged:,} of {limit:,} in 24 h" if self.charged else f"{limit:,} in 24 h"

    def fits_at(self, conn: Connection, limit: int, more: int = 1) -> datetime:
        """When *more*, *limit* at the most, may be bought: now, or when so many calls are a day old."""
        return fits_at(conn, self.account, self.names, limit, self.now, running=self.running, more=more)

    def waiting(self, conn: Connection) -> int:
        """How many wait to be bought at the account."""
        return int(conn.execute(_WAITING, {"names": list(self.names)}).scalar_one())


def day_counts(conn: Connection, accounts: Sequence[Account], now: datetime) -> dict[str, DayCount]:
    """Of each account, by its name; nothing is asked where there is none."""
    if not accounts:
        return {}
    rows = standing.read_all(conn, accounts)
    names = {one.name: standing.standing(rows[one.name], one.aliases[0], one).names for one in accounts}
    every = [name for its in names.values() for name in its]
    count_elsewhere(conn, names, accounts, now)
    found = conn.execute(_CHARGED, {"names": every, "since": now - DAY})
    charged: dict[str, int] = {name: count for name, count in found}  # noqa: C416 - mypy knows no row as a pair
    running = dispatch.running(conn, every)
    return {
        one.name: DayCount(
            account=one,
            names=names[one.name],
            charged=sum(charged.get(name, 0) for name in names[one.name]) + (one.elsewhere or (now, 0))[1],
            running=dispatch.running_of(running, names[one.name]).total(),
            now=now,
        )
        for one in accounts
    }
