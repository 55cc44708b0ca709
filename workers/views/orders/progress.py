"""How far an order is: counts, reasons, rate and time left of each provider, from queries that stay cheap."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from schemas.status import UNSETTLED, OrderStatus, Status
from tasks.ledger.queue import standing
from tasks.ledger.queue.day_counts import DayCount
from tasks.ledger.queue.day_spend import day_spend
from tasks.ledger.rows import Row
from tasks.policies.accounts import Account
from tasks.policies.pace import buying_lane
from tasks.reports.queries import find_order, next_due, order_counts, provider_states
from tasks.runtime import Binding, Runtime
from workers.views.day_limits import counts_of, spent
from workers.views.explain import pause_in_words, when
from workers.views.orders.dry_run import fits_in, least_seconds
from workers.views.orders.wishes import all_reached, wish_rows
from workers.views.words import duration

RATE_WINDOW = 20.0
"""Seconds over which the rate is taken."""

COUNTS = ("bought", "failed", "held", "cancelled", "released", "waiting")
"""What becomes of lines, in the order in which it is shown."""

_IN_CALL = (Status.DISPATCHED, Status.PURCHASING)
_FOLLOWED = {Status.UNKNOWN: "in doubt", Status.PROCESSING: "not usable yet"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One provider's part of an order. `rate` is in lines settled a second, `left` in seconds; None where unknown."""

    provider: str
    lines: int
    bought: int
    failed: int
    held: int
    cancelled: int
    released: int
    waiting: int
    paused: bool = False
    why: tuple[str, ...] = ()
    rate: float | None = None
    left: float | None = None

    @property
    def settled(self) -> int:
        """Lines that are done with, or wait for a person."""
        return self.lines - self.waiting


@dataclass(frozen=True, kw_only=True)
class Progress:
    """An order at one moment; `statuses` are how many of its lines are in each."""

    order: Mapping[str, Any]
    parts: tuple[Part, ...]
    wishes: tuple[Row, ...] = ()
    statuses: Mapping[str, int] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.order["status"] in (OrderStatus.COMPLETED, OrderStatus.ABANDONED)

    @property
    def all_bought(self) -> bool:
        """Whether every line was bought; of an order by criteria, whether all its numbers are."""
        if self.wishes:
            return all_reached(self.wishes)
        return self.order["status"] != OrderStatus.ABANDONED and all(
            part.bought + part.released == part.lines for part in self.parts
        )

    @property
    def waiting(self) -> int:
        """Lines that are not settled."""
        return sum(part.waiting for part in self.parts)


class Sampler:
    """Takes an order's progress again and again, and its rate from what it saw before."""

    def __init__(self, runtime: Runtime, order_id: str) -> None:
        self._runtime = runtime
        self._order_id = order_id
        self._seen: deque[tuple[float, dict[str, int]]] = deque()

    def sample(self) -> Progress:
        """The progress now."""
        with self._runtime.database.read() as conn:
            order = find_order(conn, self._order_id) or {}
            counts = _by_provider(order_counts(conn, self._order_id))
            states = provider_states(conn, self._runtime.accounts.values())
            wishes = wish_rows(conn, self._order_id)
            waits = [one for one in counts if one in self._runtime.providers and by_count(counts[one])["waiting"]]
            days = counts_of(conn, self._runtime, waits)
            parts = [self._part(conn, one, counts[one], states.get(one), days.get(one)) for one in sorted(counts)]
        statuses = sum(counts.values(), Counter())
        return Progress(order=order, parts=tuple(self._timed(parts)), wishes=tuple(wishes), statuses=statuses)

    def _part(
        self,
        conn: Connection,
        alias: str,
        counts: Counter[str],
        state: Mapping[str, Any] | None,
        day: DayCount | None,
    ) -> Part:
        found = by_count(counts)
        why = self._why(conn, alias, counts, state) if found["waiting"] else ()
        paused = state is not None and state["paused_at"] is not None
        return Part(
            provider=alias,
            lines=counts.total(),
            **found,
            paused=paused,
            why=why,
            left=None if paused else self._least(conn, alias, found["waiting"], day),
        )

    def _least(self, conn: Connection, alias: str, waiting: int, day: DayCount | None) -> float | None:
        """The least that the limits allow; None where no worker buys."""
        binding = self._runtime.providers.get(alias)
        if binding is None or not waiting:
            return None
        return least_seconds(binding, waiting, fits=fits_in(conn, day, binding) if day else None)

    def _why(
        self, conn: Connection, alias: str, counts: Counter[str], state: Mapping[str, Any] | None
    ) -> tuple[str, ...]:
        now = self._runtime.now()
        due = next_due(conn, alias, self._order_id)
        why = []
        if counts[Status.QUEUED]:
            why.append(self._why_queued(conn, alias, state, due.get("queued"), now))
        if in_call := sum(counts[status] for status in _IN_CALL):
            why.append(f"{in_call:,} under way")
        followed = [f"{counts[status]:,} {words}" for status, words in _FOLLOWED.items() if counts[status]]
        if followed:
            look = f", next look {when(due['followed'], now)}" if "followed" in due else ""
            why.append(f"{', '.join(followed)}{look}")
        return tuple(why)

    def _why_queued(
        self, conn: Connection, alias: str, state: Mapping[str, Any] | None, due: datetime | None, now: datetime
    ) -> str:
        binding = self._runtime.providers.get(alias)
        if binding is None:
            return "not configured any more: see `dialstock provider list` for the mend, or cancel the order"
        if paused := pause_in_words(state, now, binding.kind):
            return paused
        account = self._runtime.accounts[binding.account]
        if due is not None and due > now:
            return "; ".join([f"backing off, next try {when(due, now)}", *_why_put_off(conn, binding, account, now)])
        at_most = per_second(buying_lane(binding.account, binding.policy).interval)
        return spent(conn, self._runtime, binding) or f"waiting for its turn, at most {at_most}"

    def _timed(self, parts: list[Part]) -> list[Part]:
        now = time.monotonic()
        settled = {part.provider: part.settled for part in parts}
        self._seen.append((now, settled))
        while now - self._seen[0][0] > RATE_WINDOW and len(self._seen) > 2:
            self._seen.popleft()
        since, before = self._seen[0]
        elapsed = now - since
        return [self._with_rate(part, before.get(part.provider, 0), elapsed) for part in parts]

    def _with_rate(self, part: Part, before: int, elapsed: float) -> Part:
        if part.waiting == 0:
            return replace(part, left=0.0)
        rate = (part.settled - before) / elapsed if elapsed > 1 else None
        # By the rate seen, and never less than the limits allow; None while nothing moves.
        least = part.left
        return replace(part, rate=rate, left=max(least, part.waiting / rate) if rate and least is not None else least)


def summary(progress: Progress) -> dict[str, Any]:
    """The progress as plain data."""
    order = progress.order
    parts = [{**vars(part), "why": list(part.why)} for part in progress.parts]
    totals = {name: sum(part[name] for part in parts) for name in COUNTS}
    return {
        "order_id": order["id"],
        "status": order["status"],
        "lines": sum(part.lines for part in progress.parts),
        **totals,
        "providers": parts,
        **({"wishes": list(progress.wishes)} if progress.wishes else {}),
    }


def by_count(statuses: Mapping[str, int]) -> dict[str, int]:
    """How many of an order's lines are in each of COUNTS, by how many are in each status."""
    found = Counter(statuses)
    return {
        "bought": found[Status.PURCHASED] + found[Status.RELEASING],
        "failed": found[Status.FAILED],
        "held": found[Status.HELD],
        "cancelled": found[Status.CANCELLED],
        "released": found[Status.RELEASED],
        "waiting": sum(found[status] for status in UNSETTLED),
    }


def per_second(interval: float) -> str:
    """A pace for people: '4.9/s', '1 every 60 s'."""
    return f"1 every {duration(interval)}" if interval > 10 else f"{1 / interval:,.1f}/s"


def _by_provider(rows: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row["provider"], Counter())[row["status"]] += row["count"]
    return counts


def _why_put_off(conn: Connection, binding: Binding, account: Account, now: datetime) -> Iterator[str]:
    """What costs more than is left of a day is tried again each minute."""
    names = standing.standing(standing.read(conn, account), binding.alias, account).names
    if day := day_spend(conn, account, names, binding.policy, now):
        yield f"max_spend: {day}"
