"""One order for people and programs: its progress, its lines, its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.status import Status
from tasks.ledger.orders.cancel import left_to_others
from tasks.operator import retry_order as retrying
from tasks.reports.queries import each_result, order_counts
from tasks.runtime import Runtime
from workers.cli.order.wishes.view import show_wishes
from workers.cli.terminal.output import emit_json, say, show, show_fields, show_line, show_table
from workers.cli.terminal.spending import say_spending
from workers.views.desk import Desk, worker_hint
from workers.views.orders.order import as_shown, totals
from workers.views.orders.progress import COUNTS, Part, Sampler, summary
from workers.views.words import count, moment

_LINE_FIELDS = (
    *("line", "number", "provider", "status", "success", "error_code", "error", "provider_number_id"),
    *("already_owned", "attempts", "purchase_id", "due_at", "finished_at"),
    *("monthly_price", "setup_price", "currency", "metadata"),
)
_TOLD = {
    "again": "{lines} of order {id} are bought again.",
    "found": "{lines} of order {id} are answered by a purchase that is there already.",
    "cancelled": "{lines} of order {id} were asked to stop.",
    "held": "Held for a person, {lines}:  dialstock order show {id} --lines --status held",
    "ended": "Order {id} looks for no more numbers (wishes: {lines}).",
    "wishes": "Order {id} looks for what it is missing (wishes: {lines}).",
    "releasing": "{lines} left: the number is being given back. Retry once that has ended.",
    "left": "{lines} left to another order or request for the same number: settled when that one is.",
}


def show_progress(desk: Desk, order_id: str, *, json: bool) -> None:
    """The order, and how far each provider is."""
    progress = Sampler(desk.runtime, order_id).sample()
    order = as_shown(progress.order)
    with desk.runtime.database.read() as conn:
        counts = order_counts(conn, order_id)
        left = left_to_others(conn, order_id) if order["cancel_requested_at"] else 0
    if json:
        emit_json({**summary(progress), "order": order, "counts": counts})
        return
    fields = (
        "id",
        "name",
        "status",
        "lines",
        "max_purchases",
        "max_spend",
        "created_at",
        "completed_at",
        "cancel_requested_at",
        "metadata",
    )
    show_fields({name: order[name] for name in fields})
    show()
    counted = [name for name in COUNTS if name != "released" or any(part.released for part in progress.parts)]
    numbers = ("lines", *counted)
    show_table(("provider", *numbers, "why"), [_row(part, numbers) for part in progress.parts], numbers=numbers)
    if progress.wishes:
        show()
        show_wishes(progress.wishes)
    if left:
        say(_TOLD["left"].format(lines=count(left, "line")))
    if progress.waiting and (hint := worker_hint(desk.settings)):
        say(f"Note: {hint}", "yellow")


def show_lines(runtime: Runtime, order_id: str, status: Status | None, *, json: bool) -> None:
    """The order's lines, one at a time: there may be very many."""
    shown = 0
    for row in each_result(runtime.database.read, order_id, status):
        shown += 1
        if json:
            emit_json({name: row[name] for name in _LINE_FIELDS})
        else:
            show_line(_line(row))
    if not json:
        show(count(shown, "line"))


def retry_order(runtime: Runtime, order_id: str) -> dict[str, int]:
    """Buy again what failed or was cancelled. Returns what came of it, and how many lines are held."""
    again: Counter[str] = Counter()
    with runtime.database.read() as conn:
        for row in order_counts(conn, order_id):
            again[row["provider"]] += row["count"] * (row["status"] in (Status.FAILED, Status.CANCELLED))
    say_spending(runtime.config, again)
    retried = retrying.retry(runtime, order_id)
    with runtime.database.read() as conn:
        return {**vars(retried), "held": totals(conn, order_id)["held"]}


def tell_changed(order_id: str, counts: Mapping[str, int]) -> None:
    """Say what a retry or a cancel came to; *counts* as they return it."""
    changed = any(counts[name] for name in counts if name not in ("held", "releasing"))
    if not changed:
        show(f"Order {order_id} has nothing left for that: nothing was done.")
    for name in filter(counts.get, counts):
        many = f"{counts[name]:,}" if name in ("wishes", "ended") else count(counts[name], "line")
        show(_TOLD[name].format(lines=many, id=order_id))
    if changed:
        show(f"Watch it:  dialstock order watch {order_id}")


def _row(part: Part, numbers: Sequence[str]) -> tuple[Any, ...]:
    return (part.provider, *(getattr(part, name) for name in numbers), "; ".join(part.why))


def _line(row: dict[str, Any]) -> str:
    text = f"{row['line']:>7}  {row['number']:<16}  {row['provider']:<12}  {row['status']:<10}  {row['purchase_id']}"
    if row["error"]:
        text += f"  {row['error']}"
    if row["due_at"] is not None:
        text += f"  (due {moment(row['due_at'])})"
    return text
