"""What the doctor says of numbers that are given back: only where that stands still."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, func, select

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
    count = select(func.count()).select_from(RELEASE)
    late = conn.execute(count.where(OPEN, at.due_at <= now - LATE)).scalar_one()
    unclear = conn.execute(count.where(OPEN, at.look_failures >= LOOKS)).scalar_one()
    of = PURCHASE.c
    going = exists().where(at.purchase_id == of.id, OPEN)
    alone = conn.execute(select(func.count()).where(of.status == Status.RELEASING, ~going)).scalar_one()
    there = (at.found == Found.THERE, at.looks >= ACCEPTED_LOOKS)
    accepted = conn.execute(count.where(OPEN, *there)).scalar_one()
    found = []
    if alone:
        message = f"{alone:,} numbers are on their way back, and nothing of ours goes on with them"
        found.append(fail("releases", message, f"it looks like a mistake of ours: report it, and {MEND}"))
    if late:
        message = f"{late:,} numbers should have been given back {LATE.total_seconds() / 60:.0f} min ago"
        mend = "start a worker of this version, or see `dialstock provider list`: a paused provider is not called"
        found.append(warn("releases", message, mend))
    if unclear:
        message = f"of {unclear:,} numbers nobody can tell whether they are given back: looks at the provider fail"
        found.append(warn("releases", message, MEND))
    if accepted:
        message = f"{accepted:,} numbers that a provider accepted to take back are ours still, after hours"
        found.append(warn("releases", message, MEND))
    return found
