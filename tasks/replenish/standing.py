"""How a pool stands, judged at the end of each run; told when it changes, and not at each run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, update

from schemas.config.pools import PoolConfig
from schemas.events import EventType
from schemas.tables.pools import POOL, PoolStatus
from tasks.ledger.rows import Row, emit
from tasks.pools.counting import Supply
from tasks.pools.events import pool_event
from tasks.pools.stock import FAILED, lock_pool

_EVENT_OF = {
    PoolStatus.OK: EventType.POOL_RECOVERED,
    PoolStatus.EXHAUSTED: EventType.POOL_EXHAUSTED,
    PoolStatus.BLOCKED: EventType.POOL_BLOCKED,
}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A pool's status, and why it is not OK."""

    status: PoolStatus
    reason: str | None = None


def tells_of_failure(reason: str | None) -> bool:
    """Whether a pool's reason is that its last run ended in an error that nobody foresaw."""
    return (reason or "").startswith(FAILED)


def broken(exc: Exception) -> Standing:
    """A run ended in an error that nobody foresaw: its message, which may hold anything, is in the log alone."""
    return Standing(status=PoolStatus.BLOCKED, reason=f"{FAILED}{type(exc).__name__}: a worker's log tells where")


def exhausted(reasons: Mapping[str, str]) -> Standing:
    """Fewer numbers could be ordered than were missing; *reasons* by provider, or by what else kept it from it."""
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    reason = told or "others were quicker to order the numbers that were found"
    return Standing(status=PoolStatus.EXHAUSTED, reason=reason)


def judge(name: str, pool: PoolConfig, supply: Supply, stuck: Mapping[str, int], closed: Mapping[str, str]) -> Standing:
    """OK, or blocked where only what does not move keeps the level up.

    That is what is held, where it counts, and *stuck*: the purchases that wait at a provider of *closed*.
    """
    held = supply.held if pool.count_held else 0
    level = supply.level(with_held=pool.count_held)
    if not held + sum(stuck.values()) or not level >= pool.low > level - held - sum(stuck.values()):
        return Standing(status=PoolStatus.OK)
    reasons = [f"{count} purchases wait at {alias}, which {closed[alias]}" for alias, count in stuck.items()]
    if held:
        see = "`dialstock purchase list --status held`, and of each `dialstock purchase show ID`"
        mend = f"settle them ({see}), or `dialstock pool run {name} --without-held`"
        reasons.append(f"{held} held purchases count as on their way: {mend}")
    return Standing(status=PoolStatus.BLOCKED, reason="; ".join(reasons))


def write_standing(
    conn: Connection,
    name: str,
    pool: PoolConfig,
    now: datetime,
    *,
    stands: Standing,
    supply: Supply | None = None,
    missing: int | None = None,
) -> bool:
    """Write down how a pool stands; an event tells of another status than before. True where it is another.

    A pool that is blocked because its runs fail is told apart from one that is blocked otherwise.
    """
    state = lock_pool(conn, name, pool, now)
    failed, fails = tells_of_failure(state["reason"]), tells_of_failure(stands.reason)
    changed = bool((state["status"], failed) != (stands.status, fails))
    values = {"status": str(stands.status), "reason": stands.reason, "since": now if changed else state["since"]}
    conn.execute(update(POOL).where(POOL.c.name == name).values(**values, updated_at=now))
    if changed:
        data = _data(name, pool, stands, supply, missing)
        emit(conn, [pool_event(_EVENT_OF[stands.status], name, now, data)])
    return changed


def _data(name: str, pool: PoolConfig, stands: Standing, supply: Supply | None, missing: int | None) -> Row:
    return {
        "pool": name,
        "status": str(stands.status),
        "reason": stands.reason,
        "available": supply and supply.available,
        "on_the_way": supply and supply.moving,
        "held": supply and supply.held,
        "wanted": missing,
        "low": pool.low,
        "target": pool.target,
    }
