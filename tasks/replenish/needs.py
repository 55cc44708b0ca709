"""What a pool needs: counted before anything is looked for, and again before it is ordered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from schemas.config.pools import PoolConfig
from schemas.status import Status
from tasks.ledger.queue import pausing
from tasks.ledger.queue.pool_limits import spoken_for
from tasks.ledger.queue.pool_money import purse
from tasks.ledger.queue.purses import Purse
from tasks.ledger.rows import Row
from tasks.pools import counting, stock
from tasks.pools.counting import Supply
from tasks.pools.former import former_of
from tasks.runtime import Runtime
from tasks.supply.budgets import closed_providers

DAILY = " of these 24 hours"
"""The numbers that a pool's bounds count."""

LEASE = timedelta(seconds=30)
"""After a run's last word until another one takes its place: a search may be long, and a worker may die over it."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run and its terms."""

    runtime: Runtime
    name: str
    pool: PoolConfig
    by_person: bool
    with_held: bool


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a count found.

    wanted: the `missing` that one run may order. low_by: what it takes to be low no more. budget: those of `wanted`
    that the day's limit allows, too. held_back: purchases that wait until that limit leaves some. withheld: why
    nothing may be added, whatever is needed. stuck: those that
    wait at a provider of `closed`, first those that may move. movable: so many of them may give way to another
    provider's numbers. purse: what the bound in money leaves, None without one.
    """

    supply: Supply
    level: int
    missing: int
    wanted: int
    low_by: int
    budget: int
    held_back: int
    withheld: str | None
    closed: Mapping[str, str]
    stuck: Sequence[Row]
    movable: int
    purse: Purse | None = None

    @property
    def most(self) -> int:
        """How many numbers this run may order."""
        return self.budget + self.movable


def count_need(conn: Connection, this: Run, now: datetime, *, lock: bool = False) -> Need:
    """What is needed; with *lock* the purchases that may give way are locked."""
    pool = this.pool
    supply = counting.supply(conn, this.name, pool.target)
    level = supply.level(with_held=this.with_held)
    missing = max(0, pool.target - level)
    if level >= pool.low:
        # what was begun below it is brought to its end
        missing = min(missing, supply.wanted)
    wanted = min(missing, pool.max_per_run)
    closed = _closed(conn, this) if Status.QUEUED in supply.on_the_way else {}
    stuck = stock.waiting(conn, this.name, sorted(closed), lock=lock) if closed else []
    money = None if pool.max_spend is None else purse(conn, this.name, pool.max_spend, now, waiting=True)
    withheld = _withheld(conn, this) or (None if money is None else money.uncounted(DAILY))
    left = 0 if withheld or (money is not None and not money.left) else _left(conn, this, now)
    budget = min(wanted, max(0, left))
    # what takes the place of a number that waits adds nothing to what is spoken for
    free = sum(row["may_move"] for row in stuck)
    # What is beyond the target, since a number came back from what was given up, need not be bought elsewhere.
    free = max(0, free - max(0, level - pool.target))
    elsewhere = not closed.keys() >= set(pool.providers)
    movable = min(free, pool.max_per_run - budget) if elsewhere else 0
    return Need(
        supply=supply,
        level=level,
        missing=missing,
        wanted=wanted,
        low_by=max(0, pool.low - level),
        budget=budget,
        held_back=max(0, -left),
        withheld=withheld,
        closed=closed,
        stuck=stuck,
        movable=movable,
        purse=money,
    )


def _withheld(conn: Connection, this: Run) -> str | None:
    """Why nothing may be bought yet: it is not known what was. A person's run says that a new pool is no former one."""
    pool = this.pool
    behind = pausing.behind(conn).intersection(pool.providers) if pool.is_bounded else ()
    if behind:
        return f"what was bought in 24 hours is not known before {', '.join(sorted(behind))} goes on"
    known = this.runtime.config.pools
    homes = {alias: this.runtime.providers[alias].account for alias in pool.providers}
    former = [] if this.by_person else former_of(conn, this.name, homes, known)
    moves = " or ".join(f"`dialstock pool move {one} {this.name}`" for one in former)
    if not former:
        return None
    return (
        f"{', '.join(former)} is not configured any more and has numbers: where it goes on as {this.name}, {moves}; "
        f"where {this.name} is another, `dialstock pool run {this.name}` once"
    )


def _left(conn: Connection, this: Run, now: datetime) -> int:
    """What the day's limit leaves."""
    limit = this.pool.daily_limit
    return limit - spoken_for(conn, this.name, now) if limit else counting.NO_LIMIT


def _closed(conn: Connection, this: Run) -> dict[str, str]:
    """The providers at which nothing is bought for the pool now, of its own and of what it has ordered."""
    left = stock.providers_of_ordered(conn, this.name) - set(this.pool.providers)
    gone = dict.fromkeys(sorted(left), "is not among its providers any more")
    return {**closed_providers(conn, this.runtime, this.pool.providers), **gone}
