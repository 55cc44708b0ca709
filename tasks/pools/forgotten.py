"""What pools may forget: takes and returns that nobody will repeat, and runs that ordered nothing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, select

from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST, POOL_RUN, Slot
from tasks.ledger.forget import delete_some, first_id


def requests(conn: Connection, before: datetime, most: int) -> int:
    """Answers that were given before then, but for takes whose number is not back. Returns how many.

    A request that comes again after that is a new one, and takes another number.
    """
    at, place = POOL_REQUEST.c, POOL_NUMBER.c
    in_use = exists().where(place.request_id == at.request_id, place.status == Slot.TAKEN)
    query = select(at.request_id).where(at.created_at < before, ~in_use).order_by(at.created_at, at.request_id)
    return delete_some(conn, at.request_id, query, most)


def runs(conn: Connection, before: datetime, most: int) -> int:
    """Runs before then that ordered nothing: what was ordered tells whose pool it is for. Returns how many."""
    at = POOL_RUN.c
    old = (at.id < first_id(before), at.at < before, at.order_id.is_(None))
    return delete_some(conn, at.id, select(at.id).where(*old).order_by(at.id), most)
