"""What the providers of a pool may buy now: nothing where they are paused, and what their limits of a day leave."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, select

from schemas.tables.pools import ORDERED, POOL_NUMBER
from schemas.tables.purchases import PURCHASE, QUEUED
from tasks.ledger.queue import dispatch, standing
from tasks.ledger.queue.day_spend import DaySpend, day_spend
from tasks.ledger.queue.dispatch import MAX_SPEND, Room
from tasks.ledger.queue.standing import Standing
from tasks.policies.accounts import Account
from tasks.pools.counting import NO_LIMIT
from tasks.reports.queries import provider_states
from tasks.runtime import Runtime

_BOUGHT = PURCHASE.c


class Budget(NamedTuple):
    """What is left of a daily limit: beside what pools have waiting there, and beside all that waits there."""

    most: int
    idle: int


def closed_providers(conn: Connection, runtime: Runtime, aliases: Iterable[str]) -> dict[str, str]:
    """Those of *aliases* that buy nothing now, and why: they are paused, or a limit of their day is spent."""
    paused = _paused(conn, runtime, stops=True)
    closed = {}
    for alias in aliases:
        if alias in paused:
            closed[alias] = f"is paused: {paused[alias]}"
            continue
        room = _room(conn, runtime, alias)
        if room.why == MAX_SPEND:
            closed[alias] = f"has spent its max_spend: {room.day}"
        elif room.free < 1:
            closed[alias] = f"has spent its daily_limit of {runtime.providers[alias].policy.daily_limit}"
    return closed


def budgets(conn: Connection, runtime: Runtime, aliases: Iterable[str]) -> dict[str, Budget]:
    """What each of *aliases*, which are not closed, may buy in these 24 hours."""
    paused = _paused(conn, runtime)
    found = {}
    for alias in aliases:
        binding = runtime.providers[alias]
        if not binding.policy.daily_limit:
            found[alias] = Budget(NO_LIMIT, NO_LIMIT)
            continue
        left = _room(conn, runtime, alias).free
        # what waits at a paused provider is not on its way
        open_ones = [one for one in runtime.accounts[binding.account].aliases if one not in paused]
        waits = _BOUGHT.provider.in_(open_ones) & QUEUED & ~_BOUGHT.doubt
        found[alias] = Budget(left - _of_pools(conn, waits), left - _all(conn, waits, left))
    return found


def day_spends(conn: Connection, runtime: Runtime, aliases: Iterable[str], *, waiting: bool) -> dict[str, DaySpend]:
    """What is left of the max_spend of those of *aliases* that have one; with *waiting* beside all that waits there."""
    found: dict[str, DaySpend] = {}
    for alias in aliases:
        policy = runtime.providers[alias].policy
        if policy.max_spend is not None:
            account, stands = _account(conn, runtime, alias)
            spend = day_spend(conn, account, stands.names, policy, runtime.now(), waiting=waiting)
            found |= {} if spend is None else {alias: spend}
    return found


def _paused(conn: Connection, runtime: Runtime, *, stops: bool = False) -> dict[str, str]:
    """The paused aliases and why; with *stops* without those whose probe is due: what is ordered there is that."""
    states = provider_states(conn, runtime.accounts.values())
    paused = {alias: row for alias, row in states.items() if row["paused_at"] is not None}
    now = runtime.now()
    return {alias: row["reason"] for alias, row in paused.items() if not stops or standing.stops(row, now)}


def _room(conn: Connection, runtime: Runtime, alias: str) -> Room:
    """What the limits of a day leave beside what runs; very many without one."""
    binding = runtime.providers[alias]
    # Without the bounds of the moment, only a day's limits leave no room; counted anew, for it is asked seldom.
    unhurried = binding.policy.model_copy(update={"max_in_flight": NO_LIMIT, "max_concurrent_calls": None})
    account, stands = _account(conn, runtime, alias)
    return dispatch.room(conn, unhurried, stands, account, now=runtime.now(), soon=NO_LIMIT)


def _account(conn: Connection, runtime: Runtime, alias: str) -> tuple[Account, Standing]:
    name = runtime.providers[alias].account
    account = Account(name, runtime.accounts[name].aliases)
    return account, standing.unpaused(standing.read(conn, account), alias, account)


def _of_pools(conn: Connection, waits: ColumnElement[bool]) -> int:
    mine = POOL_NUMBER.join(PURCHASE, _BOUGHT.id == POOL_NUMBER.c.purchase_id)
    return int(conn.execute(select(func.count()).select_from(mine).where(ORDERED, waits)).scalar_one())


def _all(conn: Connection, waits: ColumnElement[bool], most: int) -> int:
    """Counted up to *most*: an order may have very many."""
    counted = select(_BOUGHT.id).where(waits).limit(most).subquery()
    return int(conn.execute(select(func.count()).select_from(counted)).scalar_one())
