"""What the doctor says of numbers that are given back: only where that stands still."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, exists, func, select

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import OPEN, RELEASE
from tasks.policies.giving_back import Found
from workers.cli.doctor.findings import Finding, fail, warn

LATE = timedelta(minutes=10)
LOOKS = 5
"""Looks that said nothing, in a row."""
ACCEPTED_LOOKS = 12
"""Looks in a row that said *there still*, of what the provider accepted to give back: some hours of them."""
MEND = (
    "see at the provider; what is gone is written down by `dialstock purchase mark-released`, and what stays by "
    "`dialstock purchase mark-kept`"
)


def examine_releases(conn: Connection, now: datetime) -> list[Finding]:
    """Releases that should have moved on, and those that nobody can tell the end of."""
    at = RELEASE.c
    found = []
    if alone := _without_release(conn):
        message = f"{alone:,} numbers are on their way back, and nothing of ours goes on with them"
        found.append(fail("releases", message, f"it looks like a mistake of ours: report it, and {MEND}"))
    if late := _open_releases(conn, at.due_at <= now - LATE):
        message = f"{late:,} numbers should have been given back {LATE.total_seconds() / 60:.0f} min ago"
        mend = "start a worker of this version, or see `dialstock provider list`: a paused provider is not called"
        found.append(warn("releases", message, mend))
    if unclear := _open_releases(conn, at.look_failures >= LOOKS):
        message = f"of {unclear:,} numbers nobody can tell whether they are given back: looks at the provider fail"
        found.append(warn("releases", message, MEND))
    if accepted := _open_releases(conn, at.found == Found.THERE, at.looks >= ACCEPTED_LOOKS):
        message = f"{accepted:,} numbers that a provider accepted to take back are ours still, after hours"
        found.append(warn("releases", message, MEND))
    return found


def _open_releases(conn: Connection, *so: ColumnElement[bool]) -> int:
    return conn.execute(select(func.count()).select_from(RELEASE).where(OPEN, *so)).scalar_one()


def _without_release(conn: Connection) -> int:
    """Numbers on their way back that no release stands for."""
    going = exists().where(RELEASE.c.purchase_id == PURCHASE.c.id, OPEN)
    return conn.execute(select(func.count()).where(PURCHASE.c.status == Status.RELEASING, ~going)).scalar_one()
