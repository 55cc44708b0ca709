"""`dialstock order`: list, show, export, retry, cancel; submit and watch stand in files of their own."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from workers.cli.order.submit import submit
from workers.cli.order.watch import watch
from workers.cli.order.wishes.find import find
from workers.cli.terminal.options import InStatus, Limit, OrderId
from workers.cli.terminal.output import Json, emit_json, say, show, show_table, working
from workers.views.words import count

Lines = Annotated[bool, typer.Option("--lines", help="List the lines; with --json one object a line.")]
Target = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write; else stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file where there is one already.")]
ExportFormat = Annotated[
    Literal["csv", "json", "ndjson", "xlsx"] | None, typer.Option(help="The format; else by the file's name, else CSV.")
]


def register(app: typer.Typer) -> None:
    """Add `order` and its commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="Orders of many numbers: submit a file, watch it, get its results.",
    )
    for command in (find, submit, watch, show_order, export, retry, cancel):
        group.command("show" if command is show_order else None)(command)
    group.command("list")(list_orders)
    app.add_typer(group, name="order")


def list_orders(*, limit: Limit = 20, json: Json = False) -> None:
    """List the latest orders, newest first."""
    from tasks.reports import queries
    from workers.cli.terminal.context import open_desk
    from workers.views.orders.order import as_shown, totals

    with open_desk(configured=False) as desk, desk.runtime.database.read() as conn:
        found = [(row, totals(conn, row["id"])) for row in queries.list_orders(conn, limit)]
    orders = [{**as_shown(row, counts), **counts} for row, counts in found]
    if json:
        emit_json(orders)
    else:
        _show_orders(orders)


def _show_orders(orders: list[dict[str, Any]]) -> None:
    from workers.views.orders.progress import COUNTS

    counted = [name for name in COUNTS if name != "released" or any(one[name] for one in orders)]
    columns = ("order", "created", "status", "lines", *counted, "name")
    rows = [
        (one["id"], one["created_at"], one["status"], one["lines"], *(one[name] for name in counted), one["name"])
        for one in orders
    ]
    show_table(columns, rows, numbers=("lines", *counted)) if rows else say("There is no order yet.")


def show_order(order: OrderId, *, lines: Lines = False, status: InStatus = None, json: Json = False) -> None:
    """Show how far an order is: how many lines of each provider are in which status, and why they wait.

    Of an order by criteria also how many numbers each wish found, bought, replaced and is missing, and why.

    With --lines (or --status): each line with its purchase.
    """
    from workers.cli.order.view import show_lines, show_progress
    from workers.cli.terminal.context import open_desk
    from workers.views.ids import order_id

    with open_desk(configured=not (lines or status), reads=True) as desk:
        with desk.runtime.database.read() as conn:
            found = order_id(conn, order)
        if lines or status:
            show_lines(desk.runtime, found, status, json=json)
        else:
            show_progress(desk, found, json=json)


def export(
    order: OrderId,
    *,
    output: Target = None,
    format: ExportFormat = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write the result of each line of an order, in the order of its file.

    What it writes (.csv, .xlsx, .json, .ndjson) can be submitted again, with any of its columns taken out: number,
    provider, options, metadata and idempotency key are read, the rest is not. As with the first file, a key gets the
    purchase that it had, a failed one too: empty it to buy that anew; take the keys out with metadata or options, which
    belong to what a key stands for. A key is shown only where its line made the
    purchase: not where that was there already or was another order's, nor where a retry made it. So an order that was
    submitted from an export shows none of the keys that the export had.

    With --json and no --format, JSON is written; with a file too, standard output tells its name and how many lines it
    has.
    """
    from workers.cli.terminal.context import open_desk
    from workers.cli.terminal.output_file import refuse_replacing
    from workers.views.ids import order_id
    from workers.views.orders.export import export_order, format_of

    chosen = format or format_of(output, json=json)
    refuse_replacing(output, chosen, overwrite=overwrite)
    with open_desk(configured=False) as desk:
        with desk.runtime.database.read() as conn:
            found = order_id(conn, order)
        with working(f"order {found}") if output is not None else nullcontext():
            written = export_order(desk.runtime, found, output, chosen)
    if output is not None and json:
        emit_json({"order_id": found, "file": str(output), "lines": written})
    elif output is not None:
        show(f"{output}: {count(written, 'line')}")


def retry(order: OrderId, *, json: Json = False) -> None:
    """Buy the lines of an order again that failed or were cancelled. Held lines are not touched: a person settles them.

    An order by criteria looks for other numbers instead, as many as it is missing.

    A line whose number another purchase has bought, ordered or held meanwhile is answered by that purchase. A cancelled
    order waits again for what was left to others. An order that has come to its --max is not retried.
    """
    from workers.cli.order.view import retry_order

    _change(order, retry_order, buys=True, json=json)


def cancel(order: OrderId, *, json: Json = False) -> None:
    """Cancel what an order has not bought yet.

    A call under way ends first. What may have been bought is never just cancelled: it is looked up, then held.
    What another order waits for too, or was there before this order, is left to the others and goes on; this order
    completes when that is settled. A cancel that stops half way is gone on with by the workers.
    """
    from workers.views.orders.order import cancel_order

    _change(order, cancel_order, buys=False, json=json)


def _change(order: str, action: Callable[[Any, str], dict[str, int]], *, buys: bool, json: bool) -> None:
    from workers.cli.order.view import tell_changed
    from workers.cli.terminal.context import open_desk
    from workers.views.ids import order_id

    with open_desk(configured=buys, buys=buys) as desk:
        with desk.runtime.database.read() as conn:
            found = order_id(conn, order)
        with working(f"order {found}"):
            counts = action(desk.runtime, found)
    if json:
        emit_json({"order_id": found, **counts})
    else:
        tell_changed(found, counts)
