"""How far the wishes of an order are: found, bought, replaced, missing, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from schemas.criteria import Criteria
from schemas.tables.wishes import WishState
from tasks.ledger.orders.wishes import tallies, wishes_of
from tasks.ledger.rows import Row
from workers.cli.terminal.output import show_table

MAX_SHOWN = 50
_COUNTS = ("count", "found", "bought", "replaced", "held", "missing")
_COLUMNS = ("wish", "criteria", *_COUNTS, "state", "why")


def wish_rows(conn: Connection, order_id: str) -> list[Row]:
    """The wishes of an order with their counts; none where it names its numbers itself.

    `found` are its lines, `replaced` those of them that were refused, `missing` the numbers still to be found.
    """
    wishes = wishes_of(conn, order_id)
    found = tallies(conn, wishes)
    return [_row(wish, found[wish["position"]]) for wish in wishes]


def all_reached(rows: Sequence[Row]) -> bool:
    """Whether each wish has all that it counts, bought."""
    return all(row["state"] == WishState.REACHED and row["bought"] >= row["count"] for row in rows)


def show_wishes(rows: Sequence[Row]) -> None:
    """A table of them; of very many those that are not reached."""
    shown = rows if len(rows) <= MAX_SHOWN else [row for row in rows if row["state"] != WishState.REACHED][:MAX_SHOWN]
    rest = (*_COUNTS, "state", "why")
    table = [
        (row["wish"], str(Criteria.model_validate(row["criteria"])), *(row[name] for name in rest)) for row in shown
    ]
    show_table(_COLUMNS, table, numbers=_COUNTS)


def in_short(rows: Sequence[Row]) -> str:
    """One line: how many numbers are found, bought, replaced and missing, and the first reason."""
    counts = [f"{sum(row[name] for row in rows):,} {name}" for name in ("found", "bought", "replaced", "missing")]
    why = next((f": {row['why']}" for row in rows if row["why"]), "")
    return f"{', '.join(counts)} of {sum(row['count'] for row in rows):,} wanted{why}"


def _row(wish: Row, tally: Any) -> Row:
    return {
        "wish": wish["position"],
        "criteria": {name: value for name, value in wish["criteria"].items() if name != "exclude"},
        "count": wish["count"],
        "at_least": wish["at_least"],
        "found": tally.found,
        "bought": tally.bought,
        "replaced": tally.refused,
        "held": tally.held,
        "missing": tally.missing(wish["count"]),
        "state": wish["state"],
        "why": wish["reason"],
        "searches": wish["searches"],
        "metadata": wish["metadata"],
    }
