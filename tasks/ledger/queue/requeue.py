"""Dispatched purchases that go back into the queue: not taken, not to be bought now, or without a slot."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from schemas.status import Status
from schemas.tables.purchases import PURCHASE, RUNNING


def take_back(conn: Connection, provider: str, now: datetime, *, overdue: bool) -> int:
    """Put dispatched purchases back into the queue: those not taken in time, or all when the provider is paused."""
    at = PURCHASE.c
    late = (at.due_at <= now,) if overdue else ()
    back = (at.provider == provider, RUNNING, at.status == Status.DISPATCHED, *late)
    taken = select(at.id).where(*back).order_by(at.id).with_for_update(key_share=True)
    changed = conn.execute(
        update(PURCHASE)
        .where(at.id.in_(taken), *back)
        .values(status=Status.QUEUED, revision=at.revision + 1, due_at=now, updated_at=now)
    )
    return changed.rowcount


def postpone(conn: Connection, purchase_id: str, revision: int, until: datetime, now: datetime) -> None:
    """Put one dispatched purchase back, due at *until*: its pace has no slot before."""
    at = PURCHASE.c
    conn.execute(
        update(PURCHASE)
        .where(at.id == purchase_id, at.status == Status.DISPATCHED, at.revision == revision)
        .values(status=Status.QUEUED, revision=at.revision + 1, due_at=until, updated_at=now)
    )
