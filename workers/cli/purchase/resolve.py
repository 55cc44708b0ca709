"""`dialstock purchase resolve`: a person settles what is held."""

# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is quick
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from workers.cli.terminal.errors import SOME_FAILED, WRONG_USE, Failure
from workers.cli.terminal.input_file import STDIN, opened
from workers.cli.terminal.operator import MAX_NOTE, By, person
from workers.cli.terminal.output import Json, Meter, count, emit_json, say, show, show_line

if TYPE_CHECKING:
    from schemas.settling import Verdict
    from tasks.ledger.resolve import Resolution
    from tasks.operator.resolve import Resolved
    from tasks.runtime import Runtime

Row = dict[str, Any]

MAX_ID = 200
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
        help="CSV or NDJSON with id, decision (bought, retry, fail), if wanted provider_number_id, note; - is stdin.",
    ),
]


def resolve(
    ids: Ids = None,
    *,
    bought: Bought = False,
    retry: Retry = False,
    fail: Fail = False,
    file: FromFile = None,
    provider_number_id: NumberId = None,
    note: Note = None,
    by: By = None,
    json: Json = False,
) -> None:
    """Settle held purchases, after a look at the provider: bought, buy again, or failed.

    All of them are checked before any is settled: where one is not held, or unknown, nothing is changed and the status
    is 2. Who, when and what is kept. Orders that were completed are told again, as updated. Before any is bought again,
    it is said from whom, at which host, and how many.
    """
    from tasks.operator import resolve as resolving
    from workers.cli.terminal.context import open_desk
    from workers.cli.terminal.spending import say_spending_again

    name = person(by)
    if file is not None and (ids or bought or retry or fail or provider_number_id):
        raise Failure("--file names the purchases and what becomes of them: give neither with it")
    wanted = [] if file is None else _from_file(file, note, json=json)
    # Only what buys again needs to know from whom.
    buys = retry or any(one.verdict == "retry" for one in wanted)
    with open_desk(configured=buys, reads=True) as desk:
        if file is None:
            verdict = _verdict(bought=bought, retry=retry, fail=fail)
            wanted = _from_ids(desk.runtime, ids or [], verdict, provider_number_id, note)
        spend = partial(say_spending_again, desk.runtime.config)
        with Meter("settling", len(wanted)) as meter:
            try:
                done = resolving.resolve(desk.runtime, wanted, name, meter.advance, spend=spend)
            except resolving.ResolveError as exc:
                _refuse([_document(one.resolution.line, "id", one.message) for one in exc.problems], json=json)
    _tell(done, name, json=json)
    raise typer.Exit(SOME_FAILED if done.moved else 0)


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


def _from_ids(
    runtime: Runtime, ids: Sequence[str], verdict: Verdict, known: str | None, note: str | None
) -> list[Resolution]:
    from schemas.settling import Verdict
    from tasks.ledger.resolve import Resolution
    from workers.cli.terminal.ids import purchase_id

    if not ids:
        raise Failure("name the purchases to settle: `dialstock purchase list --status held` shows them")
    if known is not None and (verdict is not Verdict.BOUGHT or len(ids) > 1):
        raise Failure("--provider-number-id goes with --bought and a single purchase: use --file for several")
    bound(known, "--provider-number-id", MAX_ID)
    bound(note, "--note", MAX_NOTE)
    with runtime.database.read() as conn:
        found = [purchase_id(conn, text) for text in ids]
    return [Resolution(purchase_id=one, verdict=verdict, provider_number_id=known, note=note) for one in found]


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
