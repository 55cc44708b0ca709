"""What grows for ever, and when it goes: by bounded chunks, each a short transaction, whoever dies between two.

Purchases, their keys, orders, lines, resolutions, releases and the places of pools stay: what was bought, and what a
repeated request is answered with, hangs on them. Nothing of a purchase that is not settled goes, nor of a number that
is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Connection, func, select

from schemas.retention import Retention
from schemas.tables.audits import FINDING
from schemas.tables.pools import POOL_REQUEST, POOL_RUN
from schemas.tables.purchases import ATTEMPT, EVENT, REJECTED
from schemas.tables.releases import RELEASE_ATTEMPT
from tasks.ledger import forget
from tasks.ledger.releases import made
from tasks.pools import forgotten
from tasks.runtime import Runtime

CHUNK = 1000
"""Rows, or purchases with their calls, of one transaction."""


def _forget_calls(runtime: Runtime, before: datetime, most: int) -> int:
    """Of how many purchases: looked for without a lock, and asked again with it."""
    with runtime.database.read() as conn:
        ids = forget.with_old_calls(conn, before, most)
    return runtime.database.run(lambda conn: forget.calls(conn, ids, before)) if ids else 0


_KINDS: tuple[tuple[str, Callable[[Runtime, datetime, int], int]], ...] = (
    ("rejected", lambda runtime, before, most: _run(runtime, forget.rejected, before, most)),
    ("requests", lambda runtime, before, most: _run(runtime, forgotten.requests, before, most)),
    ("records", _forget_calls),
    ("records", lambda runtime, before, most: _run(runtime, made.forget, before, most)),
    ("records", lambda runtime, before, most: _run(runtime, forget.findings, before, most)),
    ("records", lambda runtime, before, most: _run(runtime, forgotten.runs, before, most)),
)

_GROWING: tuple[Column[Any], ...] = (
    *(ATTEMPT.c.started_at, EVENT.c.time, REJECTED.c.received_at, FINDING.c.found_at),
    *(POOL_REQUEST.c.created_at, POOL_RUN.c.at, RELEASE_ATTEMPT.c.started_at),
)
"""The times of the rows that go some day."""


def clean_up(runtime: Runtime, retention: Retention) -> bool:
    """Delete a chunk of each kind that is kept for long enough. Whether there may be more."""
    now, full = runtime.now(), False
    for name, action in _KINDS:
        seconds = getattr(retention, name)
        if seconds is not None:
            full = action(runtime, now - timedelta(seconds=seconds), CHUNK) == CHUNK or full
    return full


def growing(conn: Connection) -> list[tuple[str, int, datetime | None]]:
    """Each table whose rows go some day: its name, how many rows it has, and the time of the oldest."""
    found = []
    for at in _GROWING:
        count, oldest = conn.execute(select(func.count(), func.min(at)).select_from(at.table)).one()
        found.append((str(at.table), count, oldest))
    return found


def _run(runtime: Runtime, action: Callable[[Connection, datetime, int], int], before: datetime, most: int) -> int:
    return runtime.database.run(lambda conn: action(conn, before, most))
