"""`dialstock buy`: one number."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.terminal.options import Country, country_code, pairs
from workers.cli.terminal.output import Json

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The number, in any spelling.")]
Provider = Annotated[str, typer.Option(metavar="ALIAS", help="The provider that sells it.")]
Key = Annotated[
    str | None,
    typer.Option("--key", help="Idempotency key: the same key with the same request is the same purchase, for ever."),
]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="`dialstock provider kinds` lists those of each kind."),
]
Metadata = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Comes back in the purchase's events.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for the result.")]


def register(app: typer.Typer) -> None:
    """Add `buy`."""
    app.command()(buy)


def buy(
    number: Number,
    *,
    provider: Provider,
    key: Key = None,
    option: Options = None,
    metadata: Metadata = None,
    country: Country = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Buy one number.

    It is written to the table, and workers buy it; a number that is bought or in work already is not bought again.
    With --wait the status is 0 where it is bought, else 1; Ctrl-C ends the waiting, not the purchase.
    """
    from tasks.orders import accept_single
    from workers.cli.purchase.buy_one import request_of, tell, wait_for
    from workers.cli.terminal.context import open_desk
    from workers.cli.terminal.spending import say_spending

    fields = {
        "provider": provider,
        "idempotency_key": key,
        "options": pairs(option, "--option", "--option NAME=VALUE, a NAME that `dialstock provider kinds` lists"),
        "metadata": pairs(metadata, "--metadata", "--metadata team=sales"),
    }
    with open_desk(buys=True) as desk:
        request = request_of(desk.runtime, number, country_code(country), fields)
        say_spending(desk.runtime.config, {request.provider: 1})
        accepted = accept_single(desk.runtime, request)
        row = wait_for(desk, accepted.row) if wait else accepted.row
        own = request.idempotency_key
        raise typer.Exit(tell(desk, row, key=own, created=accepted.created, waited=wait, json=json))
