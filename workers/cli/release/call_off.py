"""`dialstock release --cancel`: numbers that wait to be given back are kept."""

from __future__ import annotations

from schemas.requests import RequestError
from schemas.status import Status
from tasks.ledger.rows import Row
from tasks.releases import giving_back
from tasks.releases.giving_back import Refused
from tasks.runtime import Runtime
from workers.cli.release.give_back import Chosen, Done, each_row, named
from workers.cli.terminal.output import emit_json, say, show_line
from workers.views.errors import Failure
from workers.views.words import count

_WAITING = frozenset({Status.RELEASING})


def call_off(runtime: Runtime, wanted: Chosen, by: str) -> Done:
    """Keep what is named, each by itself. Raises Failure where nothing is, or not in one way."""
    wanted.check()
    if wanted.pool is not None or wanted.force:
        raise Failure("--cancel goes with numbers, --file or --order: a number on its way back is in no pool")
    order, found = named(runtime, wanted, _WAITING)
    rows = [row for row in each_row(runtime, found) if order is None or row["status"] in _WAITING]
    if not rows:
        raise Failure("nothing is on its way back there")
    done = Done()
    for row in rows:
        _keep(runtime, row, by, done)
    return done


def _keep(runtime: Runtime, row: Row, by: str, done: Done) -> None:
    try:
        giving_back.call_off(runtime, row["id"], by)
    except RequestError as exc:
        refused = Refused(purchase_id=row["id"], number=row["number"], error=str(exc), error_code=exc.code)
        done.refused.append(refused)
    else:
        done.rows.append({**row, "status": str(Status.PURCHASED)})


def tell_called_off(done: Done, *, json: bool) -> None:
    """What is kept, and what is not."""
    if json:
        fields = ("id", "number", "provider", "status")
        rows = [{name: row[name] for name in fields} for row in done.rows]
        emit_json({"kept": rows, "refused": [vars(one) for one in done.refused]})
        return
    for one in done.refused:
        say(f"Left: {one.error}", "yellow")
    for row in done.rows:
        show_line(f"{row['number']:<16}  {row['provider']:<12}  kept  {row['id']}")
    say(f"{count(len(done.rows), 'number')} kept, {len(done.refused):,} left.")
