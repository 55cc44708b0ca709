"""What `dialstock release` is for, what it says before it is done, and what it says after."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import typer
from sqlalchemy import Connection

from schemas.config.file import Config
from schemas.money import MonthlyTotal, price_of
from schemas.requests import RequestError
from schemas.status import Status
from tasks.chunks import chunks
from tasks.ledger.releases.asking import Asking, open_release
from tasks.ledger.rows import Row, find
from tasks.pools import leaving
from tasks.releases import giving_back
from tasks.releases.giving_back import Refused
from tasks.runtime import Runtime
from workers.cli.terminal.input_file import STDIN, opened
from workers.cli.terminal.output import emit_json, say, show_line
from workers.views import ids
from workers.views.errors import Failure
from workers.views.explain import when
from workers.views.pools import check_name
from workers.views.providers.whereabouts import whereabouts
from workers.views.words import count

_OURS = frozenset({Status.PURCHASED, Status.RELEASING})
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the command line names: exactly one way of it."""

    numbers: Sequence[str]
    file: str | None
    order: str | None
    pool: str | None
    count: int | None
    force: bool

    def check(self) -> None:
        """Raises Failure where it is not one way, or half of one."""
        ways = [bool(self.numbers), self.file is not None, self.order is not None, self.pool is not None]
        if sum(ways) != 1:
            raise Failure("name numbers, or one of --file, --order and --pool")
        if (self.pool is None) != (self.count is None):
            raise Failure("--pool and --count go together: say how many of the pool's numbers go")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Purchases whose numbers go, and those that are left."""

    rows: Sequence[Row]
    asking: Asking
    refused: Sequence[Refused]
    short: str | None
    """What is said where the pool has fewer numbers than are asked for."""


@dataclass(kw_only=True)
class Done:
    """What came of it."""

    rows: list[Row] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def chosen(runtime: Runtime, wanted: Chosen, by: str) -> Plan:
    """What is to be given back, as it stands now. Raises Failure."""
    wanted.check()
    order, found = named(runtime, wanted)
    asking = Asking(by=by, order_id=order, force=wanted.force)
    rows = [row for row in each_row(runtime, found) if order is None or row["status"] in _OURS]
    if not rows:
        raise Failure("there is nothing to give back there")
    problems: dict[str, Refused | None] = {}
    for some in chunks(filter(_is_new, rows), ids.STEP):
        with runtime.database.read() as conn:
            problems |= {row["id"]: giving_back.refused(runtime, conn, row, asking) for row in some}
    refused = [one for one in problems.values() if one is not None]
    kept = [row for row in rows if problems.get(row["id"]) is None]
    few = wanted.pool is not None and len(found) < (wanted.count or 0)
    short = f"{wanted.pool} has {len(found):,} of the {wanted.count:,} numbers asked for" if few else None
    return Plan(rows=kept, asking=asking, refused=refused, short=short)


def confirm(runtime: Runtime, plan: Plan, *, yes: bool) -> None:
    """Say what goes, and ask. Raises Failure where nobody can be asked, and typer.Abort."""
    for one in plan.refused:
        say(f"Left: {one.error}", "yellow")
    if plan.short:
        say(plan.short, "yellow")
    fresh = [row for row in plan.rows if _is_new(row)]
    for alias in sorted({row["provider"] for row in fresh}):
        show_going(runtime.config, alias, [row["number"] for row in fresh if row["provider"] == alias])
    if fresh:
        saved = _saved(fresh)
        say(f"That saves: {saved}." if saved.by_currency else "What that saves is not known: no price of these is.")
        ask(yes=yes)


def _saved(rows: Sequence[Row]) -> MonthlyTotal:
    total = MonthlyTotal()
    for row in rows:
        total.add(price_of(row))
    return total


def show_going(config: Config, alias: str, numbers: Sequence[str], *, most: int = _SHOWN) -> None:
    """Say what goes to which provider; of the numbers, *most* by name."""
    more = f" and {len(numbers) - most:,} more" if len(numbers) > most else ""
    say(f"Giving {count(len(numbers), 'number')} back to {alias} ({whereabouts(config, alias)}): ")
    say(f"  {', '.join(numbers[:most])}{more}")


def ask(*, yes: bool) -> None:
    """Go on only if somebody says so, now or by --yes. Raises Failure where nobody can be asked, and typer.Abort."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure("nobody can be asked here: say --yes if they are to be given back")
    typer.confirm("A number that is given back may be gone for good. Go on?", abort=True, err=True)


def give_back(runtime: Runtime, plan: Plan) -> Done:
    """Have them given back, each by itself: what has changed since is left."""
    done = Done(refused=[*plan.refused])
    for row in plan.rows:
        try:
            done.rows.append(giving_back.ask(runtime, row["id"], plan.asking).purchase)
        except RequestError as exc:
            refused = Refused(purchase_id=row["id"], number=row["number"], error=str(exc), error_code=exc.code)
            done.refused.append(refused)
            say(f"Left: {refused.error}", "yellow")
    return done


def tell(runtime: Runtime, done: Done, *, json: bool) -> None:
    """What is on its way back, and what is left."""
    if json:
        fields = ("id", "number", "provider", "status")
        rows = [{name: row[name] for name in fields} for row in done.rows]
        saved = _saved(done.rows)
        told = {"saves_a_month": saved.texts(), "without_price": saved.without_price}
        emit_json({"releasing": rows, "refused": [vars(one) for one in done.refused], **told})
        return
    for some in chunks(done.rows, ids.STEP):
        # Who reads what is shown may take his time: no transaction waits for him.
        with runtime.database.read() as conn:
            due = [_when(conn, row, runtime) for row in some]
        for row, at in zip(some, due, strict=True):
            show_line(f"{row['number']:<16}  {row['provider']:<12}  {at}  {row['id']}")
    say(f"{count(len(done.rows), 'number')} on the way back, {len(done.refused):,} left.")


def _when(conn: Connection, row: Row, runtime: Runtime) -> str:
    standing = open_release(conn, row["id"])
    due = None if standing is None else standing["due_at"]
    return "over" if due is None else f"due {when(due, runtime.now())}"


def _is_new(row: Row) -> bool:
    return bool(row["status"] != Status.RELEASING)


def named(runtime: Runtime, wanted: Chosen, statuses: Collection[Status] = _OURS) -> tuple[str | None, Sequence[str]]:
    """The order that is named, if one is, and the purchases; of several with one number, the one in such a status.

    Raises Failure.
    """
    read = runtime.database.read
    if wanted.order is not None:
        with read() as conn:
            order = ids.order_id(conn, wanted.order)
            return order, giving_back.purchases_of(conn, order)
    if wanted.pool is not None:
        with read() as conn:
            check_name(conn, runtime, wanted.pool)
            return None, leaving.longest_available(conn, wanted.pool, wanted.count or 0)
    given = [("", text) for text in wanted.numbers] or _lines(wanted.file or STDIN)
    return None, _purchase_ids(runtime, given, statuses)


def _purchase_ids(runtime: Runtime, given: Iterable[tuple[str, str]], statuses: Collection[Status]) -> list[str]:
    """By place and text; each once."""
    found: dict[str, None] = {}
    for some in chunks(given, ids.STEP):
        with runtime.database.read() as conn:
            found |= dict.fromkeys(_purchase_id(conn, place, text, statuses) for place, text in some)
    return list(found)


def _purchase_id(conn: Connection, place: str, text: str, statuses: Collection[Status]) -> str:
    try:
        return ids.purchase_id(conn, text, statuses)
    except Failure as exc:
        raise Failure(f"{place}{exc}", exc.status) from exc


def each_row(runtime: Runtime, found: Iterable[str]) -> Iterator[Row]:
    """The purchases with these ids."""
    for some in chunks(found, ids.STEP):
        with runtime.database.read() as conn:
            rows = [row for one in some if (row := find(conn, one))]
        yield from rows


def _lines(file: str) -> list[tuple[str, str]]:
    """What stands in its lines, each after its place in words."""
    name = "standard input" if file == STDIN else file
    with opened(file) as stream:
        lines = enumerate(stream.read().decode("utf-8-sig").splitlines(), 1)
        return [(f"{name}, line {line}: ", text) for line, told in lines if (text := told.strip())]
