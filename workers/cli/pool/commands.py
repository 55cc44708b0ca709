"""`dialstock pool`: list, show, run, take, return, move."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from typing import Annotated

import typer

from workers.cli.terminal.output import Json, emit_json, say, show

Name = Annotated[str, typer.Argument(metavar="POOL", help="The pool, as [pools.NAME] in providers.toml names it.")]
Former = Annotated[str, typer.Argument(metavar="OLD", help="A pool that providers.toml does not have any more.")]
Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER...", help="The numbers, in any spelling.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell which numbers would be bought.")]
WithoutHeld = Annotated[
    bool,
    typer.Option("--without-held", help="Buy others for numbers that are held, though those may be paid for."),
]
Count = Annotated[
    int, typer.Option("--count", min=1, max=1000, metavar="N", help="How many: all of them are taken, or none.")
]
Taker = Annotated[str | None, typer.Option("--for", metavar="WHO", help="Who takes them; else your login name.")]
TakenBy = Annotated[str | None, typer.Option("--for", metavar="WHO", help="Only if WHO took them.")]
RequestId = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="The same id with the same request again gets the same answer: those numbers, or none."
    ),
]


def register(app: typer.Typer) -> None:
    """Add `pool` and its commands."""
    group = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        help="Stocks of bought numbers for services to take, that fill up by themselves.",
    )
    group.command("list")(list_pools)
    group.command("show")(show_pool)
    group.command()(run)
    group.command()(take)
    group.command("return")(give_back)
    group.command()(move)
    app.add_typer(group, name="pool")


def list_pools(*, json: Json = False) -> None:
    """List the pools: what each has and expects, how it stands, what it may buy, and when it runs."""
    from workers.cli.pool.view import show_pools
    from workers.cli.terminal.context import beat_hint, open_desk
    from workers.views.pools import pool_rows

    with open_desk() as desk:
        found, now = pool_rows(desk.runtime), desk.runtime.now()
        hint = None if json or not found else beat_hint(desk.settings, desk.runtime.config)
    if json:
        emit_json(found)
    elif found:
        show_pools(found, now)
        if hint:
            say(f"Note: {hint}", "yellow")
    else:
        say("There is no pool: providers.toml has no [pools.NAME].")


def show_pool(name: Name, *, json: Json = False) -> None:
    """Show a pool: its levels and limits, why it stands as it does and the mend, its last runs and their orders."""
    from workers.cli.pool.view import show_document
    from workers.cli.terminal.context import beat_hint, open_desk
    from workers.views.desk import worker_hint
    from workers.views.pools import pool_document

    with open_desk() as desk:
        document = pool_document(desk.runtime, name)
        if json:
            emit_json(document)
            return
        show_document(document, desk.runtime.now())
        if document["pool"]["configured"]:
            hints = worker_hint(desk.settings), beat_hint(desk.settings, desk.runtime.config)
            for hint in filter(None, hints):
                say(f"Note: {hint}", "yellow")


def run(
    name: Name,
    *,
    dry_run: DryRun = False,
    without_held: WithoutHeld = False,
    json: Json = False,
) -> None:
    """Fill a pool up now, instead of when its schedule says.

    Where it is below *low*, or a number that was ordered came to nothing, an order is made; workers buy it. It stays
    within max_per_run and daily_limit. The status is 1 where less could be ordered than is missing.
    """
    from workers.cli.pool.replenish import run_pool

    raise typer.Exit(run_pool(name, dry_run=dry_run, without_held=without_held, json=json))


def take(
    name: Name, *, count: Count = 1, taker: Taker = None, request_id: RequestId = None, json: Json = False
) -> None:
    """Take numbers from a pool, those first that were there longest. They are printed one a line, and nothing else.

    The status is 1 where the pool has not so many, and then none is taken. Until they are returned they are WHO's.
    """
    from workers.cli.pool.take import take_numbers
    from workers.cli.terminal.context import open_desk
    from workers.views.operator import person

    fields = {"pool": name, "count": count, "request_id": request_id, "taker": person(None) if taker is None else taker}
    with open_desk() as desk:
        raise typer.Exit(take_numbers(desk.runtime, fields, json=json))


def give_back(name: Name, numbers: Numbers, *, taker: TakenBy = None, json: Json = False) -> None:
    """Give numbers back to their pool, whose last to be taken they are then.

    The status is 1 where one was not taken, is gone, or is another's; the others are returned.
    """
    from workers.cli.pool.take import return_numbers
    from workers.cli.terminal.context import open_desk

    with open_desk() as desk:
        raise typer.Exit(return_numbers(desk.runtime, name, numbers, taker, json=json))


def move(former: Former, name: Name, *, json: Json = False) -> None:
    """Have a pool go on by another name: all that OLD has is in POOL then, and what it bought counts for its limits.

    A pool that is renamed in providers.toml buys nothing by itself before that.
    """
    from workers.cli.pool.move import move_pool
    from workers.cli.terminal.context import open_desk

    with open_desk() as desk:
        moved = move_pool(desk.runtime, former, name)
    if json:
        emit_json({"former": former, "pool": name, "moved": moved})
    else:
        show(f"{moved:,} numbers of {former} stand in {name} now.")
