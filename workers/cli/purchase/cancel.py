"""`dialstock purchase cancel`: what is not bought yet, by itself."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli.terminal.output import Json, emit_json, say, show, show_line
from workers.views.errors import SOME_FAILED
from workers.views.words import count

if TYPE_CHECKING:
    from tasks.ledger.rows import Row
    from tasks.runtime import Runtime

_FIELDS = ("id", "number", "provider", "status", "cancel_requested_at")

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="The purchases: their ids, at least the first or last 8 characters of them, or their numbers with the "
        "plus.",
    ),
]


def cancel(ids: Ids, *, json: Json = False) -> None:
    """Cancel purchases that are not bought yet, whoever asked for them.

    A call under way ends first. What may have been bought is never just cancelled: it is looked up, then held. Each
    order and request that waits for one is told, and a pool buys another number in its place. The status is 1 where one
    was bought or held already, or came to nothing otherwise.
    """
    from schemas.status import UNSETTLED
    from workers.cli.terminal.context import open_desk
    from workers.views.ids import purchase_id

    with open_desk(configured=False) as desk:
        with desk.runtime.database.read() as conn:
            # Two names of one purchase are one purchase.
            found = list(dict.fromkeys(purchase_id(conn, text, UNSETTLED) for text in ids))
        rows = _cancel(desk.runtime, found)
    stopped = [row for row in rows if _stops(row)]
    if json:
        emit_json({"cancelled": len(stopped), "purchases": [{name: row[name] for name in _FIELDS} for row in rows]})
    else:
        _tell(rows, stopped)
    raise typer.Exit(0 if len(stopped) == len(rows) else SOME_FAILED)


def _cancel(runtime: Runtime, ids: list[str]) -> list[Row]:
    """The purchases after."""
    from tasks.ledger.orders import cancel as ledger
    from tasks.orders import complete_finished

    rows = [runtime.database.run(lambda conn, one=one: ledger.cancel(conn, one, runtime.now())) for one in ids]  # type: ignore[misc]
    complete_finished(runtime)
    return [row for row in rows if row is not None]


def _stops(row: Row) -> bool:
    """Whether it is cancelled, or will be where its call buys nothing."""
    from schemas.status import SETTLED, Status

    asked = row["cancel_requested_at"] is not None
    return bool(row["status"] == Status.CANCELLED or (asked and row["status"] not in SETTLED))


def _tell(rows: list[Row], stopped: list[Row]) -> None:
    for row in rows:
        show_line(f"{row['number']:<16}  {row['provider']:<12}  {_said(row, stops=row in stopped)}  {row['id']}")
    show(f"{count(len(stopped), 'purchase')} cancelled.")
    if left := len(rows) - len(stopped):
        say(f"{count(left, 'purchase')} could not be: see `dialstock purchase show ID`", "yellow")


def _said(row: Row, *, stops: bool) -> Any:
    calls = stops and row["status"] != "cancelled"
    return f"{row['status']:<10}" + (" (stops when its call, or the doubt, has ended)" if calls else "")
