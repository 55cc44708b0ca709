"""`dialstock spend`: what was bought costs, by provider, pool or order."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workers.cli.terminal.output import Json, emit_json, say, show_table
from workers.views.errors import Failure
from workers.views.words import count, moment

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.reports.spending import Spent

_NUMBERS = ("bought", "monthly", "setup", "total", "no price", "unsettled")

Since = Annotated[
    str, typer.Option(metavar="TIME", help="From then on: a time like 2026-01-31T12:00Z, or how long ago, like 30d.")
]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Until before then; now, if it is left out.")]
GroupBy = Annotated[Literal["provider", "pool", "order"], typer.Option("--by", help="What a line is of.")]


def register(app: typer.Typer) -> None:
    """Add `spend`."""
    app.command()(spend)


def spend(*, since: Since = "30d", until: Until = None, by: GroupBy = "provider", json: Json = False) -> None:
    """Sum what was bought costs, in each currency: a month, and once for its setup.

    A purchase counts by the deadline of its call, seconds after it began, also where its number was given back since.
    Prices are those that the provider's search told before; what has none is counted beside. Unsettled is what may have
    been charged: its outcome is not known yet. What was ours already is left out.
    """
    from tasks.reports.spending import spent
    from workers.cli.terminal.context import open_desk

    with open_desk(configured=False) as desk:
        begin, end = _span(since, until, desk.runtime.now())
        with desk.runtime.database.read() as conn:
            found = spent(conn, by, begin, None if until is None else end)
    if json:
        emit_json({"since": begin, "until": end, "by": by, "spent": [one.document(by) for one in found]})
    else:
        _tell(found, by, begin, end)


def _span(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """Begin and end. Raises Failure."""
    from workers.cli.terminal.times import point_in_time

    begin = point_in_time(since, "--since", now)
    end = now if until is None else point_in_time(until, "--until", now)
    if until is None and begin >= now:
        raise Failure(f"--since {since!r} is not past yet: write an earlier time")
    if end <= begin:
        raise Failure(f"--until {until!r} is not after --since {since!r}: nothing lies between them")
    return begin, end


def _tell(found: Sequence[Spent], by: Literal["provider", "pool", "order"], begin: datetime, end: datetime) -> None:
    if not found:
        say(f"Nothing was bought from {moment(begin)} to {moment(end)}.")
        return
    rows = []
    for one in found:
        told = one.document(by)
        amounts = [told[name] for name in ("monthly", "setup", "total")]
        rows.append([one.key, one.currency, one.bought, *amounts, one.without_monthly, one.unsettled])
    show_table((by, "currency", *_NUMBERS), rows, numbers=_NUMBERS)
    if setup := sum(one.without_setup for one in found if one.currency):
        say(f"Of {count(setup, 'number')} with a price no setup price is known: it is in no sum.", "yellow")
    if unknown := sum(one.without_monthly for one in found):
        say(f"Of {count(unknown, 'number')} no price a month is known: it is in no sum.", "yellow")
