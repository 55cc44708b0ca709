"""Two calls of one purchase that the provider both executed: told of, for a person to settle with the provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select, update

from schemas.events import EventType
from schemas.tables.purchases import ATTEMPT, PURCHASE
from tasks.ledger.calls.attempts import executed, other_yes
from tasks.ledger.calls.found import disown
from tasks.ledger.rows import Row, emit, purchase_event


def tell_second_yes(conn: Connection, row: Row, revision: int, now: datetime) -> Row:
    """Tell where another call than the one at *revision* was executed too. Returns the purchase after."""
    other = other_yes(conn, row, revision)
    if other is None:
        return row
    mine = conn.execute(
        select(ATTEMPT.c.provider_number_id).where(ATTEMPT.c.purchase_id == row["id"], ATTEMPT.c.revision == revision)
    ).scalar()
    if disown(conn, other, mine):
        return tell_second_yes(conn, row, revision, now)
    return tell_twice(conn, row, [other["provider_number_id"], mine], now)


def tell_executed(conn: Connection, row: Row, now: datetime) -> Row:
    """Tell where two calls were executed that are not, by their ids, one. Returns the purchase after."""
    ids = executed(conn, row)
    twice = len(ids) > 1 and (len(set(ids)) > 1 or None in ids)
    return tell_twice(conn, row, ids, now) if twice else row


def tell_twice(conn: Connection, row: Row, ids: Sequence[str | None], now: datetime) -> Row:
    """Tell that *row* was charged for under each of *ids*. Returns the purchase after."""
    # A revision of its own: readers may drop what does not rise.
    risen = {**row, "revision": row["revision"] + 1}
    conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(revision=risen["revision"]))
    emit(conn, [purchase_event(EventType.CHARGED_TWICE, risen, now, provider_number_ids=list(ids))])
    return risen
