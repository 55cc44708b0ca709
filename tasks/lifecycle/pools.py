"""What the limits of pools leave of a release: read without a lock, which one that is spent would take at each tick."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from tasks.ledger.queue import dispatch, pausing, pool_limits
from tasks.ledger.queue.pool_limits import Limits, PoolLimit
from tasks.ledger.queue.pool_money import purse
from tasks.runtime import Binding, Runtime


def limits_of(conn: Connection, runtime: Runtime, lanes: list[str | None]) -> Limits:
    """The lanes that are orders of pools with a limit. What a pool ordered that is not configured any more has none."""
    limited = {name: pool for name, pool in runtime.config.pools.items() if pool.is_bounded}
    behind = pausing.behind(conn) if limited else set()
    # What a pool bought is not known while a database that went back is behind for one of its providers.
    limits = {
        name: PoolLimit(
            pool=name,
            daily=0 if behind.intersection(pool.providers) else pool.daily_limit or None,
            spend=pool.max_spend,
        )
        for name, pool in limited.items()
    }
    return pool_limits.limits_of(conn, lanes, limits)


def within(
    conn: Connection, runtime: Runtime, binding: Binding, lanes: list[str | None], limits: Limits
) -> list[str | None]:
    """The lanes whose pool's limit leaves some, or counts already what is due there; asked without a lock."""
    now = runtime.now()
    spent = {limit for limit in set(limits.values()) if _is_spent(conn, limit, now)}
    if not spent:
        return lanes
    closed = [lane for lane in lanes if limits.get(lane) in spent]
    counted = dispatch.counted_lanes(conn, binding.alias, binding.account, closed, now)
    return [lane for lane in lanes if lane not in closed or lane in counted]


def _is_spent(conn: Connection, limit: PoolLimit, now: datetime) -> bool:
    if pool_limits.left(conn, limit, now) <= 0:
        return True
    return limit.spend is not None and not purse(conn, limit.pool, limit.spend, now, waiting=False).left
