"""`dialstock purchase mark-released`: a person gave numbers back at the provider."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from workers.cli.terminal.options import By
from workers.cli.terminal.output import Json, emit_json, say, show_line
from workers.views.errors import SOME_FAILED
from workers.views.operator import person
from workers.views.words import count

if TYPE_CHECKING:
    from schemas.status import Status
    from tasks.ledger.rows import Row
    from tasks.runtime import Runtime

_WORDS = {"released": "given back", "kept": "kept"}

Ids = Annotated[
    list[str],
    typer.Argument(
        metavar="ID...",
        help="The purchases: their ids, at least the first or last 8 characters of them, or their numbers with the "
        "plus.",
    ),
]
Note = Annotated[str | None, typer.Option(help="Why; it is kept with the decision.")]


def mark_released(ids: Ids, *, note: Note = None, by: By = None, json: Json = False) -> None:
    """Write down that bought numbers were given back at the provider's own portal.

    Nothing is called: it ends as released, leaves its pool, and may be bought again. What is ours still then is found
    by the audit. The status is 1 where one is not bought, or a call of ours to give it back has not ended.
    """
    from schemas.status import Status
    from tasks.releases import giving_back

    say_what_became(ids, (Status.PURCHASED, Status.RELEASING), giving_back.mark_released, note, by, json=json)


def say_what_became(
    ids: Sequence[str],
    wanted: Collection[Status],
    mark: Callable[[Runtime, str, str, str | None], Row | None],
    note: str | None,
    by: str | None,
    *,
    json: bool,
) -> NoReturn:
    """Have *mark* write down what a person says of these purchases; of several with one number, the one in *wanted*."""
    from tasks.ledger.rows import find
    from workers.cli.terminal.context import open_desk
    from workers.views.ids import purchase_id

    who = person(by)
    word = mark.__name__.removeprefix("mark_")
    with open_desk(configured=False) as desk:
        with desk.runtime.database.read() as conn:
            found = list(dict.fromkeys(purchase_id(conn, text, wanted) for text in ids))
        done = {one: mark(desk.runtime, one, who, note) for one in found}
        with desk.runtime.database.read() as conn:
            why = [_standing(find(conn, one), word) for one, row in done.items() if row is None]
    rows = [row for row in done.values() if row is not None]
    left = [one for one, row in done.items() if row is None]
    if json:
        fields = ("id", "number", "provider", "status")
        emit_json({word: [{name: row[name] for name in fields} for row in rows], "left": left})
    else:
        for row in rows:
            show_line(f"{row['number']:<16}  {row['provider']:<12}  {row['status']}  {row['id']}")
        say(f"{count(len(rows), 'number')} written down as {_WORDS[word]}.")
        for told in why:
            say(f"Left: {told}", "yellow")
    raise typer.Exit(SOME_FAILED if left else 0)


def _standing(row: Row | None, word: str) -> str:
    """Why a purchase was not marked with *word*, as far as its row tells."""
    from schemas.status import Status

    if row is None:
        return "a purchase that is there no more"
    called = row["status"] == Status.RELEASING or (word == "released" and row["status"] == Status.PURCHASED)
    then = ", and a call of ours for it has not ended" if called else ""
    return f"{row['number']} of {row['provider']} is {row['status']}{then}: dialstock purchase show {row['id']}"
