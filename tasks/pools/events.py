"""Pools' events, as outbox rows."""

from __future__ import annotations

from datetime import datetime

from schemas.events import EventType, pool_source
from tasks.ledger.rows import Row, other_event


def pool_event(kind: EventType, name: str, now: datetime, data: Row) -> Row:
    """An outbox row that tells of the pool *name*."""
    return {**other_event(kind, now, data, provider=None, subject=name), "source": pool_source(name)}
