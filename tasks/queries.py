"""Reads for people and programs; nothing here changes a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from schemas.tables import ATTEMPT, LINE, ORDER, PROVIDER, PURCHASE, SHARED
from tasks.ledger.rows import Row


def order_counts(conn: Connection, order_id: str) -> list[Row]:
    """How many of the order's lines are in each status, by provider: rows of provider, status, count."""
    at = PURCHASE.c
    own = (
        select(at.provider, at.status, func.count().label("count"))
        .where(at.order_id == order_id)
        .group_by(at.status, at.provider)
    )
    shared = (
        select(LINE.c.provider, at.status, func.count().label("count"))
        .join(PURCHASE, at.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id, SHARED)
        .group_by(LINE.c.provider, at.status)
    )
    totals: dict[tuple[str, str], int] = {}
    for query in (own, shared):
        for provider, status, count in conn.execute(query):
            totals[provider, status] = totals.get((provider, status), 0) + count
    return [{"provider": p, "status": s, "count": n} for (p, s), n in sorted(totals.items())]


def find_order(conn: Connection, order_id: str) -> Row | None:
    """One order."""
    found = conn.execute(select(ORDER).where(ORDER.c.id == order_id)).mappings().first()
    return None if found is None else dict(found)


def list_orders(conn: Connection, limit: int) -> list[Row]:
    """The latest orders, newest first."""
    found = conn.execute(select(ORDER).order_by(ORDER.c.created_at.desc()).limit(limit)).mappings()
    return [dict(row) for row in found]


def order_results(conn: Connection, order_id: str) -> Iterator[Row]:
    """Each line of an order with its purchase, in the file's order, as a stream."""
    at = PURCHASE.c
    query = (
        select(LINE.c.line, LINE.c.metadata.label("line_metadata"), PURCHASE)
        .join(PURCHASE, at.id == LINE.c.purchase_id)
        .where(LINE.c.order_id == order_id)
        .order_by(LINE.c.line)
    )
    for row in conn.execution_options(yield_per=1000).execute(query).mappings():
        metadata = row["metadata"] if row["line_metadata"] is None else row["line_metadata"]
        yield {**row, "purchase_id": row["id"], "metadata": metadata}


def list_purchases(conn: Connection, limit: int, **equal: Any) -> list[Row]:
    """The latest purchases whose columns equal the given values, newest first."""
    query = select(PURCHASE).order_by(PURCHASE.c.id.desc()).limit(limit)
    for name, value in equal.items():
        query = query.where(PURCHASE.c[name] == value)
    return [dict(row) for row in conn.execute(query).mappings()]


def attempts_of(conn: Connection, purchase_id: str) -> list[Row]:
    """The calls made for a purchase, first to last."""
    query = select(ATTEMPT).where(ATTEMPT.c.purchase_id == purchase_id).order_by(ATTEMPT.c.revision)
    return [dict(row) for row in conn.execute(query).mappings()]


def provider_states(conn: Connection) -> dict[str, Row]:
    """The state row of each provider that was ever used, by alias."""
    return {row["provider"]: dict(row) for row in conn.execute(select(PROVIDER)).mappings()}


def status_counts(conn: Connection) -> list[Row]:
    """All purchases by provider and status."""
    at = PURCHASE.c
    query = select(at.provider, at.status, func.count().label("count")).group_by(at.provider, at.status)
    return [dict(row) for row in conn.execute(query).mappings()]
