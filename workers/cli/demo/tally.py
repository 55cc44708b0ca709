"""The sandbox's own ledger set against the status table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ATTEMPT, PURCHASE
from tasks.reports.queries import find_order
from tasks.sandbox.control import Control
from workers.cli.demo.pool import PoolResult, measure_pool
from workers.cli.demo.wish import WishResult, measure_wish

OPEN_DOUBT = frozenset({Status.UNKNOWN, Status.PROCESSING})
"""Statuses in which the provider is still asked."""

ACCOUNTED = frozenset({Status.PURCHASED, Status.HELD}) | OPEN_DOUBT
"""Statuses of a number that was paid for and is not lost."""

_MAX_REASON = 120


@dataclass(frozen=True, kw_only=True)
class Row:
    """One provider, or all. In numbers, but `charged`, which counts charges.

    `lost`: charged, and neither purchased nor held nor asked for. `twice`: charged more than once.
    `uncharged`: recorded as purchased, and never charged.
    """

    provider: str
    charged: int
    purchased: int
    held: int
    failed: int
    in_doubt: int
    waiting: int
    lost: int
    twice: int
    uncharged: int

    @property
    def right(self) -> bool:
        """Whether both promises are kept and nothing is made up."""
        return not (self.lost or self.twice or self.uncharged)


@dataclass(frozen=True, kw_only=True)
class Result:
    """How it ended. `settled` purchases were in doubt at some time and are purchased; `seconds` from load to end.

    `faults` counts what the sandboxes played, `outcomes` how the calls ended, `held` and `failed` why.
    """

    rows: Sequence[Row]
    pool: PoolResult
    wish: WishResult
    complete: bool
    seconds: float
    settled: int
    faults: Mapping[str, int]
    outcomes: Mapping[str, int]
    held: Mapping[str, int]
    failed: Mapping[str, int]

    @property
    def total(self) -> Row:
        """All providers."""
        return self.rows[-1]

    @property
    def right(self) -> bool:
        """Whether nothing was lost, bought twice or made up, and the pool and the found numbers are as they must be."""
        return self.total.right and self.pool.right and self.wish.right


def measure(
    conn: Connection, order_id: str, wish_id: str, control: Control, *, now: datetime, seconds: float
) -> Result:
    """Read both ledgers."""
    purchases = _purchases(conn)
    outcomes = conn.execute(select(ATTEMPT.c.outcome, func.count()).group_by(ATTEMPT.c.outcome))
    return Result(
        rows=tally(control.charges(), purchases),
        pool=measure_pool(conn, control.charges(), now),
        wish=measure_wish(conn, wish_id, control.charges()),
        complete=(find_order(conn, order_id) or {})["status"] == OrderStatus.COMPLETED,
        seconds=seconds,
        settled=sum(row["doubt"] and row["status"] == Status.PURCHASED for row in purchases),
        faults=dict(Counter(call["fault"] for call in control.calls() if call["fault"])),
        outcomes={row[0] or "under way": row[1] for row in outcomes},
        held=reasons(purchases, Status.HELD, whole=False),
        failed=reasons(purchases, Status.FAILED, whole=True),
    )


def tally(charges: Iterable[Mapping[str, Any]], purchases: Iterable[Mapping[str, Any]]) -> list[Row]:
    """A row for each provider, whose alias is its kind, and one for all at the end."""
    charged = Counter((charge["kind"], charge["number"]) for charge in charges)
    status = {(row["provider"], row["number"]): Status(row["status"]) for row in purchases}
    providers = sorted({provider for provider, _ in [*status, *charged]})
    rows = [_row(provider, charged, status) for provider in providers]
    names = [field.name for field in fields(Row) if field.name != "provider"]
    return [*rows, Row(provider="all", **{name: sum(getattr(row, name) for row in rows) for name in names})]


def reasons(purchases: Iterable[Mapping[str, Any]], status: Status, *, whole: bool) -> dict[str, int]:
    """Why purchases ended in *status*, and how many did, most first: the provider and its error.

    Not *whole*: the error before its first colon, behind which stands what differs from one to the next.
    """
    found: Counter[str] = Counter()
    for row in purchases:
        if row["status"] == status:
            error = row["error"] or "no reason given"
            found[f"{row['provider']}: {(error if whole else error.partition(': ')[0])[:_MAX_REASON]}"] += 1
    return dict(found.most_common())


def _row(provider: str, charged: Mapping[tuple[str, str], int], status: Mapping[tuple[str, str], Status]) -> Row:
    mine = {number: count for (alias, number), count in charged.items() if alias == provider}
    kept = {number: one for (alias, number), one in status.items() if alias == provider}
    counts = Counter(kept.values())
    in_doubt = sum(counts[one] for one in OPEN_DOUBT)
    settled = counts[Status.PURCHASED] + counts[Status.HELD] + counts[Status.FAILED]
    return Row(
        provider=provider,
        charged=sum(mine.values()),
        purchased=counts[Status.PURCHASED],
        held=counts[Status.HELD],
        failed=counts[Status.FAILED],
        in_doubt=in_doubt,
        waiting=len(kept) - settled - in_doubt,
        lost=sum(kept.get(number) not in ACCOUNTED for number in mine),
        twice=sum(count > 1 for count in mine.values()),
        uncharged=sum(one is Status.PURCHASED and number not in mine for number, one in kept.items()),
    )


def _purchases(conn: Connection) -> list[dict[str, Any]]:
    at = PURCHASE.c
    query = select(at.provider, at.number, at.status, at.error, at.doubt).order_by(at.id)
    return [dict(row) for row in conn.execute(query).mappings()]
