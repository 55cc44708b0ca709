"""`dialstock purchase`: list and show; cancel, resolve, mark-kept and mark-released stand in files of their own."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated, Any

import typer

from workers.cli.purchase.cancel import cancel
from workers.cli.purchase.mark_kept import mark_kept
from workers.cli.purchase.mark_released import mark_released
from workers.cli.purchase.resolve import resolve
from workers.cli.terminal.options import Country, InStatus, Limit, country_code
from workers.cli.terminal.output import Json, emit_json, say, show_table

_COLUMNS = ("id", "number", "provider", "status", "updated_at", "due_at", "error")

PurchaseId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The purchase: its id, at least the first or last 8 characters of it, its number with the plus, or "
        "'last'.",
    ),
]
OfProvider = Annotated[str | None, typer.Option("--provider", metavar="ALIAS", help="Only those of this provider.")]
OfNumber = Annotated[str | None, typer.Option("--number", help="Only those of this number, in any spelling.")]
OfOrder = Annotated[str | None, typer.Option("--order", metavar="ID", help="Only those that this order made.")]


def register(app: typer.Typer) -> None:
    """Add `purchase` and its commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="Single purchases: what happened to a number, and what comes next.",
    )
    group.command("list")(list_purchases)
    group.command("show")(show_purchase)
    group.command()(cancel)
    group.command()(resolve)
    group.command("mark-kept")(mark_kept)
    group.command("mark-released")(mark_released)
    app.add_typer(group, name="purchase")


def list_purchases(
    *,
    status: InStatus = None,
    provider: OfProvider = None,
    number: OfNumber = None,
    country: Country = None,
    order: OfOrder = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List purchases, newest first."""
    from schemas.numbering.numbers import NumberError, read_number
    from tasks.reports import queries
    from workers.cli.terminal.context import open_desk
    from workers.views.errors import Failure
    from workers.views.ids import order_id

    wanted: dict[str, Any] = {"status": status, "provider": provider}
    try:
        wanted["number"] = read_number(number, country_code(country)) if number is not None else None
    except NumberError as exc:
        raise Failure(f"--number {exc}") from exc
    with open_desk(configured=False) as desk, desk.runtime.database.read() as conn:
        wanted["order_id"] = order_id(conn, order) if order is not None else None
        equal = {name: value for name, value in wanted.items() if value is not None}
        found = queries.list_purchases(conn, limit, **equal)
    if json:
        emit_json(found)
    elif found:
        show_table(_COLUMNS, [[row[name] for name in _COLUMNS] for row in found])
    else:
        say("There is no such purchase.")


def show_purchase(purchase: PurchaseId, *, json: Json = False) -> None:
    """Show a purchase: its row, each call that was made, the events, what it waits for and what happens next."""
    from workers.cli.purchase.view import show_document
    from workers.cli.terminal.context import open_desk
    from workers.views.ids import purchase_id
    from workers.views.purchases import purchase_document

    with open_desk(reads=True) as desk:
        with desk.runtime.database.read() as conn:
            found = purchase_id(conn, purchase)
        document = purchase_document(desk.runtime, found)
    if json:
        emit_json(document)
    else:
        show_document(document)
