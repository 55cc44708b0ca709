"""What a person says became of a number: it was given back at the provider, or it is ours still."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, or_, select

from schemas.outcomes import clip
from schemas.releasing import ReleaseKind, ReleaseStatus
from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.releases import RELEASE, RELEASE_ATTEMPT
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders.reopen import reopen_orders
from tasks.ledger.releases.ending import end_all, end_purchase, is_under_way, still_open
from tasks.ledger.rows import Row, move
from tasks.policies.giving_back import Step

BY_PERSON = "by_person"


def mark_released(conn: Connection, purchase_id: str, now: datetime, error: str) -> Row | None:
    """A person gave the number back at the provider: what is bought, or on its way back, is released.

    Returns the purchase after, None where it is neither, or a call is under way whose end is to be waited for.
    """
    row = next(iter(locked_with_orders(conn, [purchase_id])), None)
    if row is None or row["status"] not in (Status.PURCHASED, Status.RELEASING):
        return None
    found = still_open(conn, purchase_id)
    if any(is_under_way(one, now) for one in found):
        return None
    step = Step(status=ReleaseStatus.RELEASED, error=error, error_code=BY_PERSON)
    after = move(conn, row, Status.RELEASED, now, error=clip(error), error_code="given_back")
    reopen_orders(conn, [purchase_id], now)
    end_all(conn, found, after or row, step, now)
    return after


def mark_kept(conn: Connection, purchase_id: str, now: datetime, error: str) -> Row | None:
    """A person saw that the number is ours still, and stays so: what is on its way back is bought as before.

    Returns the purchase after, None where it is not, or a call is under way whose end is to be waited for.
    """
    row = next(iter(locked_with_orders(conn, [purchase_id])), None)
    if row is None or row["status"] != Status.RELEASING:
        return None
    found = still_open(conn, purchase_id)
    if any(is_under_way(one, now) for one in found):
        return None
    return _keep(conn, row, found, Step(status=ReleaseStatus.KEPT, error=error, error_code=BY_PERSON), now)


def is_called_for(conn: Connection, purchase_id: str, now: datetime) -> bool:
    """Whether a call to give the number back, of a release that has ended or not, may be under way yet."""
    at = RELEASE_ATTEMPT.c
    query = select(at.revision).join(RELEASE, RELEASE.c.id == at.release_id)
    no_end = or_(at.outcome.is_(None), at.outcome == ReleaseKind.UNKNOWN)
    return (
        conn.execute(query.where(RELEASE.c.purchase_id == purchase_id, no_end, at.deadline > now)).first() is not None
    )


def call_off(conn: Connection, purchase_id: str, by: str, now: datetime) -> Row:
    """A person wants a number kept that waits to be given back: it is bought as before. Returns the purchase after.

    Raises RequestError where none waits (not_releasing), or a call may have been executed that no look has settled.
    """
    row = next(iter(locked_with_orders(conn, [purchase_id])), None)
    found = [] if row is None else still_open(conn, purchase_id)
    if row is None or not found:
        whose = f"{row['number']} is {row['status']}" if row else f"there is no purchase {purchase_id}"
        raise RequestError(f"number: {whose}: nothing is to be called off", "not_releasing")
    if any(one["doubt"] for one in found):
        ask = "the provider is asked first, dialstock purchase show tells what it says"
        raise RequestError(f"number: a call to give {row['number']} back may be executed: {ask}", "in_doubt")
    step = Step(status=ReleaseStatus.KEPT, error=f"called off by {by}", error_code="called_off")
    return _keep(conn, row, found, step, now)


def _keep(conn: Connection, row: Row, releases: Sequence[Row], step: Step, now: datetime) -> Row:
    after = end_purchase(conn, row, step, now) if row["status"] == Status.RELEASING else None
    end_all(conn, releases, after or row, step, now)
    return after or row
