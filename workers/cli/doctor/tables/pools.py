"""Whether the pools have what they should, and somebody looks after them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from schemas.events import utc_text
from schemas.tables.pools import POOL, PoolStatus
from tasks.ledger.rows import Row
from tasks.pools.former import living
from tasks.pools.placeless import placeless
from workers.cli.doctor.findings import Finding, fail, ok, warn

LATE = timedelta(minutes=5)
"""How long after its time a run counts as late: longer than a killed one takes to be made up."""


def examine_pools(conn: Connection, names: Sequence[str], now: datetime) -> Iterator[Finding]:
    """A line for each of the configured pools that is not well, and for each with numbers that is not configured.

    And for each for which numbers were bought that stand in no place of it. One for all where all are well.
    """
    rows = [dict(row) for row in conn.execute(select(POOL).where(POOL.c.name.in_(names))).mappings()]
    findings = [finding for row in rows if (finding := _unwell(row, now))]
    findings += [_former(name, many) for name, many in living(conn, names).items()]
    findings += [_placeless(*found) for found in placeless(conn)]
    if names and not findings:
        yield ok("pools", "none is low for want of numbers or budget")
    yield from findings


def _former(name: str, many: int) -> Finding:
    message = f"{many:,} numbers stand in {name}, which is not configured any more: nobody can take them"
    again = f"or write [pools.{name}] into providers.toml again"
    return warn("pools", message, f"where it goes on by another name: dialstock pool move {name} NAME; {again}")


def _placeless(name: str, many: int, number: str) -> Finding:
    are = "number, bought for {0}, stands" if many == 1 else "numbers, bought for {0}, stand"
    message = f"{many:,} {are.format(name)} in no place of it, as {number}: its purchase was told late, or by an audit"
    return warn("pools", message, f"see that nobody uses it, then `dialstock release {number}` gives it back")


def _unwell(row: Row, now: datetime) -> Finding | None:
    name = row["name"]
    if row["next_run_at"] < now - LATE:
        message = f"{name} should have been looked after at {utc_text(row['next_run_at'])[:19]}Z"
        return fail("pools", message, "start `dialstock beat`, and a worker")
    if row["status"] != PoolStatus.OK:
        message = f"{name} is {row['status']} since {utc_text(row['since'])[:19]}Z: {row['reason']}"
        return warn("pools", message, f"dialstock pool show {name}")
    return None
