"""Orders: a list, one with its progress and lines, its results as a file, cancel and retry."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import tornado.web
from sqlalchemy import Connection

from schemas.by_criteria.criteria import Criteria
from schemas.status import OrderStatus, Status
from tasks.ledger.orders.cancel import left_to_others
from tasks.ledger.rows import Row
from tasks.operator import retry_order
from tasks.orderfile import ExportFormat
from tasks.reports.queries import list_orders, order_results
from workers.pages.frame.desk import FRESH
from workers.pages.frame.handler import Change, Page, Refusal, refused
from workers.pages.frame.listing import before, line_after, page_of, status_of
from workers.pages.frame.templates import Document
from workers.views.desk import Desk, worker_hint
from workers.views.ids import order_id
from workers.views.orders.export import export_order
from workers.views.orders.order import as_shown, cancel_order, order_actions, totals
from workers.views.orders.progress import summary
from workers.views.words import count, short_id

COUNTED = 50_000
"""The most lines that an order may have to be counted in the list: it takes time, and nobody asked for it there."""

COUNTED_IN_ALL = 250_000
"""The most lines of a page of the list that are counted, its latest orders' first: a quarter of a second."""

SELDOM = 15.0
"""Seconds for which the counts of an order that is over are shown again: only a release or an audit changes them."""

_LINE = (
    "line",
    "number",
    "provider",
    "status",
    "error_code",
    "error",
    "purchase_id",
    "attempts",
    "due_at",
    "finished_at",
)
_FORMATS: dict[str, ExportFormat] = {"csv": "csv", "xlsx": "xlsx", "json": "json", "ndjson": "ndjson"}
_TYPES = {
    "csv": "text/csv; charset=UTF-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
}
_PIECE = 64 * 1024


class Orders(Page):
    """The latest orders."""

    template = "orders"
    tab = "dialstock_orders"

    def read(self, desk: Desk, *_: str) -> Document:
        """A page of them, each with its counts, but for very large ones."""
        begin = before(self)
        with desk.runtime.database.read() as conn:
            rows, more = page_of(lambda limit: list_orders(conn, limit, before=begin))
            left, orders = COUNTED_IN_ALL, []
            for row in rows:
                counted = row["lines"] <= min(COUNTED, left)
                left -= row["lines"] if counted else 0
                counts = self._counts(conn, row) if counted else None
                orders.append({**as_shown(row, counts), "counts": counts})
        return {"orders": orders, "next": more}

    def _counts(self, conn: Connection, order: Row) -> dict[str, int]:
        over = order["status"] == OrderStatus.COMPLETED
        asked = ("totals", order["id"], order["status"], order["completed_at"])
        return self.desk.shared.get(asked, SELDOM if over else FRESH, lambda: totals(conn, order["id"]))


class Order(Page):
    """One order: how far each provider is, and its lines, a page at a time."""

    template = "order"
    tab = "dialstock_orders"

    def read(self, desk: Desk, *names: str) -> Document:
        """By its id, or a part of it."""
        status, after = status_of(self), line_after(self)
        with desk.runtime.database.read() as conn:
            found = order_id(conn, names[0])
        progress = self.desk.progress(desk.runtime, found)
        with desk.runtime.database.read() as conn:
            lines, more = page_of(
                lambda limit: order_results(conn, found, status, after=after, limit=limit), key="line"
            )
            left = left_to_others(conn, found) if progress.order["cancel_requested_at"] else 0
            actions = order_actions(conn, progress)
        wishes = [
            {**wish, "criteria_in_words": str(Criteria.model_validate(wish["criteria"]))} for wish in progress.wishes
        ]
        return {
            **summary(progress),
            "wishes": wishes,
            "order": as_shown(progress.order),
            "over": progress.over,
            "left_to_others": left,
            "actions": actions,
            "hint": worker_hint(desk.settings) if progress.waiting else None,
            "results": [{name: row[name] for name in _LINE} for row in lines],
            "next": more,
            "asked": {"status": status} if status else {},
            "statuses": [*Status],
        }


class ExportOrder(Page):
    """An order's results as a file: ?format=csv, xlsx, json or ndjson."""

    @tornado.web.authenticated
    async def get(self, *names: str) -> None:
        """The file, made whole before any of it is sent."""
        format = self.query("format") or "csv"
        if format not in _FORMATS:
            raise refused(f"format={format!r} is not known: it is one of {', '.join(_FORMATS)}")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"results.{format}"
            found = await self.work(lambda desk: _write(desk, names[0], file))
            self.set_header("Content-Type", _TYPES[format])
            self.set_header("Content-Disposition", f'attachment; filename="order-{short_id(found)}.{format}"')
            with file.open("rb") as source:
                while piece := source.read(_PIECE):
                    self.write(piece)
                    await self.flush()


def _write(desk: Desk, text: str, file: Path) -> str:
    with desk.runtime.database.read() as conn:
        found = order_id(conn, text)
    export_order(desk.runtime, found, file, _FORMATS[file.suffix[1:]])
    return found


class ChangeOrder(Change):
    """Cancel, or buy again what failed."""

    def change(self, desk: Desk, *names: str) -> tuple[str, Document]:
        """Only where the form says `sure`: what is cancelled is not bought, what is retried costs money."""
        text, what = names
        if self.form("sure") != "yes":
            raise refused(f"tick that you are sure: nothing was {'cancelled' if what == 'cancel' else 'retried'}")
        with desk.runtime.database.read() as conn:
            found = order_id(conn, text)
        try:
            return self._changed(desk, found, what)
        finally:
            self.desk.changed(found)

    def _changed(self, desk: Desk, found: str, what: str) -> tuple[str, Document]:
        if what == "cancel":
            done: Mapping[str, Any] = cancel_order(desk.runtime, found)
            asked = done["cancelled"]
            said = f"{count(asked, 'line')} {'was' if asked == 1 else 'were'} asked to stop."
            if done["left"]:
                said += f" {count(done['left'], 'line')} left to others that want the same number."
            if done["ended"]:
                said += " It looks for no more numbers."
            return said, {"order_id": found, **done}
        try:
            done = vars(retry_order.retry(desk.runtime, found))
        except ValueError as exc:
            raise Refusal(HTTPStatus.CONFLICT, str(exc)) from None
        said = f"Bought again: {count(done['again'], 'line')}."
        if done["found"]:
            said += f" Answered by a purchase that is there already: {count(done['found'], 'line')}."
        return said, {"order_id": found, **done}

    def shown_next(self, *names: str) -> str:
        """The order."""
        return str(self.reverse_url("dialstock_order", names[0]))
