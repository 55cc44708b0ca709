"""Pools at the terminal: how they stand, and what a person can do where one stands badly."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tasks.ledger.rows import Row
from workers.cli.doctor.tables.pools import LATE
from workers.cli.terminal.output import show, show_fields, show_table
from workers.views.explain import when
from workers.views.words import count, moment

_COUNTS = ("available", "on the way", "held", "taken", "low", "target")
_COLUMNS = ("pool", "providers", *_COUNTS, "state", "bought in 24 h", "last run", "next run")
_RUNS = ("at", "level", "wanted", "ordered", "order_id", "reason")


def show_pools(rows: Sequence[Row], now: datetime) -> None:
    """The rows for people, and why those stand badly that do."""
    show_table(_COLUMNS, [_cells(row, now) for row in rows], numbers=_COUNTS)
    for row in rows:
        if row["reason"]:
            show(f"\n{row['pool']} is {row['state']} since {moment(row['since'])}: {row['reason']}")
            show(f"What to do: `dialstock pool show {row['pool']}`")


def show_document(document: Row, now: datetime) -> None:
    """The document for people."""
    row = document["pool"]
    show_fields({name: row[name] for name in ("pool", "state", "since", "reason")})
    if document["mend"]:
        show(document["mend"])
    show()
    show_fields({**_counted(row), "next run": _next_run(row, now), "last run": row["last_run_at"]})
    if document["configuration"]:
        show("\nConfiguration")
        show_fields(document["configuration"])
    if document["last_runs"]:
        show("\nLast runs that lacked numbers (`dialstock order watch ID`)")
        show_table(_RUNS, [[run[name] for name in _RUNS] for run in document["last_runs"]], numbers=_RUNS[1:4])


def _cells(row: Row, now: datetime) -> list[Any]:
    counts = [row[name.replace(" ", "_")] for name in _COUNTS]
    last = row["last_run_at"]
    return [row["pool"], ", ".join(row["providers"]), *counts, row["state"], _bought(row), last, _next_run(row, now)]


def _counted(row: Row) -> Row:
    ways = ", ".join(f"{number:,} {status}" for status, number in sorted(row["on_the_way_by_status"].items()))
    return {
        "available": row["available"],
        "on the way": f"{row['on_the_way']:,}{f': {ways}' if ways else ''}",
        "held": row["held"],
        "wanted": f"{count(row['wanted'], 'place')} without a number" if row["wanted"] else None,
        "taken": row["taken"],
        "bought in 24 h": _bought(row),
        "max_spend": row["max_spend"],
    }


def _bought(row: Row) -> str:
    limit = row["daily_limit"]
    return f"{row['bought_today']:,} of {limit:,}" if limit else f"{row['bought_today']:,}"


def _next_run(row: Row, now: datetime) -> str | None:
    due = row["next_run_at"]
    if due is None or not row["configured"]:
        return None
    if row["leased_until"] is not None and row["leased_until"] > now:
        return "runs now"
    late = ", and did not come: do workers and beat run?" if due < now - LATE else ""
    return f"{when(due, now)}{f' (due since {moment(due)}{late})' if late else ''}"
