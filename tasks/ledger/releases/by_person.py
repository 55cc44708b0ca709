"""What a person says became of a number: it was given back at the provider, or it is ours still."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from schemas.outcomes import clip
from schemas.releasing import ReleaseStatus
from schemas.status import Status
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
    step = Step(status=ReleaseStatus.KEPT, error=error, error_code=BY_PERSON)
    after = end_purchase(conn, row, step, now)
    end_all(conn, found, after or row, step, now)
    return after
