"""`dialstock purchase resolve`: a person settles what is held."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from schemas.status import Status
from workers.cli.terminal.input_file import STDIN, opened
from workers.cli.terminal.options import By, pairs
from workers.cli.terminal.output import Json, Meter, emit_json, say, show, show_line
from workers.views.errors import SOME_FAILED, WRONG_USE, Failure
from workers.views.operator import MAX_NOTE, person
from workers.views.words import count

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from schemas.settling import Verdict
    from tasks.ledger.resolve import Resolution
    from tasks.operator.resolve import Resolved
    from tasks.runtime import Runtime

Row = dict[str, Any]

MAX_ID = 200
COLUMNS = ("provider", "account", "error_code")
_SHOWN = 20

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        help="Held purchases: their ids, at least the first or last 8 characters of them, or their numbers with the "
        "plus.",
    ),
]
Bought = Annotated[bool, typer.Option("--bought", help="It is ours at the provider: it ends as purchased.")]
Retry = Annotated[bool, typer.Option("--retry", help="It is not ours: buy it again. What was in doubt stays in doubt.")]
Fail = Annotated[bool, typer.Option("--fail", help="It is not ours, and not wanted any more: it ends as failed.")]
NumberId = Annotated[
    str | None, typer.Option(metavar="ID", help="With --bought and one purchase: the provider's id of the number.")
]
Note = Annotated[str | None, typer.Option(help="Why; it is kept with the decision.")]
FromFile = Annotated[
    str | None,
    typer.Option(
        "--file",
        metavar="FILE|-",
        help="CSV, JSON or NDJSON with id (or the number), decision (bought, retry, fail), if wanted "
        "provider_number_id, note, version; or an order's export with a column decision more. - is stdin.",
    ),
]
OfOrder = Annotated[
    str | None, typer.Option("--order", metavar="ID", help="Every held purchase on a line of this order.")
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help=f"Every held purchase that is so: {', '.join(COLUMNS)}; all must fit."),
]


def resolve(
    ids: Ids = None,
    *,
    bought: Bought = False,
    retry: Retry = False,
    fail: Fail = False,
    order: OfOrder = None,
    where: Where = None,
    file: FromFile = None,
    provider_number_id: NumberId = None,
    note: Note = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Settle held purchases, after a look at the provider: bought, buy again, or failed.

    They are named by their ids or numbers, by --order and --where, or in a file. All of them are checked before any is
    settled: where one is not held, or unknown, nothing is changed and the status is 2. So it is where a file is older
    than the purchase's last call, as its column version tells, which `order export` and `purchase list --json` give;
    without it, a purchase that was bought again by --retry before is refused. Who, when and what is kept.
    Orders that were completed are told again, as updated. Before any is bought again, it is said from whom, at which
    host, and how many. `dialstock purchase list --status held` shows what waits.
    """
    from workers.cli.terminal.context import open_desk

    name = person(by)
    _check_one_way(file, ids, bool(order or where), bool(bought or retry or fail or provider_number_id))
    equal = _conditions(where)
    wanted = [] if file is None else _from_file(file, note, json=json)
    # Only what buys again needs to know from whom.
    buys = retry or any(one.verdict == "retry" for one in wanted)
    with open_desk(configured=buys, reads=True, whole=buys) as desk:
        if file is None:
            chosen = _held(desk.runtime, order, equal) if order or equal else _named(desk.runtime, ids or [])
            wanted = _from_ids(chosen, _verdict(bought=bought, retry=retry, fail=fail), provider_number_id, note)
        else:
            wanted = _with_ids(desk.runtime, wanted, json=json)
        done = _settle(desk.runtime, wanted, name, json=json)
    _tell(done, name, json=json)
    raise typer.Exit(SOME_FAILED if done.moved else 0)


def _check_one_way(file: str | None, ids: Sequence[str] | None, chosen: bool, said: bool) -> None:  # noqa: FBT001
    if file is not None and (ids or chosen or said):
        raise Failure("--file names the purchases and what becomes of them: give neither with it")
    if ids and chosen:
        raise Failure("name the purchases by their ids, or by --order and --where: not by both")


def _settle(runtime: Runtime, wanted: Sequence[Resolution], by: str, *, json: bool) -> Resolved:
    from tasks.operator import resolve as resolving
    from workers.cli.terminal.spending import say_spending_again

    spend = partial(say_spending_again, runtime.config)
    with Meter("settling", len(wanted)) as meter:
        try:
            return resolving.resolve(runtime, wanted, by, meter.advance, spend=spend)
        except resolving.ResolveError as exc:
            _refuse([_document(one.resolution.line, "id", one.message) for one in exc.problems], json=json)


def _verdict(*, bought: bool, retry: bool, fail: bool) -> Verdict:
    from schemas.settling import Verdict

    given = [
        verdict
        for verdict, chosen in ((Verdict.BOUGHT, bought), (Verdict.RETRY, retry), (Verdict.FAIL, fail))
        if chosen
    ]
    if len(given) != 1:
        raise Failure("give one of --bought, --retry and --fail, or a --file that says it of each purchase")
    return given[0]


def _conditions(where: Sequence[str] | None) -> dict[str, str]:
    """Raises Failure."""
    from schemas.config.errors import did_you_mean

    equal = pairs(where, "--where", "--where provider=ALIAS")
    for name, value in equal.items():
        if name not in COLUMNS:
            raise Failure(f"--where {name!r} is no column that can be asked for: {did_you_mean(name, COLUMNS)}")
        if not value.strip():
            raise Failure(f"--where {name}= says nothing: write the value that it must have")
    return equal


def _named(runtime: Runtime, ids: Sequence[str]) -> list[str]:
    from workers.views.ids import purchase_id

    if not ids:
        raise Failure("name the purchases to settle: `dialstock purchase list --status held` shows them")
    with runtime.database.read() as conn:
        return [purchase_id(conn, text, (Status.HELD,)) for text in ids]


def _held(runtime: Runtime, order: str | None, equal: Mapping[str, str]) -> list[str]:
    """Raises Failure where none is so."""
    from tasks.reports.queries import held_purchases
    from workers.views.ids import order_id

    with runtime.database.read() as conn:
        found = held_purchases(conn, None if order is None else order_id(conn, order), **equal)
    if not found:
        raise Failure("no held purchase is so: `dialstock purchase list --status held` shows them")
    return found


def _from_ids(found: Sequence[str], verdict: Verdict, known: str | None, note: str | None) -> list[Resolution]:
    from schemas.settling import Verdict
    from tasks.ledger.resolve import Resolution

    if known is not None and (verdict is not Verdict.BOUGHT or len(found) > 1):
        raise Failure("--provider-number-id goes with --bought and a single purchase: use --file for several")
    bound(known, "--provider-number-id", MAX_ID)
    bound(note, "--note", MAX_NOTE)
    return [Resolution(purchase_id=one, verdict=verdict, provider_number_id=known, note=note) for one in found]


def _with_ids(runtime: Runtime, wanted: Sequence[Resolution], *, json: bool) -> list[Resolution]:
    """The decisions of a file, each with the id of the purchase that it gives the number of."""
    from tasks.chunks import chunks
    from workers.views.ids import STEP

    done: list[Resolution] = []
    problems: list[Row] = []
    for some in chunks(wanted, STEP):
        with runtime.database.read() as conn:
            for one in some:
                try:
                    done.append(_with_id(conn, one))
                except Failure as exc:
                    problems.append(_document(one.line, "id", str(exc)))
    if problems:
        _refuse(problems, json=json)
    return done


def _with_id(conn: Connection, one: Resolution) -> Resolution:
    from workers.views.ids import purchase_id

    if not one.purchase_id.startswith("+"):
        return one
    return replace(one, purchase_id=purchase_id(conn, one.purchase_id, (Status.HELD,)))


def _from_file(file: str, note: str | None, *, json: bool) -> list[Resolution]:
    from tasks.ledger.resolve import Resolution
    from tasks.operator.resolve_file import read_decisions

    bound(note, "--note", MAX_NOTE)
    wanted: list[Resolution] = []
    problems: list[Row] = []
    with opened(file) as source:
        for item in read_decisions(source, "standard input" if file == STDIN else file):
            if isinstance(item, Resolution):
                wanted.append(replace(item, note=item.note or note))
            else:
                problems.append(_document(item.line, item.column, item.message))
    if problems:
        _refuse(problems, json=json)
    return wanted


def _refuse(problems: Sequence[Row], *, json: bool) -> NoReturn:
    """Tell what is wrong, and end with nothing changed."""
    if json:
        emit_json({"resolved": 0, "problems": list(problems)})
    say(f"dialstock: nothing was settled: {count(len(problems), 'problem')}", "red")
    for problem in problems[:_SHOWN]:
        place = [f"line {problem['line']}"] if problem["line"] else []
        column = [problem["column"]] if problem["line"] and problem["column"] else []
        say(f"  {', '.join([*place, *column])}{': ' if place else ''}{problem['message']}")
    if len(problems) > _SHOWN:
        say(f"  and {len(problems) - _SHOWN:,} more (--json gives all)")
    raise typer.Exit(WRONG_USE)


def _tell(done: Resolved, by: str, *, json: bool) -> None:
    if json:
        settled = [asdict(one) for one in done.settled]
        emit_json(
            {"resolved": len(settled), "by": by, "purchases": settled, "moved": [one.purchase_id for one in done.moved]}
        )
        return
    for one in done.settled:
        show_line(f"{one.number:<16}  {one.provider:<12}  {one.status:<10}  {one.purchase_id}")
    show(f"{count(len(done.settled), 'purchase')} settled by {by}.")
    for moved in done.moved:
        say(f"purchase {moved.purchase_id} moved on meanwhile, and was left as it is: look at it again", "yellow")


def bound(text: str | None, option: str, most: int) -> None:
    """Raises Failure for a text that cannot be written down."""
    if text is not None and not (0 < len(text) <= most and text.isprintable()):
        raise Failure(f"{option} must be 1 to {most} printable characters")


def _document(line: int | None, column: str | None, message: str) -> Row:
    return {"line": line, "column": column, "message": message}
