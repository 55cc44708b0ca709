"""Releases that are not gone on with: their numbers are kept, and who asked is told why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from schemas.releasing import ReleaseStatus
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from schemas.tables.releases import OPEN, RELEASE
from tasks.ledger.locking import locked
from tasks.ledger.releases.ending import end_all, end_purchase, is_under_way, still_open
from tasks.ledger.rows import Row
from tasks.policies.giving_back import Step

Why = tuple[str, str]
"""What is told of it: an error and its code."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A purchase that stands as bought; `in_doubt`: a call may have been executed, and no look has settled it."""

    purchase: Row
    in_doubt: bool


def purchases_on_their_way(conn: Connection, accounts: Sequence[str]) -> list[str]:
    """The purchases of *accounts*, under any alias, whose numbers are being given back, by id."""
    query = select(PURCHASE.c.id).join(RELEASE, RELEASE.c.purchase_id == PURCHASE.c.id)
    return list(conn.execute(query.where(OPEN, PURCHASE.c.account.in_(accounts)).order_by(PURCHASE.c.id)).scalars())


def keep(conn: Connection, purchase_id: str, why: Why, now: datetime, *, even_under_way: bool) -> Kept | None:
    """Have a number that is on its way back stand as bought.

    Its place in a pool, if any, is locked before. None where nothing was on its way, or, without *even_under_way*,
    where a call may not have ended yet.
    """
    purchase = next(iter(locked(conn, [purchase_id])), None)
    found = [] if purchase is None else still_open(conn, purchase_id)
    if purchase is None or not found or (not even_under_way and any(is_under_way(one, now) for one in found)):
        return None
    step = Step(status=ReleaseStatus.KEPT, error=why[0], error_code=why[1])
    after = end_purchase(conn, purchase, step, now) if purchase["status"] == Status.RELEASING else None
    end_all(conn, found, after or purchase, step, now)
    return Kept(purchase=after or purchase, in_doubt=any(one["doubt"] for one in found))
