"""No question that is asked again and again reads a whole table: each finds its partial index."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from schemas.config.policy import Policy
from schemas.money import parse_money
from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ATTEMPT, EVENT, LINE, ORDER, PURCHASE, RUNNING
from tasks.ledger import due, history, sweep, waiting
from tasks.ledger.audit import differences
from tasks.ledger.calls import intents, looks, outcomes
from tasks.ledger.calls.answers import Answer
from tasks.ledger.orders import cancel, cancelled, limits
from tasks.ledger.queue import daily_limit, dispatch, release, requeue, standing
from tasks.ledger.queue.day_spend import day_spend
from tasks.ledger.releases import calls
from tasks.ledger.requests import accept, takeover
from tasks.ledger.rows import new_id
from tasks.lifecycle import outbox_relay
from tasks.policies.retry import Decision
from tasks.policies.watched_time import Watch
from tasks.reports import queries
from tasks.reports.measures import measure
from tasks.watermark import Mark
from tests.tasks.clock import START
from tests.tasks.ledger.requests.test_accept import entry
from tests.tasks.support import ACCOUNT as OWNER
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

ROWS = 8000
OPEN = (Status.QUEUED, Status.DISPATCHED, Status.PURCHASING, Status.UNKNOWN, Status.PROCESSING, Status.HELD)
ORDERS = [new_id() for _ in range(4)]


def _rows() -> Iterator[dict[str, Any]]:
    """Much that is over, and a little in each state that is not."""
    for n in range(ROWS):
        yield {
            "id": new_id(),
            "order_id": [None, *ORDERS][n % 5],
            "number": f"+1415{n:07d}",
            "provider": ["acme", "twin"][n % 2],
            "account": OWNER,
            "status": OPEN[n % 6] if n % 100 < 2 else Status.PURCHASED,
            "due_at": START if n % 100 < 2 else None,
            "call_deadline": START + timedelta(minutes=10 * n),
            "options": {},
            "metadata": {},
            "created_at": START,
            "updated_at": START,
            "already_owned": False,
            "attempts": 0,
            "revision": 0,
            "doubt": n % 1000 == 0,
            "looks": 0,
            "look_failures": 0,
            "tried_seconds": 0.0,
        }


def _fill(conn: Connection) -> None:
    rows = list(_rows())
    status = {"status": OrderStatus.OPEN, "lines": ROWS // 5, "metadata": {}, "created_at": START, "updated_at": START}
    conn.execute(insert(ORDER), [{"id": one, "max_purchases": 9, **status} for one in ORDERS])
    conn.execute(insert(PURCHASE), rows)
    lines = [
        {"order_id": row["order_id"], "line": n, "purchase_id": row["id"], "shared": n % 500 == 1}
        | {name: row[name] for name in ("number", "provider")}
        for n, row in enumerate(rows)
        if row["order_id"]
    ]
    conn.execute(insert(LINE), lines)
    conn.execute(
        insert(ATTEMPT),
        [{"purchase_id": row["id"], "revision": 0, "started_at": START, "deadline": LATER} for row in rows],
    )
    told = {"type": "x", "source": "/x", "time": START, "data": {}}
    events = [{**told, "id": new_id(), "published_at": None if n % 200 == 0 else START} for n in range(ROWS)]
    conn.execute(insert(EVENT), [{**one, "subject": row["number"]} for one, row in zip(events, rows, strict=True)])


@pytest.fixture(scope="module")
def filled(file_url: str) -> Iterator[World]:
    """A world with thousands of rows, of each kind in turn."""
    database = SqlDatabase(file_url)
    with database.write() as conn:
        _fill(conn)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("ANALYZE")
    yield make_world(database, daily_limit=5000)
    database.close()


def _counted_elsewhere() -> daily_limit.Account:
    return replace(ACCOUNT, spent_elsewhere=(MUCH_LATER, Decimal(0), 0))


def _spending(world: World) -> Policy:
    spends = {"max_spend": parse_money("9 USD"), "cost_if_unknown": parse_money("2 USD")}
    return world.binding.policy.model_copy(update=spends)


def plans(world: World, action: Callable[[Connection], Any]) -> str:
    """How the database ran what *action* asked; all of it is undone."""
    asked: list[tuple[str, Any]] = []

    def note(_conn: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if not many and statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE", "WITH"):
            asked.append((statement, values))

    engine = world.runtime.database.engine  # type: ignore[attr-defined]
    with engine.connect() as conn:
        event.listen(engine, "before_cursor_execute", note)
        try:
            action(conn)
        finally:
            event.remove(engine, "before_cursor_execute", note)
        explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"
        told = [row[-1] for one, values in asked for row in conn.exec_driver_sql(f"{explain} {one}", values)]
        conn.rollback()
    assert told
    return "\n".join(told)


WHOLE = (
    r"SCAN purchase(_order_line|_attempt)?\b(?! USING (COVERING )?INDEX purchase_)"
    r"|Seq Scan on purchase(_order_line)?\b"
)
"""A whole table is read; by SQLite also in the order of its key."""


def _dispatched(world: World) -> list[intents.Wanted]:
    at = PURCHASE.c
    rows = world.rows(select(at.id, at.revision, at.account).where(RUNNING, at.status == Status.DISPATCHED).limit(3))
    return [intents.Wanted(row["id"], row["revision"], row["account"]) for row in rows]


def _answers(world: World, conn: Connection) -> list[Answer]:
    claims = [one for one in intents.claim(conn, _dispatched(world), LATER, 30.0) if one is not None]
    yes = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id="x")
    decision = Decision(status=Status.PURCHASED)
    return [Answer(claim=one, outcome=yes, decision=decision) for one in claims]


def _mark() -> Mark:
    return Mark(purchase_id=new_id(), revision=1, number=number(1), started_at=START, deadline=LATER)


ACCOUNT = daily_limit.Account("acme-account", ("acme", "twin"))
STANDS = standing.standing([], "acme", ACCOUNT)
LATER = START + timedelta(hours=1)
MUCH_LATER = START + timedelta(days=55)
JUST_SET = Watch(now=LATER, since=LATER)

QUESTIONS: dict[str, tuple[str, Callable[[World, Connection], Any]]] = {
    "due_lanes": ("purchase_queued", lambda w, c: dispatch.due_lanes(c, "acme", OWNER, LATER)),
    "due_singles": ("purchase_queued", lambda w, c: dispatch.due_singles(c, "acme", OWNER, LATER, but="")),
    "release": (
        "purchase_queued",
        lambda w, c: release.release(c, "acme", OWNER, [None, *ORDERS], count=20, now=LATER, take_within=8),
    ),
    "counted_lanes": ("purchase_doubtful", lambda w, c: dispatch.counted_lanes(c, "acme", OWNER, ORDERS[:2], LATER)),
    "used_up": ("purchase_by_order", lambda w, c: limits.used_up(c)),
    "allowance": ("purchase_doubtful", lambda w, c: limits.allowance(c, ORDERS[0], wanted=1)),
    "claim": (
        "autoindex_purchase_1|purchase_pkey|purchase_running",
        lambda w, c: intents.claim(c, _dispatched(w), LATER, 30.0),
    ),
    "keep": ("autoindex_purchase_1|purchase_pkey", lambda w, c: intents.keep(c, _dispatched(w), LATER)),
    "record": ("autoindex_purchase_1|purchase_pkey", lambda w, c: outcomes.record_all(c, _answers(w, c), LATER)),
    "history": ("purchase_attempt_(1|pkey)", lambda w, c: history.lost(c, [_mark() for _ in range(3)], account="x")),
    "day_spend": (
        "purchase_last_call",
        lambda w, c: day_spend(c, _counted_elsewhere(), ACCOUNT.aliases, _spending(w), MUCH_LATER),
    ),
    "running": (
        "purchase_running|purchase_by_order",
        lambda w, c: dispatch.room(
            c, w.binding.policy.model_copy(update={"daily_limit": 0}), STANDS, ACCOUNT, now=LATER, soon=9
        ),
    ),
    "daily limit": (
        "purchase_last_call",
        lambda w, c: dispatch.room(
            c,
            w.binding.policy.model_copy(update={"max_in_flight": 9999}),
            STANDS,
            daily_limit.Account(ACCOUNT.name, ACCOUNT.aliases),
            now=START + timedelta(minutes=10 * ROWS),
            soon=99,
        ),
    ),
    "take_back": ("purchase_running", lambda w, c: requeue.take_back(c, "acme", LATER, overdue=True)),
    "keep_late": (
        "purchase_running",
        lambda w, c: requeue.keep_late(c, ["acme", "twin"], since=START, soon=LATER, until=MUCH_LATER, most=500),
    ),
    "pause": ("purchase_running|purchase_by_order", lambda w, c: requeue.take_back(c, "acme", LATER, overdue=False)),
    "due to buy": ("purchase_queued", lambda w, c: due.to_buy(c, LATER)),
    "due to look": ("purchase_followed", lambda w, c: due.to_look(c, LATER)),
    "any queued": ("purchase_queued", lambda w, c: c.execute(due.ANY_QUEUED)),
    "any event": ("outbox_event_unpublished", lambda w, c: c.execute(outbox_relay._ANY)),
    "overdue": ("purchase_running", lambda w, c: due.overdue(c, LATER)),
    "any_overdue": ("purchase_running", lambda w, c: sweep.any_overdue(c, "acme", LATER)),
    "lost_calls": ("purchase_running", lambda w, c: sweep.lost_calls(c, "acme", JUST_SET, w.binding.policy, 100)),
    "any_due": ("purchase_followed", lambda w, c: calls.any_due(c, "acme", OWNER, LATER)),
    "take_due": (
        "purchase_followed",
        lambda w, c: looks.take_due(c, "acme", OWNER, JUST_SET, w.binding.policy, lease=30, limit=20),
    ),
    "alive": (
        "purchase_alive|purchase_by_number",
        lambda w, c: accept.accept(c, [entry(number(n)) for n in range(3)], LATER),
    ),
    "finished_orders": ("purchase_by_order", lambda w, c: sweep.finished_orders(c)),
    "cancel_order": ("purchase_by_order", lambda w, c: cancel.cancel_order(c, ORDERS[0], LATER, 10)),
    "hand_over": (
        "purchase_order_line_purchase_id|purchase_order_line_1|purchase_order_line_pkey",
        lambda w, c: cancel._hand_over(c, ORDERS[0], {new_id(): (ORDERS[1], 7)}),
    ),
    "go_on": ("purchase_order_line_purchase_id", lambda w, c: takeover._share(c, [new_id()])),
    "forget_keys": ("purchase_order_line_purchase_id", lambda w, c: cancel.forget_keys(c, ORDERS[0])),
    "half_cancelled": ("purchase_by_order", lambda w, c: cancelled.half_cancelled(c, LATER)),
    "stuck": ("purchase_queued", lambda w, c: waiting.stuck(c, LATER)),
    "left_to_others": ("purchase_order_line_shared", lambda w, c: cancel.left_to_others(c, ORDERS[0])),
    "audit": (
        "purchase_alive|purchase_by_number",
        lambda w, c: list(differences.alive(lambda: nullcontext(c), "acme-account")),
    ),
    **{
        f"purchases {status}": (index, lambda w, c, status=status: queries.list_purchases(c, 51, status=status))  # type: ignore[misc]
        for status, index in (
            (Status.PROCESSING, "purchase_followed"),
            (Status.RELEASING, "purchase_not_bought"),
            (Status.HELD, "purchase_held"),
        )
    },
    "purchases of a new provider": ("purchase_", lambda w, c: queries.list_purchases(c, 51, provider="new")),
    "order_counts": ("purchase_by_order", lambda w, c: queries.order_counts(c, ORDERS[0])),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_finds_its_index(filled: World, name: str) -> None:
    index, ask = QUESTIONS[name]
    told = plans(filled, lambda conn: ask(filled, conn))
    assert re.search(index, told), told
    assert not re.search(WHOLE, told), told


def test_the_relay_reads_only_what_is_not_published(filled: World) -> None:
    relay = outbox_relay.Relay.__new__(outbox_relay.Relay)
    relay._runtime = filled.runtime
    relay._unmarked = {}
    told = _plan_of(filled, relay._next)
    assert "outbox_event_unpublished" in told, told


def test_all_are_counted_in_the_order_of_an_index(filled: World) -> None:
    told = plans(filled, queries.status_counts)
    assert "TEMP B-TREE" not in told, told


def test_the_age_of_the_oldest_event_is_read_of_those_alone(filled: World) -> None:
    told = _plan_of(filled, lambda: measure(filled.runtime))
    assert "outbox_event_unpublished" in told, told
    assert "outbox_event_time" not in told, told


def test_what_was_told_of_a_purchase_is_found_by_its_number(filled: World) -> None:
    purchase = {"created_at": START, "number": number(1), "provider": "acme", "id": new_id()}
    told = plans(filled, lambda conn: queries.events_of(conn, purchase))
    assert "outbox_event_by_subject" in told, told


def test_cleaning_up_reads_only_what_is_old(filled: World) -> None:
    filled.clock.moment = START
    told = _plan_of(filled, lambda: outbox_relay.clean_up(filled.runtime, 3600.0))
    assert "outbox_event_time" in told, told


def _plan_of(world: World, action: Callable[[], Any]) -> str:
    return plans(world, lambda _conn: action())
