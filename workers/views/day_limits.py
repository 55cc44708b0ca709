"""An account's limits of a day, in words: why nothing more is bought, and when that goes on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from schemas.money import price_of
from tasks.ledger.queue import dispatch, standing
from tasks.ledger.queue.daily_limit import DAY
from tasks.ledger.queue.day_counts import DayCount, day_counts
from tasks.ledger.rows import Row
from tasks.runtime import Binding, Runtime
from workers.views.explain import when


def counts_of(conn: Connection, runtime: Runtime, aliases: Iterable[str]) -> dict[str, DayCount]:
    """What counts for the daily_limit of those of *aliases* that have one, by alias."""
    limited = [alias for alias in aliases if runtime.providers[alias].policy.daily_limit]
    names = {alias: runtime.providers[alias].account for alias in limited}
    found = day_counts(conn, [runtime.accounts[name] for name in dict.fromkeys(names.values())], runtime.now())
    return {alias: found[name] for alias, name in names.items()}


def spent(conn: Connection, runtime: Runtime, binding: Binding, purchase: Row | None = None) -> str | None:
    """Why the limits of a day leave no room, for *purchase* or for any, and when that ends; None where they do."""
    account, now = runtime.accounts[binding.account], runtime.now()
    stands = standing.unpaused(standing.read(conn, account), binding.alias, account)
    policy = binding.policy
    room = dispatch.room(conn, policy, stands, account, now=now, soon=policy.in_flight)
    if purchase is not None and room.again and _counted(purchase, now):
        return None
    if room.why == dispatch.DAILY_LIMIT:
        return _daily_limit(conn, runtime, binding)
    dear = purchase is not None and room.day is not None and not room.day.covers(price_of(purchase))
    return f"max_spend: {room.day}" if room.why == dispatch.MAX_SPEND or dear else None


def _counted(purchase: Row, now: datetime) -> bool:
    """Whether a day's limits count it already: an earlier call may have been charged."""
    deadline = purchase["call_deadline"]
    return bool(purchase["doubt"] and deadline is not None and deadline > now - DAY)


def _daily_limit(conn: Connection, runtime: Runtime, binding: Binding) -> str:
    limit, day = binding.policy.daily_limit, counts_of(conn, runtime, [binding.alias])[binding.alias]
    goes_on = when(day.fits_at(conn, limit), day.now)
    if day.running:
        # One that is refused leaves room at once.
        return f"daily limit: {day.of(limit)} are bought, {day.running:,} under way; goes on {goes_on} at the latest"
    return f"daily limit: {day.of(limit)} are bought; goes on {goes_on}"
