"""The wishes of an order at the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.by_criteria.criteria import Criteria
from schemas.tables.wishes import WishState
from tasks.ledger.rows import Row
from workers.cli.terminal.output import show_table

MAX_SHOWN = 50
_COUNTS = ("count", "found", "bought", "replaced", "held", "missing")
_COLUMNS = ("wish", "criteria", *_COUNTS, "state", "why")


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
