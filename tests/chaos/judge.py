"""The sandbox's ledger against the table: what was charged, what we say that we own, and what was told to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from schemas.config.rates import RateLimit
from schemas.events import EVENT_OF, EventType
from schemas.status import DEAD, MOVES, UNSETTLED, OrderStatus, Status
from schemas.tables.purchases import ATTEMPT, EVENT, ORDER, PURCHASE
from tests.chaos.faults.clock import STEP
from tests.chaos.history import read_history
from tests.chaos.story import story
from tests.chaos.world import KINDS, POLICY, World

Row = Mapping[str, Any]

TOLERANCE = 0.02
"""Seconds by which a limit's window is shortened, at the least: the way to the provider is not always equally long.

It is as much as this machine woke a thread late meanwhile, and no more than half of the window.
"""

TERMINAL = (Status.PURCHASED, Status.FAILED, Status.CANCELLED)
_ONCE = [EVENT_OF[status] for status in TERMINAL]
COLUMNS = ("charged", "purchased", "held", "failed", "unknown", "lost", "twice", "uncharged")


@dataclass
class Verdict:
    """`wrong` says in words what broke a promise, `suspects` for which numbers; the rest is for the report.

    `too_late` counts calls that a worker did not make because it had stood still, `late_evidence` answers that came
    after the call's deadline and were kept.
    """

    table: dict[str, Counter[str]] = field(default_factory=dict)
    held: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    suspects: set[tuple[str, str]] = field(default_factory=set)
    found_after: list[float] = field(default_factory=list)
    settled_after: list[float] = field(default_factory=list)
    too_late: int = 0
    late_evidence: int = 0
    events: int = 0
    repeats: int = 0
    calls: int = 0
    busiest: dict[str, int] = field(default_factory=dict)


def unsettled(world: World) -> int:
    """How many purchases and orders the machine still has work with."""
    with world.database.read() as conn:
        purchases = conn.execute(select(PURCHASE.c.id).where(PURCHASE.c.status.in_(UNSETTLED))).all()
        loose = select(ORDER.c.id).where(ORDER.c.status.in_((OrderStatus.OPEN, OrderStatus.LOADING)))
        unpublished = conn.execute(select(EVENT.c.seq).where(EVENT.c.published_at.is_(None))).all()
        return len(purchases) + len(conn.execute(loose).all()) + len(unpublished)


def held(world: World) -> list[str]:
    """What waits for a person although its provider can be asked: audits settle it."""
    at = PURCHASE.c
    waits = at.status == Status.HELD, at.provider != "timepay"
    with world.database.read() as conn:
        rows = conn.execute(select(at.provider, at.number, at.error_code, at.error).where(*waits)).all()
    return [f"{row.provider} {row.number}: {row.error_code}: {row.error}" for row in rows]


def judge(world: World, asked: Iterable[Mapping[str, str]], limits: Mapping[str, RateLimit]) -> Verdict:
    """Read everything and compare."""
    # Messages of dead workers come back for a while, so the stream is read before and after the table.
    world.save_stream()
    before, verdict = list(world.seen.values()), Verdict()
    with world.database.read() as conn:
        purchases = [dict(row) for row in conn.execute(select(PURCHASE)).mappings()]
        attempts = [dict(row) for row in conn.execute(select(ATTEMPT)).mappings()]
        events = [dict(row) for row in conn.execute(select(EVENT).order_by(EVENT.c.seq)).mappings()]
        orders = [dict(row) for row in conn.execute(select(ORDER)).mappings()]
        history = read_history(conn)
    world.save_stream()
    asked = list(asked)
    _money(verdict, world, purchases)
    _nothing_else(verdict, world, asked)
    _everything_asked_for(verdict, purchases, asked)
    _moves(verdict, history)
    _outbox(verdict, purchases, orders, events)
    _stream(verdict, events, *(_without(shown, world.undone) for shown in (before, world.seen.values())))
    _pace(verdict, world, limits)
    _lost_calls(verdict, attempts, history)
    verdict.wrong += story(world, verdict.suspects, purchases, attempts, history)
    verdict.held.update(
        f"{row['provider']} {row['error_code']}"
        for row in purchases
        if row["status"] == Status.HELD and row["provider"] != "timepay"
    )
    verdict.too_late = sum(attempt["error_code"] == "too_late" for attempt in attempts)
    verdict.late_evidence = sum(
        attempt["outcome"] in ("purchased", "processing") and attempt["ended_at"] > attempt["deadline"]
        for attempt in attempts
    )
    return verdict


def _money(verdict: Verdict, world: World, purchases: Sequence[Row]) -> None:
    charges = Counter((charge["kind"], charge["number"]) for charge in world.shop.charges())
    rows = {(row["provider"], row["number"]): row for row in purchases if row["status"] not in DEAD}
    for kind in KINDS:
        verdict.table[kind] = Counter(row["status"] for row in purchases if row["provider"] == kind)
    for (kind, number), times in charges.items():
        verdict.table[kind]["charged"] += 1
        if times > 1:
            verdict.table[kind]["twice"] += 1
            verdict.wrong.append(f"charged twice: {kind} {number}, {times} times")
            verdict.suspects.add((kind, number))
        row = rows.get((kind, number))
        if row is None or not _accounted_for(row):
            verdict.table[kind]["lost"] += 1
            status = "no living row" if row is None else f"{row['status']} ({row['error_code']}: {row['error']})"
            verdict.wrong.append(f"lost: {kind} {number} was charged, and is {status}")
            verdict.suspects.add((kind, number))
    for (kind, number), row in rows.items():
        if row["status"] == Status.PURCHASED and (kind, number) not in charges:
            verdict.table[kind]["uncharged"] += 1
            verdict.wrong.append(f"never charged: {kind} {number} is purchased")
            verdict.suspects.add((kind, number))


def _nothing_else(verdict: Verdict, world: World, asked: Sequence[Mapping[str, str]]) -> None:
    wanted = {ask["number"] for ask in asked} | world.ordered
    verdict.wrong += [
        f"charged, and nobody asked for it: {charge['kind']} {charge['number']}"
        for charge in world.shop.charges()
        if charge["number"] not in wanted
    ]


def _accounted_for(row: Row) -> bool:
    """Purchased; or held, where the provider cannot be asked, or could not be."""
    if row["status"] == Status.HELD:
        return row["provider"] == "timepay" or row["error_code"] == "look_failed"
    return Status(row["status"]) is Status.PURCHASED


def _everything_asked_for(verdict: Verdict, purchases: Sequence[Row], asked: Iterable[Mapping[str, str]]) -> None:
    known = Counter((row["provider"], row["number"]) for row in purchases)
    verdict.wrong += [
        f"asked for and accepted {known[ask['provider'], ask['number']]} times: {ask}"
        for ask in asked
        if known[ask["provider"], ask["number"]] != 1
    ]
    verdict.wrong += [
        f"not settled: {row['provider']} {row['number']} is {row['status']} ({row['error']})"
        for row in purchases
        if row["status"] in UNSETTLED
    ]


def _moves(verdict: Verdict, history: Mapping[str, Sequence[tuple[str, str, datetime]]]) -> None:
    for purchase_id, changes in history.items():
        strange = [f"{before} -> {after}" for before, after, _ in changes if after not in MOVES[Status(before)]]
        verdict.wrong += [f"{purchase_id}: a move that does not exist: {move}" for move in strange]


def _outbox(verdict: Verdict, purchases: Sequence[Row], orders: Sequence[Row], events: Sequence[Row]) -> None:
    # Who asks for a number that an audit adopted meanwhile is told by an event under his own key.
    about = [(event["data"], event["type"]) for event in events if "purchase_id" in event["data"]]
    told = Counter((data["purchase_id"], data.get("idempotency_key"), kind) for data, kind in about)
    for row in purchases:
        terminal = {status: told[row["id"], row["idempotency_key"], EVENT_OF[status]] for status in TERMINAL}
        wanted = {status: int(row["status"] == status) for status in TERMINAL}
        if terminal != wanted:
            verdict.wrong.append(f"events of {row['number']}, which is {row['status']}: {terminal}")
    verdict.wrong += [f"told {times} times: {one}" for one, times in told.items() if times > 1 and one[2] in _ONCE]
    verdict.wrong += [f"told as charged twice: {data}" for data, kind in about if kind == EventType.CHARGED_TWICE]
    completed = Counter(event["subject"] for event in events if event["type"] == EventType.ORDER_COMPLETED)
    for order in orders:
        # One whose command was killed while it was loaded is given up.
        given_up = order["idempotency_key"] is None and order["status"] == OrderStatus.ABANDONED
        wanted = (OrderStatus.ABANDONED, 0) if given_up else (OrderStatus.COMPLETED, 1)
        found = order["status"], completed[order["id"]]
        if found != wanted:
            verdict.wrong.append(f"order {order['id']} is {found[0]}, completed by {found[1]} events")


def _without(events: Iterable[Row], undone: Collection[str]) -> list[Row]:
    return [event for event in events if event["id"] not in undone]


def _stream(verdict: Verdict, events: Sequence[Row], before: Sequence[Row], seen: Sequence[Row]) -> None:
    known, published = {event["id"]: event for event in events}, {event["id"] for event in seen}
    verdict.events, verdict.repeats = len(events), len(before) - len({event["id"] for event in before})
    missing = [event for event in events if event["published_at"] and event["id"] not in published]
    verdict.wrong += [f"never published: {event['type']} {event['id']}" for event in missing]
    verdict.wrong += [f"published, and in no table: {event['id']}" for event in before if event["id"] not in known]
    firsts: dict[str, dict[str, str]] = {}
    for event in seen:
        if "sequence" in event:
            firsts.setdefault(event["data"]["purchase_id"], {}).setdefault(event["id"], event["sequence"])
    for purchase_id, sequences in firsts.items():
        if list(sequences.values()) != sorted(sequences.values()):
            verdict.wrong.append(f"events of purchase {purchase_id} out of order: {list(sequences.values())}")


def _pace(verdict: Verdict, world: World, limits: Mapping[str, RateLimit]) -> None:
    for kind, limit in limits.items():
        times = [call["monotonic"] for call in world.shop.calls(kind)]
        verdict.calls += len(times)
        window = limit.window - min(limit.window / 2, max(TOLERANCE, world.late()))
        bursts = [[f"{t - begun:.3f}" for t in times if begun <= t < begun + window] for begun in times]
        fullest = max(bursts, key=len, default=[])
        verdict.busiest[kind] = len(fullest)
        if len(fullest) > limit.limit:
            first = bursts.index(fullest) + 1
            verdict.wrong.append(f"{kind}: more than {limit}: from call {first} on, after {', '.join(fullest)} s")


def _lost_calls(
    verdict: Verdict, attempts: Sequence[Row], history: Mapping[str, Sequence[tuple[str, str, datetime]]]
) -> None:
    """How long after its deadline a lost call was found, and how long after the last look one was settled as no."""
    last_look = POLICY["reconcile_after"][-1]
    for attempt in attempts:
        # What a look has found of it stands there then.
        if attempt["error_code"] not in ("worker_gone", "found_by_look", "found_by_order"):
            continue
        later = [(b, a, at) for b, a, at in history[attempt["purchase_id"]] if at > attempt["deadline"]]
        after = next(((a, at) for b, a, at in later if b == Status.UNKNOWN), None)
        if after is None:
            continue
        seconds = (after[1] - attempt["deadline"]).total_seconds()
        if seconds > STEP / 2:
            # The clock was set meanwhile.
            continue
        if after[0] == Status.QUEUED:
            verdict.settled_after.append(seconds - last_look)
        else:
            verdict.found_after.append(seconds)
