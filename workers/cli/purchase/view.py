"""One purchase, whole, at the terminal."""

from __future__ import annotations

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
    if document["attempts"]:
        show("\nCalls")
        show_table(_CALLS, [[call[name] for name in _CALLS] for call in document["attempts"]])
    named = [call for call in document["attempts"] if call["reference"]]
    if named:
        show("\nOur names of the calls at the provider")
        show_table(_NAMES, [[call[name] for name in _NAMES] for call in named])
    if document["resolutions"]:
        show("\nSettled")
        show_table(_RESOLUTIONS, [[one[name] for name in _RESOLUTIONS] for one in document["resolutions"]])
    if document["releases"]:
        show("\nGiven back")
        show_table(_RELEASES, [[one[name] for name in _RELEASES] for one in document["releases"]])
    if document["events"]:
        show("\nEvents")
        show_table(_EVENTS, [[event[name] for name in _EVENTS] for event in document["events"]])
