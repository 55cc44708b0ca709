"""`dialstock release`: bought numbers are given back to their providers."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.terminal.options import By
from workers.cli.terminal.output import Json

Numbers = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NUMBER]...", help="Bought numbers with the plus, or the ids of their purchases."),
]
FromFile = Annotated[
    str | None, typer.Option("--file", metavar="FILE|-", help="The same, one a line. - is stdin, and needs --yes.")
]
OfOrder = Annotated[str | None, typer.Option("--order", metavar="ID", help="All that this order bought.")]
OfPool = Annotated[str | None, typer.Option("--pool", metavar="NAME", help="Of this pool, with --count.")]
Count = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="So many of the pool's numbers, those available for longest.")
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Also what another order or request was answered with. Never what somebody has taken."
    ),
]
Cancel = Annotated[
    bool,
    typer.Option("--cancel", help="Keep them instead: call off what waits to be given back. It does not ask."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask: for scripts.")]


def register(app: typer.Typer) -> None:
    """Add `release`."""
    app.command()(release)


def release(
    numbers: Numbers = None,
    *,
    file: FromFile = None,
    order: OfOrder = None,
    pool: OfPool = None,
    count: Count = None,
    force: Force = False,
    cancel: Cancel = False,
    yes: Yes = False,
    by: By = None,
    json: Json = False,
) -> None:
    """Give bought numbers back to their providers. **A number that is given back may be gone for good.**

    It says which, and what that saves a month where prices are known, and asks. Then workers call, one after the other;
    `dialstock purchase show` tells how far each is.
    Left alone are numbers that somebody has taken from a pool, that are in doubt, or that another order points to. The
    pool of a number that goes buys another if its level wants it. Status 1: some are left, or the pool has fewer.

    --cancel keeps what no call was sent for, or whose calls are known to have come to nothing; else a look goes first.
    """
    from workers.cli.release.call_off import call_off, tell_called_off
    from workers.cli.release.give_back import Chosen, chosen, confirm, give_back, tell
    from workers.cli.terminal.context import open_desk
    from workers.views.errors import SOME_FAILED
    from workers.views.operator import person

    who = person(by)
    wanted = Chosen(numbers=numbers or [], file=file, order=order, pool=pool, count=count, force=force)
    with open_desk(configured=not cancel) as desk:
        if cancel:
            kept = call_off(desk.runtime, wanted, who)
            tell_called_off(kept, json=json)
            raise typer.Exit(SOME_FAILED if kept.refused else 0)
        plan = chosen(desk.runtime, wanted, who)
        confirm(desk.runtime, plan, yes=yes)
        done = give_back(desk.runtime, plan)
        tell(desk.runtime, done, json=json)
    raise typer.Exit(SOME_FAILED if done.refused or plan.short else 0)
