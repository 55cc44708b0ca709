"""The pools as configuration and tables know them, and what a person can do where one stands badly."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from schemas.config.errors import did_you_mean
from schemas.config.file import Config
from schemas.config.pools import PoolConfig
from schemas.status import Status
from schemas.tables.pools import POOL, POOL_RUN, PoolStatus
from tasks.ledger.rows import Row
from tasks.pools.counting import DAY, levels
from tasks.pools.history import available_by_hour
from tasks.replenish.standing import tells_of_failure
from tasks.reports.spending import spent
from tasks.runtime import Runtime
from workers.views.errors import Failure, NotThere

NEW = "new"
"""The state of a pool whose first run has not been yet."""

NOT_CONFIGURED = "not configured"

LAST_RUNS = 10

HOURS = 7 * 24
"""Of a pool's picture."""

_FAILING = "failing"
_MENDS: Mapping[str, str] = {
    PoolStatus.EXHAUSTED: "As the reason says: give it numbers to find (another provider or prefix, a higher "
    "max_price, a sound stock_file), a provider that buys (`dialstock provider list`), or a higher daily_limit or "
    "max_spend. It tries again when its schedule says; now: `dialstock pool run {pool}`.",
    PoolStatus.BLOCKED: "Settle what is held (`dialstock purchase list --status held`, then `dialstock purchase "
    "resolve`) and have paused providers go on (`dialstock provider list`). If numbers are needed before that: "
    "`dialstock pool run {pool} --without-held` buys others for those that are held, though they may be paid for.",
    _FAILING: "A worker's log tells the error, and `dialstock pool run {pool}` shows it here. Runs are tried again by "
    "themselves, within 5 minutes.",
    NEW: "Its first run comes when workers and beat run: `dialstock up`. By hand: `dialstock pool run {pool}`.",
    NOT_CONFIGURED: "Its numbers stay as they are, and what was taken can be returned; nobody can take any: write "
    "[pools.{pool}] into providers.toml again; where it goes on by another name: `dialstock pool move {pool} NAME`.",
}


def known_pool(config: Config, name: str) -> PoolConfig:
    """The pool that *name* names. Raises Failure."""
    if name not in config.pools:
        raise _unknown(name, config.pools)
    return config.pools[name]


def pool_rows(runtime: Runtime) -> list[Row]:
    """One row for each pool that is configured or has a state, by name."""
    with runtime.database.read() as conn:
        states = {row["name"]: dict(row) for row in conn.execute(select(POOL)).mappings()}
        names = sorted({*runtime.config.pools, *states})
        return [_row(conn, runtime, name, states.get(name)) for name in names]


def check_name(conn: Connection, runtime: Runtime, name: str) -> None:
    """Raise Failure where no pool has this name, nor had it."""
    known = {*runtime.config.pools, *conn.execute(select(POOL.c.name)).scalars()}
    if name not in known:
        raise _unknown(name, known)


def pool_document(runtime: Runtime, name: str) -> Row:
    """One pool, whole, as plain data. Raises Failure."""
    with runtime.database.read() as conn:
        check_name(conn, runtime, name)
        state = conn.execute(select(POOL).where(POOL.c.name == name)).mappings().first()
        row = _row(conn, runtime, name, None if state is None else dict(state))
        runs = select(POOL_RUN).where(POOL_RUN.c.pool == name).order_by(POOL_RUN.c.id.desc()).limit(LAST_RUNS)
        last_runs = [dict(run) for run in conn.execute(runs).mappings()]
    pool = runtime.config.pools.get(name)
    return {
        "pool": row,
        "configuration": None if pool is None else pool.model_dump(mode="json"),
        "mend": _mend(name, row),
        "last_runs": last_runs,
    }


def pool_picture(runtime: Runtime, name: str) -> Row:
    """What a known pool had available in the last 7 days, hour by hour, and what it spent, by currency."""
    now = runtime.now()
    with runtime.database.read() as conn:
        return {
            "available": available_by_hour(conn, name, now, HOURS),
            "spent_24h": [one.document("pool") for one in spent(conn, "pool", now - DAY, pool=name)],
            "spent_7d": [one.document("pool") for one in spent(conn, "pool", now - 7 * DAY, pool=name)],
        }


def _mend(name: str, row: Row) -> str | None:
    mend = _MENDS.get(_FAILING if tells_of_failure(row["reason"]) else row["state"])
    return mend and mend.format(pool=name)


def _row(conn: Connection, runtime: Runtime, name: str, state: Row | None) -> Row:
    pool = runtime.config.pools.get(name)
    known = levels(conn, name, runtime.now())
    told = {} if state is None else state
    return {
        "pool": name,
        "configured": pool is not None,
        "providers": [] if pool is None else list(pool.providers),
        "available": known.available,
        "on_the_way": known.moving,
        "on_the_way_by_status": {name: n for name, n in known.on_the_way.items() if name != Status.HELD},
        "held": known.held,
        "wanted": known.wanted,
        "taken": known.taken,
        "low": pool and pool.low,
        "target": pool and pool.target,
        "state": NOT_CONFIGURED if pool is None else told["status"] if told.get("last_run_at") else NEW,
        "reason": told.get("reason") if pool is not None else None,
        "since": told.get("since"),
        "bought_today": known.bought_today,
        "daily_limit": pool and pool.daily_limit,
        "max_spend": str(pool.max_spend) if pool is not None and pool.max_spend else None,
        "last_run_at": told.get("last_run_at"),
        "next_run_at": told.get("next_run_at"),
        "leased_until": told.get("leased_until"),
    }


def _unknown(name: str, known: Collection[str]) -> Failure:
    hint = did_you_mean(name, known) if known else "providers.toml has no [pools.NAME]"
    return NotThere(f"pool {name!r} is not configured: {hint}")
