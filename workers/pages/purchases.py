"""Purchases: a list with filters, and one with its whole trail."""

from __future__ import annotations

from typing import Any

from schemas.status import Status
from tasks.reports.queries import list_purchases
from workers.pages.frame.handler import Page
from workers.pages.frame.listing import SIZE, before, number_of, page_of, status_of
from workers.pages.frame.templates import Document
from workers.views.desk import Desk
from workers.views.ids import purchase_id
from workers.views.purchases import purchase_document

_WITHIN = ("id", "order_id", "number", "provider", "status", "error_code", "error", "attempts", "due_at", "updated_at")


class Purchases(Page):
    """The latest purchases; those of a status, a provider, a number."""

    template = "purchases"
    tab = "dialstock_purchases"

    def read(self, desk: Desk, *_: str) -> Document:
        """A page of them."""
        wanted = {"status": status_of(self), "provider": self.query("provider"), "number": number_of(self)}
        equal = {name: value for name, value in wanted.items() if value is not None}
        begin = before(self)
        with desk.runtime.database.read() as conn:
            rows, more = page_of(lambda limit: list_purchases(conn, limit, before=begin, **equal))
        shown = [{name: row[name] for name in _WITHIN} for row in rows]
        return {
            "purchases": shown,
            "next": more,
            "asked": equal,
            "statuses": [*Status],
            "providers": sorted(desk.runtime.providers),
            "size": SIZE,
        }


class Purchase(Page):
    """One purchase: its request, calls, looks, settlements and events."""

    template = "purchase"
    tab = "dialstock_purchases"

    def read(self, desk: Desk, *names: str) -> Document:
        """By its id, a part of it, or its number with the plus."""
        with desk.runtime.database.read() as conn:
            found = purchase_id(conn, names[0])
        document = purchase_document(desk.runtime, found)
        return {**document, "trail": _trail(document)}


def _trail(document: Document) -> list[dict[str, Any]]:
    """What happened, one moment after the other: at, what, words."""
    purchase = document["purchase"]
    told = [(purchase["created_at"], "asked for", f"{purchase['number']} from {purchase['provider']}")]
    for call in document["attempts"]:
        status = f", HTTP {call['http_status']}" if call["http_status"] else ""
        name = f", our name at the provider: {call['reference']}" if call["reference"] else ""
        told.append((call["started_at"], "call", f"{call['outcome'] or 'under way'}{status}{name}"))
        if call["ended_at"] is not None and call["detail"]:
            told.append((call["ended_at"], "answer", call["detail"]))
    for one in document["resolutions"]:
        note = f": {one['note']}" if one["note"] else ""
        told.append((one["at"], "settled", f"{one['decision']} by {one['by']}{note}"))
    told += [
        (one["created_at"], "release", f"asked for by {one['by']}, {one['status']}") for one in document["releases"]
    ]
    told += [(event["time"], "event", event["type"]) for event in document["events"]]
    return [{"at": at, "what": what, "words": words} for at, what, words in sorted(told, key=lambda one: one[0])]
