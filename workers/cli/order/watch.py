"""`dialstock order watch`."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import typer

from workers.cli.terminal.options import OrderId
from workers.cli.terminal.output import Json


def watch(order: OrderId, *, json: Json = False) -> None:
    """Follow an order until it is completed.

    Ctrl-C ends the watching with status 130, and the order goes on. With --json: one object a second, then one of
    type 'end'. The status is 0 where every line is bought, 1 where any is not.
    """
    from workers.cli.order.follow import follow
    from workers.cli.terminal.context import open_desk
    from workers.views.ids import order_id

    with open_desk(reads=True) as desk:
        with desk.runtime.database.read() as conn:
            found = order_id(conn, order)
        raise typer.Exit(follow(desk, found, json=json))
