"""How far the wishes of an order are: found, bought, replaced, missing, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from schemas.tables.wishes import WishState
from tasks.ledger.orders.wishes import tallies, why, wishes_of
from tasks.ledger.rows import Row


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


def _row(wish: Row, tally: Any) -> Row:
    return {
        "wish": wish["position"],
        "criteria": {name: value for name, value in wish["criteria"].items() if name != "exclude"},
        "count": wish["count"],
        "at_least": wish["at_least"],
        "reserve": wish["reserve"],
        "found": tally.found,
        "bought": tally.bought,
        "replaced": tally.refused,
        "held": tally.held,
        "missing": tally.missing(wish["count"]),
        "state": wish["state"],
        "why": why(wish, tally),
        "searches": wish["searches"],
        "metadata": wish["metadata"],
    }
