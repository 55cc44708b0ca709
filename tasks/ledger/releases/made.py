"""The releases of a purchase with the calls that were made, and what of that is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks.ledger.forget import first_id
from tasks.ledger.rows import Row

_AT = RELEASE.c


def releases_of(conn: Connection, purchase_id: str) -> list[Row]:
    """The releases of a purchase, first to last, each with its calls."""
    query = select(RELEASE).where(_AT.purchase_id == purchase_id).order_by(_AT.id)
    found = [dict(row) for row in conn.execute(query).mappings()]
    at = RELEASE_ATTEMPT.c
    calls = select(RELEASE_ATTEMPT).where(at.release_id.in_([row["id"] for row in found])).order_by(at.revision)
    made = [dict(row) for row in conn.execute(calls).mappings()]
    return [{**row, "calls": [one for one in made if one["release_id"] == row["id"]]} for row in found]


def given_back(conn: Connection, account: str, numbers: Sequence[str]) -> set[str]:
    """Those of *numbers* that were bought at *account* and given back, whether or not they were bought again."""
    at = PURCHASE.c
    query = select(at.number).where(at.account == account, at.number.in_(numbers), at.status == Status.RELEASED)
    return set(conn.execute(query).scalars())


def forget(conn: Connection, before: datetime, most: int) -> int:
    """Delete the calls of releases that had ended before then, all of one at once. Returns of how many releases."""
    at = RELEASE_ATTEMPT.c
    query = (
        select(_AT.id)
        .join(RELEASE_ATTEMPT, at.release_id == _AT.id)
        .where(_AT.id < first_id(before), _AT.finished_at < before)
        .distinct()
        .order_by(_AT.id)
        .limit(most)
    )
    ids = list(conn.execute(query).scalars())
    conn.execute(delete(RELEASE_ATTEMPT).where(at.release_id.in_(ids)))
    return len(ids)
