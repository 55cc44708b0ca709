"""An account's bound in money: what it buys in any 24 hours costs so much at the most, each setup and first month.

What is under way or may have been charged counts with the price that its row has, whichever alias it was bought under,
and what tells none as the policy's `cost_if_unknown`. What counts in another currency leaves nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import Connection

from schemas.config.policy import Policy
from schemas.money import Money
from schemas.tables.purchases import FOLLOWED, PURCHASE, RUNNING
from tasks.ledger.queue import daily_limit
from tasks.ledger.queue.daily_limit import RECOUNT_ELSEWHERE
from tasks.ledger.queue.pool_limits import CHARGED, DOUBTFUL_AGAIN, WAITING, called_within
from tasks.ledger.queue.purses import Bound, spending
from tasks.policies.accounts import Account


@dataclass
class DaySpend(Bound):
    """What an account may spend now; `unknown` of what counts have a price in another currency.

    `overdrawn` tells that what counts costs more than the bound.
    """

    unknown: int = 0
    overdrawn: bool = False

    def __str__(self) -> str:
        """'1.50 USD of 200.00 USD is left in 24 h'."""
        left = f"{Money(self.left, self.most.currency)} of {self.most} is left in 24 h"
        if not self.unknown:
            return left
        return f"{left}: {self.unknown:,} numbers of these cost something that is not in {self.most.currency}"


def day_spend(
    conn: Connection, account: Account, names: Collection[str], policy: Policy, now: datetime, *, waiting: bool = False
) -> DaySpend | None:
    """What is left of the policy's `max_spend`, with *waiting* beside all that waits too; None where it has none.

    *names* are all of the account's, also those that the file has no more. With their rows locked, nothing else of the
    account is released meanwhile.
    """
    if policy.max_spend is None:
        return None
    day = DaySpend(policy.max_spend, policy.max_spend.amount, policy.cost_if_unknown)
    its = PURCHASE.c.provider.in_(names)
    waits = WAITING if waiting else (*DOUBTFUL_AGAIN, called_within(now))
    counted = [(its, RUNNING), (its, FOLLOWED), (its, CHARGED, called_within(now)), (its, *waits)]
    for spent, unknown in (
        spending(conn, day.most, counted, day.if_unknown),
        _elsewhere(conn, account, names, day, now),
    ):
        day.left -= spent
        day.unknown += unknown
    day.overdrawn = day.left < 0
    day.left = Decimal(0) if day.unknown else max(Decimal(0), day.left)
    return day


def _elsewhere(
    conn: Connection, account: Account, names: Collection[str], day: Bound, now: datetime
) -> tuple[Decimal, int]:
    """What the account bought under aliases that are another account by now cost, and of how many that is not known."""
    seen = account.spent_elsewhere
    if seen is None or not timedelta(0) <= now - seen[0] < RECOUNT_ELSEWHERE:
        its = (daily_limit.under_others(conn, account, names), daily_limit.CHARGED, called_within(now))
        seen = account.spent_elsewhere = now, *spending(conn, day.most, [its], day.if_unknown)
    return seen[1:]
