"""`dialstock number search`: what a provider has for sale."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.money import price_columns
from workers.cli.terminal.errors import SOME_FAILED, Failure
from workers.cli.terminal.options import country_code
from workers.cli.terminal.output import Json, emit_json, say, show_table, working

if TYPE_CHECKING:
    from schemas.outcomes import Candidate

_COLUMNS = ("number", "region", "price", "stock_item_id")

Provider = Annotated[str, typer.Option(metavar="ALIAS", help="The provider that is asked.")]
InCountry = Annotated[str, typer.Option("--country", metavar="CC", help="The numbers' country, like US.")]
Prefix = Annotated[str, typer.Option(metavar="DIGITS", help="How the national number begins: an area code like 415.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many at the most.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print number,provider lines: a file for `order submit`.")]


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
    limit: Limit = 10,
    csv: Csv = False,
    json: Json = False,
) -> None:
    """Ask a provider which numbers it has for sale. Costs nothing, and buys nothing."""
    from tasks.providers.adapter import ProviderError, SearchQuery, Unsupported
    from workers.cli.provider.ask import asking, read_providers

    if not (prefix.isascii() and prefix.isdigit()) and prefix:
        raise Failure(f"--prefix {prefix!r} is not made of digits: give the beginning of the national number, like 415")
    if csv and json:
        raise Failure("--csv and --json are both given: keep one")
    query = SearchQuery(country=country_code(country) or country, prefix=prefix, limit=limit)
    try:
        with working(f"asking {provider}"), asking(read_providers(), provider) as adapter:
            found = adapter.search(query)
    except Unsupported as exc:
        raise Failure(str(exc)) from exc
    except ProviderError as exc:
        raise Failure(f"{provider}: {exc}", SOME_FAILED) from exc
    if json:
        emit_json([_document(one, provider) for one in found])
    elif csv:
        sys.stdout.write("number,provider\n" + "".join(f"{one.number},{provider}\n" for one in found))
    elif found:
        show_table(_COLUMNS, [[getattr(one, name) for name in _COLUMNS] for one in found])
    if not found:
        say(f"{provider} shows no such number: try another prefix or country")


def _document(found: Candidate, provider: str) -> dict[str, Any]:
    fields = {"number": found.number, "region": found.region, "stock_item_id": found.stock_item_id}
    return {**fields, "provider": provider, **price_columns(found.price)}
