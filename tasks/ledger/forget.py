"""What the ledger may forget: messages it never accepted, calls of purchases long settled, findings that are resolved.

Each function deletes a chunk and returns how many it was; what another has locked is left for the next time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, case, delete, func, select

from schemas.settling import FindingKind
from schemas.status import Status
from schemas.tables.audits import FINDING
from schemas.tables.purchases import ATTEMPT, PURCHASE, REJECTED
from tasks.ledger.calls.attempts import YES

_AT, _CALL = PURCHASE.c, ATTEMPT.c
_BOUGHT = (Status.PURCHASED, Status.RELEASED)
_ENDED = (*_BOUGHT, Status.FAILED, Status.CANCELLED)

# What the provider executed beside what the purchase stands for is evidence of a second charge.
_ANY = ATTEMPT.alias("any_call")
_YESES = select(func.count()).where(_ANY.c.purchase_id == _AT.id, _ANY.c.outcome.in_(YES)).correlate(PURCHASE)
_NO_EVIDENCE = case((_AT.status.in_(_BOUGHT), 1), else_=0) >= _YESES.scalar_subquery()


def rejected(conn: Connection, before: datetime, most: int) -> int:
    """Messages that were rejected before then."""
    at = REJECTED.c
    query = select(at.id).where(at.received_at < before).order_by(at.received_at, at.id)
    return delete_some(conn, at.id, query, most)


def findings(conn: Connection, before: datetime, most: int) -> int:
    """Findings that were resolved before then; what a person settled of two charges is remembered."""
    at = FINDING.c
    old = (at.id < first_id(before), at.resolved_at < before, at.kind != FindingKind.CHARGED_TWICE)
    return delete_some(conn, at.id, select(at.id).where(*old).order_by(at.id), most)


def with_old_calls(conn: Connection, before: datetime, most: int) -> list[str]:
    """Purchases that had ended before then and have calls, without a lock.

    A purchase whose calls did not count as attempts keeps them: `tasks.ledger.history` could not tell that they were.
    """
    query = (
        select(_CALL.purchase_id)
        .join(PURCHASE, _AT.id == _CALL.purchase_id)
        .where(_CALL.purchase_id < first_id(before), *_let_go(before))
        .distinct()
        .order_by(_CALL.purchase_id)
        .limit(most)
    )
    return list(conn.execute(query).scalars())


def calls(conn: Connection, ids: Sequence[str], before: datetime) -> int:
    """The calls of those of the purchases that had ended before then, all of a purchase at once: of how many."""
    # A purchase is locked before its calls, everywhere.
    query = select(_AT.id).where(_AT.id.in_(ids), *_let_go(before)).order_by(_AT.id).with_for_update(skip_locked=True)
    locked = list(conn.execute(query).scalars())
    conn.execute(delete(ATTEMPT).where(_CALL.purchase_id.in_(locked)))
    return len(locked)


def _let_go(before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (_AT.status.in_(_ENDED), _AT.finished_at < before, _AT.attempts > 0, _NO_EVIDENCE)


def delete_some(conn: Connection, key: Column[Any], query: Select[tuple[Any]], most: int) -> int:
    """Delete the first rows that *query* gives the *key* of, at most *most*. Returns how many."""
    keys = list(conn.execute(query.limit(most).with_for_update(skip_locked=True)).scalars())
    if keys:
        conn.execute(delete(key.table).where(key.in_(keys)))
    return len(keys)


def first_id(moment: datetime) -> str:
    """The least id that is made at a moment: ids rise with time (RFC 9562, UUID version 7), so they are their index."""
    text = f"{int(moment.timestamp() * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"
