"""`dialstock number search`: what a provider has for sale."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workers.cli.terminal.options import country_code
from workers.cli.terminal.output import Json, emit_json, say, show_table, working
from workers.views.errors import SOME_FAILED, Failure
from workers.views.words import count

if TYPE_CHECKING:
    from schemas.outcomes import Candidate
    from tasks.providers.adapter import SearchQuery
    from workers.views.providers.searching import Found

DEFAULT = 10
"""Numbers that are shown where nobody says how many."""

_COLUMNS = ("number", "region", "price", "stock_item_id")

Provider = Annotated[str, typer.Option(metavar="ALIAS", help="The provider that is asked.")]
InCountry = Annotated[str, typer.Option("--country", metavar="CC", help="The numbers' country, like US.")]
Prefix = Annotated[str, typer.Option(metavar="DIGITS", help="How the national number begins: an area code like 415.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, max=10_000, metavar="N", help=f"So many, or the status is 1. Without it, up to {DEFAULT}."),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print number,provider lines: a file for `order submit`.")]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write a file for `order submit`: .csv, .xlsx, .json or .ndjson."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there already.")]


def register(app: typer.Typer) -> None:
    """Add `number` and its command."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Numbers that providers have for sale.")
    group.callback()(_group)
    group.command()(search)
    app.add_typer(group, name="number")


def _group() -> None:
    """Numbers that providers have for sale."""


def search(
    *,
    provider: Provider,
    country: InCountry = "US",
    prefix: Prefix = "",
    limit: Limit = None,
    csv: Csv = False,
    output: Output = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Ask a provider which numbers it has for sale. Costs nothing, and buys nothing.

    It asks page by page, each in its turn, until there are --limit numbers. Where a search has no pages, it asks by
    longer prefixes (4150, 4151, ...) once one is full.
    """
    from tasks.providers.adapter import ProviderError, SearchQuery, Unsupported
    from workers.cli.terminal.output_file import refuse_replacing
    from workers.views.orders.export import format_of
    from workers.views.providers.searching import why_no_more

    _one_way({"--csv": csv, "--json": json, "--output": output is not None})
    refuse_replacing(output, format_of(output, json=False), overwrite=overwrite)
    within = country_code(country) or country
    query = SearchQuery(country=within, prefix=_national(prefix, within), limit=limit or DEFAULT)
    try:
        found = _find(provider, query)
    except Unsupported as exc:
        raise Failure(str(exc)) from exc
    except ProviderError as exc:
        raise Failure(f"{provider}: {exc}", SOME_FAILED) from exc
    if output is not None:
        _write(found, provider, output)
    else:
        _show(found, provider, csv=csv, json=json)
    if len(found.numbers) < query.limit:
        say(why_no_more(found, provider))
        raise typer.Exit(0 if limit is None else SOME_FAILED)


def _national(prefix: str, country: str) -> str:
    from schemas.numbering.national_prefix import check_prefix, unused

    try:
        check_prefix(prefix, country)
    except ValueError as exc:
        raise Failure(f"--prefix: {exc}") from exc
    if problem := unused(country, prefix):
        raise Failure(f"--prefix: {prefix!r} {problem}")
    return prefix


def _one_way(ways: dict[str, bool]) -> None:
    if len(given := [name for name, is_given in ways.items() if is_given]) > 1:
        raise Failure(f"{' and '.join(given[:2])} are both given: keep one")


def _find(provider: str, query: SearchQuery) -> Found:
    """Search until there are enough. Raises Failure, Unsupported and ProviderError."""
    from workers.views.providers.asking import read_providers
    from workers.views.providers.searching import search

    config = read_providers()
    with working(f"asking {provider}"):
        return search(config, provider, query)


def _show(found: Found, provider: str, *, csv: bool, json: bool) -> None:
    if json:
        emit_json([_document(one, provider) for one in found.numbers])
    elif csv:
        sys.stdout.write("number,provider\n" + "".join(f"{one.number},{provider}\n" for one in found.numbers))
    elif found.numbers:
        show_table(_COLUMNS, [[getattr(one, name) for name in _COLUMNS] for one in found.numbers])


def _write(found: Found, provider: str, output: Path) -> None:
    from schemas.money import price_columns
    from workers.views.orders.export import format_of, write_rows

    columns = ["number", "provider", "monthly_price", "setup_price", "currency"]
    if any(one.stock_item_id for one in found.numbers):
        columns.insert(2, "options.stock_item_id")
    rows = [
        {
            "number": one.number,
            "provider": provider,
            "options.stock_item_id": one.stock_item_id,
            **price_columns(one.price),
        }
        for one in found.numbers
    ]
    written = write_rows(rows, columns, output, format_of(output, json=False))
    say(f"{output}: {count(written, 'number')}. Buy them:  dialstock order submit {output}")


def _document(found: Candidate, provider: str) -> dict[str, Any]:
    from schemas.money import price_columns

    fields = {"number": found.number, "region": found.region, "stock_item_id": found.stock_item_id}
    return {**fields, "provider": provider, **price_columns(found.price)}
