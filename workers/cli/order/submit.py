"""`dialstock order submit`: check a whole file, then bring it in as one order."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workers.cli.order.naming import Column, IgnoreOthers, OtherColumns, naming
from workers.cli.terminal.input_file import STDIN, opened
from workers.cli.terminal.options import Country, country_code, pairs, takes
from workers.cli.terminal.output import Json, Meter, emit_json, say, show, show_table
from workers.views.errors import WRONG_USE, Failure
from workers.views.words import count, duration

if TYPE_CHECKING:
    from workers.views.desk import Desk
    from workers.views.orders.check_file import Checked
    from workers.views.orders.load import Loaded

_COUNTS = ("to buy", "bought already", "held", "in work")
_COLUMNS = ("provider", *_COUNTS, "at its limits")

File = Annotated[
    str, typer.Argument(metavar="FILE|-", help="CSV, JSON, NDJSON, .xlsx or .ods; - reads standard input.")
]
Provider = Annotated[str | None, typer.Option(metavar="ALIAS", help="The provider of rows that name none.")]
Format = Annotated[
    Literal["csv", "json", "ndjson"] | None, typer.Option(help="The file's format; else by its name or beginning.")
]
Sheet = Annotated[str | None, typer.Option(metavar="NAME", help="The sheet of a spreadsheet; else its first.")]
Name = Annotated[str | None, typer.Option(help="A name for the order; else the file's.")]
OrderMetadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="Comes back in the order's events.")
]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Leave bad rows out and go on with the others.")]
Rejects = Annotated[
    Path | None,
    typer.Option(
        metavar="BAD.csv",
        help="Write the bad rows there, to be mended and submitted; BAD.xlsx: those of a spreadsheet.",
    ),
]
AllowDuplicates = Annotated[
    bool, typer.Option("--allow-duplicates", help="Buy a number that stands under two providers from both; do not ask.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be bought, and how long it takes.")]
Wait = Annotated[bool, typer.Option("--wait", help="Watch the order until it is completed.")]
Max = Annotated[
    int | None, typer.Option("--max", min=1, metavar="N", help="Buy at most N of the numbers; the rest is cancelled.")
]
MaxSpend = Annotated[
    str | None,
    typer.Option(metavar="PRICE", help="Of rows with a count: the most that all cost, each its setup and first month."),
]
MaxShown = Annotated[
    int, typer.Option(min=0, metavar="N", help="How many kinds of problems are shown; --json gives all.")
]


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """The file and the options of `order submit`."""

    file: File
    provider: Provider = None
    country: Country = None
    format: Format = None
    sheet: Sheet = None
    column: Column = None
    other_columns: OtherColumns = None
    ignore_other_columns: IgnoreOthers = False
    name: Name = None
    metadata: OrderMetadata = None
    max: Max = None
    max_spend: MaxSpend = None
    skip_invalid: SkipInvalid = False
    rejects: Rejects = None
    allow_duplicates: AllowDuplicates = False
    dry_run: DryRun = False
    wait: Wait = False
    max_problems_shown: MaxShown = 20
    json: Json = False

    @property
    def label(self) -> str:
        """What messages call the file."""
        return "standard input" if self.file == STDIN else self.file

    @property
    def title(self) -> str | None:
        """The order's name."""
        from schemas.outcomes import clip
        from schemas.requests import MAX_NAME

        return clip(self.name or (None if self.file == STDIN else Path(self.file).name), MAX_NAME)

    def how(self) -> dict[str, Any]:
        """How the file is to be read. Raises Failure."""
        named = naming(self.column, self.other_columns, ignore=self.ignore_other_columns)
        where = {"provider": self.provider, "country": country_code(self.country)}
        return {"format": self.format, **where, "naming": named, "sheet": self.sheet}


@takes(Submitted)
def submit(given: Submitted) -> None:
    """Buy the numbers of a file, or as many as its rows count.

    Columns: number (or phone, tel, e164, msisdn and the like), provider (or carrier); if wanted country,
    idempotency_key, options.NAME, metadata.NAME; --column says which is which where they have names of their own. Every
    row is checked before any is accepted. A number without a plus is of its row's country, else of --country, and
    refused where it can be read in two ways. A number that is bought or in work already is not bought again: the order
    points to that purchase, so that the same file may be submitted again. Rows with a count in place of a number
    (columns: count, country, prefix, provider, max_price, type, features, contains, at_least) are bought as by `order
    find`. Workers do the buying: Ctrl-C after the order is in stops nothing.
    """
    from workers.cli.terminal.context import open_desk
    from workers.views.orders.check_file import bounded

    metadata, how = bounded(pairs(given.metadata, "--metadata", "--metadata team=sales")), given.how()
    with open_desk(buys=True) as desk, _checked(desk, given, how) as checked:
        if given.rejects is not None and checked.problems:
            from workers.cli.order.rejects import write_rejects

            write_rejects(given.file, given.rejects, checked, how=how)
        _refuse_bad(checked, given)
        if checked.wishes:
            _submit_wishes(desk, checked, given, metadata)
        else:
            _submit_numbers(desk, checked, given, metadata)


@contextmanager
def _checked(desk: Desk, given: Submitted, how: dict[str, Any]) -> Iterator[Checked]:
    """Every row of the file, checked; *how* tells how to read it."""
    from workers.views.desk import known_provider
    from workers.views.orders.check_file import check_file

    if given.provider is not None:
        known_provider(desk.runtime.config, given.provider)
    with opened(given.file) as source, Meter("checking rows") as meter:
        checked = check_file(desk.runtime, source, name=given.label, advance=meter.advance, **how)
    if given.sheet is None and checked.sheets is not None and checked.sheets.others:
        say(f"{given.label}: {checked.sheets}", "yellow")
    try:
        yield checked
    finally:
        checked.close()


def _submit_wishes(desk: Desk, checked: Checked, given: Submitted, metadata: dict[str, Any]) -> None:
    from workers.cli.order.wishes.find import submit_wishes

    if given.max is not None:
        raise Failure("--max bounds orders of numbers: the rows of this file have a count each")
    ways = {"dry_run": given.dry_run, "wait": given.wait, "json": given.json}
    submit_wishes(desk, checked.wishes, metadata, given.title, max_spend=given.max_spend, **ways)


def _submit_numbers(desk: Desk, checked: Checked, given: Submitted, metadata: dict[str, Any]) -> None:
    if given.max_spend is not None:
        raise Failure("--max-spend bounds rows with a count: what the numbers of this file cost is not known")
    if given.dry_run:
        _tell_twice(checked, given.label)
        _tell_plan(desk, checked, json=given.json)
        return
    _ask_twice(checked, given.label, allowed=given.allow_duplicates, asks=given.file != STDIN)
    loaded = _load(desk, checked, given, metadata)
    if given.json:
        emit_json({**_document(loaded, checked, given.title), **({"type": "accepted"} if given.wait else {})})
    else:
        _tell_loaded(loaded, wait=given.wait)
    if given.wait:
        from workers.cli.order.follow import follow

        raise typer.Exit(follow(desk, loaded.order_id, json=given.json))
    _hint(desk)


def _load(desk: Desk, checked: Checked, given: Submitted, metadata: dict[str, Any]) -> Loaded:
    from workers.cli.terminal.spending import say_spending
    from workers.views.orders.load import load_order

    say_spending(desk.runtime.config, checked.providers, given.max)
    with Meter("loading the order", len(checked.lines)) as meter:
        return load_order(
            desk.runtime,
            checked,
            name=given.title,
            metadata=metadata,
            max_purchases=given.max,
            advance=meter.advance,
        )


def _refuse_bad(checked: Checked, given: Submitted) -> None:
    """Tell the bad rows. Ends the command, with nothing accepted, unless they may be left out and others are there."""
    from workers.cli.order.problems import list_problems

    if not checked.problems:
        return
    right = len(checked.lines) + len(checked.wishes)
    goes_on = given.skip_invalid and right > 0
    bad, good = count(checked.bad_rows, "bad row"), count(right, "good one")
    end = "they are left out" if goes_on else "nothing was accepted"
    say(f"{given.label}: {bad}, {good}; {end}", "yellow" if goes_on else "red")
    list_problems(checked.problems, given.max_problems_shown)
    if not goes_on:
        _tell_refused(checked, right, json=given.json)
        raise typer.Exit(WRONG_USE)


def _tell_refused(checked: Checked, right: int, *, json: bool) -> None:
    """What can be done about bad rows, beside *right* good ones; the answer of a command that accepted nothing."""
    if any(one["message"].startswith("unknown column") for one in checked.problems):
        say(
            "Say what such a column is (--column number=NAME), keep it (--other-columns metadata) or pass it over "
            "(--ignore-other-columns)"
        )
    if json:
        emit_json({"accepted": False, "good_rows": right, **checked.document()})
    elif right:
        say("Mend them, or go on without them: --skip-invalid")


def _tell_twice(checked: Checked, label: str) -> None:
    if checked.twice:
        more = ", ..." if checked.twice > len(checked.twice_shown) else ""
        many = "1 number is" if checked.twice == 1 else f"{checked.twice:,} numbers are"
        say(
            f"{label}: {many} to be bought from a second provider too: {', '.join(checked.twice_shown)}{more}", "yellow"
        )


def _ask_twice(checked: Checked, label: str, *, allowed: bool, asks: bool) -> None:
    """Have a person say that one number is to be bought from two providers. Ends the command where nobody does."""
    if not checked.twice or allowed:
        return
    _tell_twice(checked, label)
    if not (asks and sys.stdin.isatty()):
        raise Failure(
            "nothing was accepted, and nobody can be asked here: --allow-duplicates, if both are to be bought"
        )
    typer.confirm("Buy them from both?", abort=True, err=True)


def _tell_plan(desk: Desk, checked: Checked, *, json: bool) -> None:
    from workers.views.orders.dry_run import plan

    plans, countries = plan(desk.runtime, (request for _, request in checked.requests()))
    if json:
        counts = {"providers": [vars(p) for p in plans], "countries": [vars(one) for one in countries]}
        emit_json({"dry_run": True, "lines": len(checked.lines), **counts, **checked.document()})
        return
    rows = [(p.provider, p.to_buy, p.bought, p.held, p.in_work, duration(p.seconds)) for p in plans]
    show_table(_COLUMNS, rows, numbers=_COLUMNS[1:])
    show()
    each = [(one.country or "no country", one.to_buy, one.bought, one.held, one.in_work) for one in countries]
    show_table(("country", *_COUNTS), each, numbers=_COUNTS)
    longest = max((p.seconds for p in plans), default=0.0)
    buy = count(sum(p.to_buy for p in plans), "number")
    if again := sum(p.given_back for p in plans):
        show(f"{count(again, 'number')} among them would be bought again: given back before.")
    show(f"{buy} to buy, in {duration(longest)} at the least. Nothing was accepted: this was a dry run.")


def _document(loaded: Loaded, checked: Checked, title: str | None) -> dict[str, Any]:
    return {
        "order_id": loaded.order_id,
        "name": title,
        "lines": loaded.lines,
        "new": loaded.new,
        "found": loaded.lines - loaded.new,
        **checked.document(),
    }


def _tell_loaded(loaded: Loaded, *, wait: bool) -> None:
    found = loaded.lines - loaded.new
    known = f", {found:,} of them bought or in work before" if found else ""
    show(f"Order {loaded.order_id} is in: {count(loaded.lines, 'line')}{known}.")
    if not wait:
        show(f"Watch it:    dialstock order watch {loaded.order_id}")
        show(f"Its result:  dialstock order export {loaded.order_id} -o results.csv")


def _hint(desk: Desk) -> None:
    from workers.views.desk import worker_hint

    if hint := worker_hint(desk.settings):
        say(f"Note: {hint}", "yellow")
