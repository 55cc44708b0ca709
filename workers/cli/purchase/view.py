"""One purchase, whole, at the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.cli.terminal.output import show, show_fields, show_table

_CALLS = ("started_at", "ended_at", "outcome", "http_status", "error_code", "detail")
_NAMES = ("started_at", "reference")
_RESOLUTIONS = ("at", "decision", "by", "note")
_RELEASES = ("created_at", "by", "status", "attempts", "due_at", "finished_at", "error")
_EVENTS = ("time", "type", "published_at")


def show_document(document: dict[str, Any]) -> None:
    """The document of `purchase_document` for people."""
    show_fields(document["purchase"])
    show()
    show(document["next"])
    calls = document["attempts"]
    _show_part("Calls", _CALLS, calls)
    _show_part("Our names of the calls at the provider", _NAMES, [call for call in calls if call["reference"]])
    _show_part("Settled", _RESOLUTIONS, document["resolutions"])
    _show_part("Given back", _RELEASES, document["releases"])
    _show_part("Events", _EVENTS, document["events"])


def _show_part(heading: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        show(f"\n{heading}")
        show_table(columns, [[row[name] for name in columns] for row in rows])
