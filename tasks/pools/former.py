"""Pools that providers.toml does not have any more, and the numbers that stand in them.

A pool that is renamed in the file is a new one to the table, and would buy its whole target beside what the former one
holds. So a pool that never ordered a number buys none by itself while such a one has numbers of its providers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, func, or_, select, update

from schemas.config.pools import PoolConfig
from schemas.tables.pools import LIVE, POOL, POOL_NUMBER, POOL_RUN, WANTED
from schemas.tables.purchases import POOLED, PURCHASE
from tasks.pools.stock import ensure_pools

_AT = POOL_NUMBER.c


def living(conn: Connection, configured: Collection[str]) -> dict[str, int]:
    """How many numbers stand in each pool that is not among *configured*."""
    query = select(_AT.pool, func.count()).where(LIVE, _AT.pool.not_in([*configured])).group_by(_AT.pool)
    return {row[0]: row[1] for row in conn.execute(query.order_by(_AT.pool))}


def former_of(conn: Connection, name: str, homes: Mapping[str, str], configured: Collection[str]) -> list[str]:
    """Which pools that are not *configured* may be the pool *name*; none where it ever ordered a number.

    *homes* are its providers and their accounts: an alias may have been renamed with it.
    """
    if conn.execute(select(_AT.slot).where(_AT.pool == name, _AT.tries > 0).limit(1)).first() is not None:
        return []
    its = or_(_AT.provider.in_([*homes]), PURCHASE.c.account.in_({*homes.values()}))
    query = select(_AT.pool).outerjoin(PURCHASE, PURCHASE.c.id == _AT.purchase_id)
    query = query.where(LIVE, its, _AT.pool.not_in([*configured]))
    return list(conn.execute(query.distinct().order_by(_AT.pool)).scalars())


def move(conn: Connection, old: str, name: str, pool: PoolConfig, now: datetime) -> int:
    """Have the pool *name* go on with all that *old* has, and with what it bought. Returns how many numbers.

    All of it or nothing: half of it would have the rest bought anew.
    """
    ensure_pools(conn, {name: pool}, now)
    names = POOL.c.name.in_([old, name])
    rows = conn.execute(select(POOL).where(names).order_by(POOL.c.name).with_for_update()).mappings()
    slots = {row["name"]: row["next_slot"] for row in rows}
    moved = conn.execute(select(func.count()).select_from(POOL_NUMBER).where(_AT.pool == old, LIVE)).scalar_one()
    before = slots[name] - 1
    conn.execute(delete(POOL_NUMBER).where(_AT.pool == name, WANTED, _AT.tries == 0))
    conn.execute(update(POOL_NUMBER).where(_AT.pool == old).values(pool=name, slot=_AT.slot + before, updated_at=now))
    bought = select(PURCHASE.c.id).where(POOLED, PURCHASE.c.pool == old).order_by(PURCHASE.c.id).with_for_update()
    conn.execute(update(PURCHASE).where(PURCHASE.c.id.in_(bought)).values(pool=name))
    conn.execute(update(POOL_RUN).where(POOL_RUN.c.pool == old).values(pool=name))
    conn.execute(delete(POOL).where(POOL.c.name == old))
    later = {"next_slot": before + slots.get(old, 1), "next_run_at": now, "updated_at": now}
    conn.execute(update(POOL).where(POOL.c.name == name).values(**later))
    return int(moved)
