"""The pools as configuration and tables know them, and what a person can do where one stands badly."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from schemas.config.errors import did_you_mean
from schemas.config.file import Config
from schemas.config.pools import PoolConfig
from schemas.status import Status
from schemas.tables.pools import POOL, POOL_RUN, PoolStatus
from tasks.ledger.rows import Row
from tasks.pools.counting import levels
from tasks.pools.supply.standing import tells_of_failure
from tasks.runtime import Runtime
from workers.cli.doctor.pools import LATE
from workers.cli.terminal.output import count, moment, show, show_fields, show_table
from workers.views.errors import Failure, NotThere
from workers.views.explain import when

NEW = "new"
"""The state of a pool whose first run has not been yet."""

NOT_CONFIGURED = "not configured"

LAST_RUNS = 10

_FAILING = "failing"
_COUNTS = ("available", "on the way", "held", "taken", "low", "target")
_COLUMNS = ("pool", "providers", *_COUNTS, "state", "bought in 24 h", "last run", "next run")
_RUNS = ("at", "level", "wanted", "ordered", "order_id", "reason")

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


def pool_document(runtime: Runtime, name: str) -> Row:
    """One pool, whole, as plain data. Raises Failure."""
    with runtime.database.read() as conn:
        states = {row["name"]: dict(row) for row in conn.execute(select(POOL)).mappings()}
        if name not in {*runtime.config.pools, *states}:
            raise _unknown(name, {*runtime.config.pools, *states})
        row = _row(conn, runtime, name, states.get(name))
        runs = select(POOL_RUN).where(POOL_RUN.c.pool == name).order_by(POOL_RUN.c.id.desc()).limit(LAST_RUNS)
        last_runs = [dict(run) for run in conn.execute(runs).mappings()]
    pool = runtime.config.pools.get(name)
    return {
        "pool": row,
        "configuration": None if pool is None else pool.model_dump(mode="json"),
        "mend": _mend(name, row),
        "last_runs": last_runs,
    }


def _mend(name: str, row: Row) -> str | None:
    mend = _MENDS.get(_FAILING if tells_of_failure(row["reason"]) else row["state"])
    return mend and mend.format(pool=name)


def show_pools(rows: Sequence[Row], now: datetime) -> None:
    """The rows for people, and why those stand badly that do."""
    show_table(_COLUMNS, [_cells(row, now) for row in rows], numbers=_COUNTS)
    for row in rows:
        if row["reason"]:
            show(f"\n{row['pool']} is {row['state']} since {moment(row['since'])}: {row['reason']}")
            show(f"What to do: `dialstock pool show {row['pool']}`")


def show_document(document: Row, now: datetime) -> None:
    """The document for people."""
    row = document["pool"]
    show_fields({name: row[name] for name in ("pool", "state", "since", "reason")})
    if document["mend"]:
        show(document["mend"])
    show()
    show_fields({**_counted(row), "next run": _next_run(row, now), "last run": row["last_run_at"]})
    if document["configuration"]:
        show("\nConfiguration")
        show_fields(document["configuration"])
    if document["last_runs"]:
        show("\nLast runs that lacked numbers (`dialstock order watch ID`)")
        show_table(_RUNS, [[run[name] for name in _RUNS] for run in document["last_runs"]], numbers=_RUNS[1:4])


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


def _cells(row: Row, now: datetime) -> list[Any]:
    counts = [row[name.replace(" ", "_")] for name in _COUNTS]
    last = row["last_run_at"]
    return [row["pool"], ", ".join(row["providers"]), *counts, row["state"], _bought(row), last, _next_run(row, now)]


def _counted(row: Row) -> Row:
    ways = ", ".join(f"{number:,} {status}" for status, number in sorted(row["on_the_way_by_status"].items()))
    return {
        "available": row["available"],
        "on the way": f"{row['on_the_way']:,}{f': {ways}' if ways else ''}",
        "held": row["held"],
        "wanted": f"{count(row['wanted'], 'place')} without a number" if row["wanted"] else None,
        "taken": row["taken"],
        "bought in 24 h": _bought(row),
        "max_spend": row["max_spend"],
    }


def _bought(row: Row) -> str:
    limit = row["daily_limit"]
    return f"{row['bought_today']:,} of {limit:,}" if limit else f"{row['bought_today']:,}"


def _next_run(row: Row, now: datetime) -> str | None:
    due = row["next_run_at"]
    if due is None or not row["configured"]:
        return None
    if row["leased_until"] is not None and row["leased_until"] > now:
        return "runs now"
    late = ", and did not come: do workers and beat run?" if due < now - LATE else ""
    return f"{when(due, now)}{f' (due since {moment(due)}{late})' if late else ''}"


def _unknown(name: str, known: Collection[str]) -> Failure:
    hint = did_you_mean(name, known) if known else "providers.toml has no [pools.NAME]"
    return NotThere(f"pool {name!r} is not configured: {hint}")
