"""`dialstock demo`: buy from all sandboxes while they fail, and count what came of it."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.terminal.output import Json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    *,
    numbers: Annotated[int, typer.Option(min=1, max=20_000, metavar="N", help="How many to buy.")] = 200,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed plays the same faults.")] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the database, the logs and the ledger.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Leave its pages up at the end, for a look.")] = False,
    json: Json = False,
) -> None:
    """Buy numbers from sandboxes of all providers that fail on purpose, and account for every one.

    It runs on this machine alone and in a folder of its own, needs no token, and says where its pages are. Its status
    is 0 only where no number was lost and none was bought twice.
    """
    from workers.cli.demo.play import play

    raise typer.Exit(play(numbers, seed, keep=keep, page=page, json=json))
