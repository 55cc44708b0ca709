"""`dialstock order find`: numbers by criteria, found and bought by the workers."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from workers.cli.terminal.options import country_code, pairs, takes
from workers.cli.terminal.output import Json, emit_json, say, show
from workers.views.words import count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from schemas.by_criteria.wishes import Wish
    from schemas.money import Money
    from tasks.orderfile import Sheets
    from workers.views.desk import Desk

Count = Annotated[
    int, typer.Option("--count", metavar="N", help="How many, of each prefix without a count of its own.")
]
InCountry = Annotated[str, typer.Option("--country", metavar="CC", help="The numbers' country, like US.")]
Prefix = Annotated[
    list[str] | None,
    typer.Option(metavar="DIGITS[:N]", help="How the national number begins, like 415, or 212:20 for 20 of them."),
]
Type = Annotated[Literal["local", "mobile", "toll-free"] | None, typer.Option("--type", help="What the number is.")]
Feature = Annotated[
    list[str] | None, typer.Option("--feature", metavar="voice|sms|mms", help="What it can do; each that is needed.")
]
Contains = Annotated[str | None, typer.Option(metavar="DIGITS", help="Digits that stand in the national number.")]
Provider = Annotated[
    list[str] | None, typer.Option(metavar="ALIAS", help="Where to look, the preferred one first; else everywhere.")
]
Prefer = Annotated[
    Literal["cheapest"] | None, typer.Option(help="Take the cheapest of what the searches show, from whoever has it.")
]
MaxPrice = Annotated[str | None, typer.Option(metavar="PRICE", help="The most that one costs a month: '1.50 USD'.")]
MaxSpend = Annotated[
    str | None,
    typer.Option(
        metavar="PRICE",
        help="The most that all cost, each its setup and first month: '50 USD'. Without price: not bought.",
    ),
]
AtLeast = Annotated[
    int, typer.Option(metavar="N", help="Where fewer are found, buy none: for each prefix, judged at the first search.")
]
Reserve = Annotated[
    bool, typer.Option("--reserve", help="Reserve what was found before it is bought, where its provider does so.")
]
Exclude = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Numbers that are not wanted: a file with the column number.")
]
Key = Annotated[
    str | None,
    typer.Option("--idempotency-key", metavar="KEY", help="The same key with the same request is the same order."),
]
Name = Annotated[str | None, typer.Option(help="A name for the order.")]
Metadata = Annotated[
    list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="Comes back in the order's events.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only search, and tell what there is and what it costs.")]
Wait = Annotated[bool, typer.Option("--wait", help="Watch the order until it is completed.")]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The options of `order find`."""

    count: Count
    country: InCountry = "US"
    prefix: Prefix = None
    type: Type = None
    feature: Feature = None
    contains: Contains = None
    provider: Provider = None
    prefer: Prefer = None
    max_price: MaxPrice = None
    max_spend: MaxSpend = None
    at_least: AtLeast = 1
    reserve: Reserve = False
    exclude: Exclude = None
    idempotency_key: Key = None
    name: Name = None
    metadata: Metadata = None
    dry_run: DryRun = False
    wait: Wait = False
    json: Json = False

    def fields(self, desk: Desk) -> dict[str, Any]:
        """The request, as a message would have it. Raises Failure."""
        same = ("count", "type", "prefer", "max_price", "max_spend", "at_least", "reserve", "idempotency_key")
        return {
            **{name: getattr(self, name) for name in same},
            **({} if self.contains is None else {"contains": self.contains}),
            "country": country_code(self.country) or self.country,
            "prefix": self.prefix or [],
            "features": self.feature or [],
            "providers": self.provider or [],
            "exclude": _excluded(desk, self.exclude),
            "metadata": pairs(self.metadata, "--metadata", "--metadata team=sales"),
        }


@takes(Wanted)
def find(wanted: Wanted) -> None:
    """Buy numbers that you do not name: so many of a country and prefix, from whoever has them.

    Workers search, write the numbers down as lines of the order, and buy those. What is refused, for somebody else was
    quicker, is replaced, from the next provider where one has no more; never are more than --count bought. A number in
    doubt is not replaced before that is settled. The order is completed when all are bought, or when nobody has more.
    """
    from schemas.by_criteria.wishes import parse_numbers_order
    from workers.cli.terminal.context import open_desk

    with open_desk(buys=True) as desk:
        order, wishes = parse_numbers_order(wanted.fields(desk), desk.runtime.kinds)
        if wanted.dry_run:
            _preview(desk, wishes, order.max_spend, json=wanted.json)
            return
        take(
            desk,
            wishes,
            order.metadata,
            key=order.idempotency_key,
            name=wanted.name,
            max_spend=order.max_spend,
            wait=wanted.wait,
            json=wanted.json,
        )


def take(
    desk: Desk,
    wishes: Sequence[Wish],
    metadata: Mapping[str, Any],
    *,
    key: str | None,
    name: str | None,
    max_spend: Money | None,
    wait: bool,
    json: bool,
) -> None:
    """Accept an order of *wishes*, and watch it if wanted. Ends the command then."""
    from tasks.wishes.accepting import begin, resolved
    from workers.views.desk import worker_hint
    from workers.views.providers.whereabouts import whereabouts

    total = sum(wish.count for wish in wishes)
    where = dict.fromkeys(
        alias for wish in wishes for alias in resolved(desk.runtime, wish, max_spend).criteria.providers
    )
    sellers = "; ".join(f"{alias} ({whereabouts(desk.runtime.config, alias)})" for alias in where)
    most = f", for {max_spend} at the most," if max_spend else ""
    say(f"Buying up to {count(total, 'number')}{most} from {sellers}")
    order = begin(desk.runtime, wishes, key=key, metadata=metadata, name=name, max_spend=max_spend)
    if json:
        document = {"order_id": order["id"], "created": order["created"], "count": total, "wishes": len(wishes)}
        emit_json({**document, **({"type": "accepted"} if wait else {})})
    else:
        _tell_taken(order["id"], total, created=order["created"], wait=wait)
    if wait:
        from workers.cli.order.follow import follow

        raise typer.Exit(follow(desk, order["id"], json=json))
    if hint := worker_hint(desk.settings):
        say(f"Note: {hint}", "yellow")


def submit_wishes(
    desk: Desk,
    wishes: Sequence[Wish],
    metadata: Mapping[str, Any],
    name: str | None,
    *,
    max_spend: str | None,
    dry_run: bool,
    wait: bool,
    json: bool,
) -> None:
    """Take the wishes of a file as one order, or tell what they would come to. Raises RequestError."""
    from schemas.by_criteria.wishes import check_wishes, read_max_spend

    bound = read_max_spend(max_spend)
    check_wishes(wishes, desk.runtime.kinds, bound)
    if dry_run:
        _preview(desk, wishes, bound, json=json)
    else:
        take(desk, wishes, metadata, key=None, name=name, max_spend=bound, wait=wait, json=json)


def _tell_taken(order_id: str, total: int, *, created: bool, wait: bool) -> None:
    known = "is in" if created else "was there before"
    show(f"Order {order_id} {known}: {count(total, 'number')} to find and buy.")
    if not wait:
        show(f"Watch it:    dialstock order watch {order_id}")
        show(f"Its result:  dialstock order export {order_id} -o results.csv")


def _excluded(desk: Desk, path: Path | None) -> list[str]:
    """The numbers of a file. Raises Failure for one that cannot be read whole."""
    from tasks.orderfile import Line, read_order
    from tasks.orderfile.columns import Naming
    from workers.cli.terminal.input_file import opened
    from workers.views.errors import Failure

    if path is None:
        return []
    alias = next(iter(desk.runtime.kinds))
    how: dict[str, Any] = {"default_provider": alias, "country": None, "naming": Naming(others="ignore")}
    how["on_sheet"] = partial(_tell_sheet, path)
    numbers = []
    with opened(str(path)) as source:
        for row in read_order(source, name=str(path), format=None, kinds=desk.runtime.kinds, **how):
            if not isinstance(row, Line):
                raise Failure(f"--exclude {path}, line {row.line}: {row.message}")
            numbers.append(row.request.number)
    return list(dict.fromkeys(numbers))


def _tell_sheet(path: Path, sheets: Sheets) -> None:
    if sheets.others:
        say(f"--exclude {path}: the sheet {sheets.read!r} alone is read: put all numbers there", "yellow")


def _preview(desk: Desk, wishes: Sequence[Wish], max_spend: Money | None, *, json: bool) -> None:
    from tasks.wishes.accepting import resolved
    from workers.cli.order.wishes.preview import preview, show_preview
    from workers.cli.terminal.output import working
    from workers.cli.terminal.searching import searching

    found = [resolved(desk.runtime, wish, max_spend) for wish in wishes]
    aliases = dict.fromkeys(alias for wish in found for alias in wish.criteria.providers)
    with searching(desk, list(aliases)) as runtime, working("searching"):
        parts = preview(runtime, found, max_spend)
    if json:
        emit_json({"dry_run": True, "wishes": [part.document() for part in parts]})
    else:
        show_preview(parts)
