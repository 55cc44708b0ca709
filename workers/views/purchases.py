"""One purchase, whole: its row, its calls, its events, and its next step in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from schemas.status import Status
from tasks.ledger.releases.asking import open_release
from tasks.ledger.releases.made import releases_of
from tasks.ledger.resolve import resolutions_of
from tasks.ledger.rows import Row, find
from tasks.reports.queries import attempts_of, events_of, provider_states
from tasks.runtime import Runtime
from workers.views.day_limits import spent
from workers.views.explain import Around, next_step


def describe(runtime: Runtime, conn: Connection, row: Row) -> str:
    """What the purchase waits for, and what happens next."""
    return describe_each(runtime, conn, [row])[0]


def describe_each(runtime: Runtime, conn: Connection, rows: Sequence[Row]) -> list[str]:
    """The same of many, in their order."""
    states = provider_states(conn, runtime.accounts.values()) if rows else {}
    return [next_step(row, _around(runtime, conn, row, states.get(row["provider"]))) for row in rows]


def _around(runtime: Runtime, conn: Connection, row: Row, state: Row | None) -> Around:
    binding = runtime.providers.get(row["provider"])
    policy = binding.policy if binding is not None and binding.account == row["account"] else None
    kind = binding.kind if binding is not None else None
    release = open_release(conn, row["id"]) if row["status"] == Status.RELEASING else None
    around = Around(policy=policy, state=state, now=runtime.now(), kind=kind, release=release)
    if binding is None or policy is None or row["status"] != Status.QUEUED or around.paused:
        return around
    return replace(around, spent=spent(conn, runtime, binding, row))


def purchase_document(runtime: Runtime, purchase_id: str) -> dict[str, Any]:
    """The purchase with its attempts, settlements and events, as plain data."""
    with runtime.database.read() as conn:
        row = find(conn, purchase_id) or {}
        return {
            "purchase": row,
            "next": describe(runtime, conn, row),
            "attempts": attempts_of(conn, purchase_id),
            "resolutions": resolutions_of(conn, purchase_id),
            "releases": releases_of(conn, purchase_id),
            "events": events_of(conn, row),
        }
