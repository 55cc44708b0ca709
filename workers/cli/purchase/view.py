"""One purchase, whole: its row, its calls, its events, and its next step in words."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from tasks.ledger.releases.made import releases_of
from tasks.ledger.resolve import resolutions_of
from tasks.ledger.rows import Row, find
from tasks.queries import attempts_of, events_of, provider_states
from tasks.runtime import Runtime
from workers.cli.terminal.output import show, show_fields, show_table
from workers.views.explain import Around, next_step

_CALLS = ("started_at", "ended_at", "outcome", "http_status", "error_code", "detail")
_RESOLUTIONS = ("at", "decision", "by", "note")
_RELEASES = ("created_at", "by", "status", "attempts", "due_at", "finished_at", "error")
_EVENTS = ("time", "type", "published_at")


def describe(runtime: Runtime, conn: Connection, row: Row) -> str:
    """What the purchase waits for, and what happens next."""
    binding = runtime.providers.get(row["provider"])
    policy = binding.policy if binding is not None and binding.account == row["account"] else None
    kind = binding.kind if binding is not None else None
    state = provider_states(conn, runtime.accounts.values()).get(row["provider"])
    around = Around(policy=policy, state=state, now=runtime.now(), kind=kind)
    return next_step(row, around)


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


def show_document(document: dict[str, Any]) -> None:
    """The same for people."""
    show_fields(document["purchase"])
    show()
    show(document["next"])
    if document["attempts"]:
        show("\nCalls")
        show_table(_CALLS, [[call[name] for name in _CALLS] for call in document["attempts"]])
    if document["resolutions"]:
        show("\nSettled")
        show_table(_RESOLUTIONS, [[one[name] for name in _RESOLUTIONS] for one in document["resolutions"]])
    if document["releases"]:
        show("\nGiven back")
        show_table(_RELEASES, [[one[name] for name in _RELEASES] for one in document["releases"]])
    if document["events"]:
        show("\nEvents")
        show_table(_EVENTS, [[event[name] for name in _EVENTS] for event in document["events"]])
