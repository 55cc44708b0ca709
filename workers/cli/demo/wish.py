"""The demo's order by criteria: 30 numbers from three providers, of which two run out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import Wish
from schemas.status import OrderStatus
from tasks.ledger.orders.wishes import summary
from tasks.reports.queries import find_order
from tasks.sandbox.control import Control
from tasks.wishes.accepting import begin
from workers.cli.demo.script import STOCKS, WISHED, WISHED_AREA, WISHED_FROM
from workers.cli.demo.stage import Stage


@dataclass(frozen=True, kw_only=True)
class WishResult:
    """How it ended: `charged` by provider is what the sandboxes say, the rest the order."""

    count: int
    bought: int
    held: int
    replaced: int
    missing: int
    charged: Mapping[str, int]

    @property
    def right(self) -> bool:
        """Whether it has all that was asked for, and nobody was paid for more."""
        return self.missing == 0 and sum(self.charged.values()) <= self.count


def lay_out(control: Control, named: Sequence[tuple[str, str]]) -> None:
    """Have two of the providers sell few numbers beside those of the file, pairs of provider and number."""
    for kind, many in STOCKS.items():
        own = [number for provider, number in named if provider == kind]
        control.stock(kind, [*own, *(f"+1{WISHED_AREA}{2_000_000 + n}" for n in range(many))])


def order(stage: Stage) -> str:
    """What `dialstock order find` does."""
    wish = Wish(count=WISHED, criteria=Criteria(prefix=WISHED_AREA, providers=WISHED_FROM))
    return str(begin(stage.runtime, [wish], key=None, metadata={}, name="demo, by criteria")["id"])


def is_over(conn: Connection, order_id: str) -> bool:
    """Whether it is completed."""
    return bool((find_order(conn, order_id) or {}).get("status") == OrderStatus.COMPLETED)


def measure_wish(conn: Connection, order_id: str, charges: Sequence[Mapping[str, Any]]) -> WishResult:
    """From the order and the sandboxes' ledger: no other number is of that area."""
    told = summary(conn, order_id) or {}
    mine = Counter(one["kind"] for one in charges if one["number"].startswith(f"+1{WISHED_AREA}"))
    counts = {name: told[name] for name in ("count", "bought", "held", "missing")}
    return WishResult(**counts, replaced=told["refused"], charged=dict(mine.most_common()))
