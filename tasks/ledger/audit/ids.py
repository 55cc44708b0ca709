"""Bought numbers whose id the provider had not told yet, as where an order is answered at once: its list has it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.audit.differences import Walks, alive
from tasks.ledger.calls.given_back import is_outdated
from tasks.ledger.locking import locked
from tasks.ledger.rows import Read, Row, move


def nameless(read: Read, walks: Walks) -> list[str]:
    """The purchases without their number's id that *walks* showed under one."""
    unnamed = (PURCHASE.c.status == Status.PURCHASED, PURCHASE.c.provider_number_id.is_(None))
    return [row.id for row in alive(read, walks.account, *unnamed) if _shown_id(row.number, walks)]


def take_ids(conn: Connection, ids: Sequence[str], walks: Walks, now: datetime) -> list[Row]:
    """Write down the number's id, where its record is this purchase's beyond doubt. Returns the purchases after."""
    done = []
    for row in locked(conn, ids):
        known = _shown_id(row["number"], walks)
        if known and _is_its(conn, row, known, walks):
            same = {"finished_at": row["finished_at"]}
            done.append(move(conn, row, Status.PURCHASED, now, **same, provider_number_id=known))
    return [row for row in done if row is not None]


def _is_its(conn: Connection, row: Row, known: str, walks: Walks) -> bool:
    """Bought before the list was read, and no record of an earlier purchase that gave the number back."""
    stands = row["status"] == Status.PURCHASED and row["provider_number_id"] is None
    return stands and row["finished_at"] < walks.began and not is_outdated(conn, row, known, walks.shows_by)


def _shown_id(number: str, walks: Walks) -> str | None:
    """The one id under which the last walk shows *number*, ready for use."""
    ids = walks.last.ids_of(number)
    return ids[0] if len(ids) == 1 and number not in walks.last.unusable else None
