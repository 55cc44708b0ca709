"""Calls to buy by the minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from schemas.tables.purchases import ATTEMPT, PROVIDER, PURCHASE
from tasks.reports.calls_made import calls_by_minute
from tests.tasks.clock import START
from tests.tasks.reports.test_spending import row
from tests.tasks.support import World

MINUTE = timedelta(minutes=1)


def call(purchase: dict[str, Any], at: datetime, revision: int = 1, **fields: Any) -> dict[str, Any]:
    times = {"started_at": at, "deadline": at + MINUTE}
    return {"purchase_id": purchase["id"], "revision": revision, **times, "outcome": None, "reference": None, **fields}


def test_calls_are_counted_by_minute_and_a_batch_is_one(world: World) -> None:
    world.clock.advance(30.0)
    now = world.clock()
    purchases = [row(n, call_deadline=now) for n in range(5)]
    old = row(9, call_deadline=now - 20 * MINUTE)
    other = row(10, call_deadline=now, provider="other")
    calls = [
        *(call(one, now - 3 * MINUTE) for one in purchases[:3]),
        call(purchases[3], now - 3 * MINUTE + timedelta(seconds=1)),
        call(purchases[3], now - MINUTE, revision=2),
        call(purchases[4], now),
        call(old, now - 21 * MINUTE),
        call(other, now - MINUTE),
    ]
    found = counted(world, [*purchases, old, other], calls, acme=3)
    assert found == {"acme": [0, 0, 2, 0, 1], "other": [0, 0, 0, 0, 1]}


def test_claims_of_one_commit_are_a_call_each(world: World) -> None:
    now = world.clock()
    purchases = [row(n, call_deadline=now) for n in range(7)]
    calls = [call(one, now - MINUTE) for one in purchases]
    assert counted(world, purchases, calls) == {"acme": [0, 0, 0, 0, 7]}
    assert counted(world, purchases, calls, acme=3) == {"acme": [0, 0, 0, 0, 3]}


def test_calls_that_have_names_are_told_apart_by_them(world: World) -> None:
    now = world.clock()
    purchases = [row(n, call_deadline=now) for n in range(5)]
    calls = [call(one, now - MINUTE, reference=name) for one, name in zip(purchases, "aabbc", strict=True)]
    assert counted(world, purchases, calls, acme=25) == {"acme": [0, 0, 0, 0, 3]}


def test_what_was_not_sent_is_no_call(world: World) -> None:
    now = world.clock()
    purchases = [row(n, call_deadline=now) for n in range(3)]
    outcomes = ("purchased", "not_sent", None)
    calls = [call(one, now - MINUTE, outcome=outcome) for one, outcome in zip(purchases, outcomes, strict=True)]
    assert counted(world, purchases, calls) == {"acme": [0, 0, 0, 0, 2]}


def counted(
    world: World, purchases: list[dict[str, Any]], calls: list[dict[str, Any]], **batches: int
) -> dict[str, list[int]]:
    with world.write() as conn:
        for table in (PROVIDER, PURCHASE, ATTEMPT):
            conn.execute(table.delete())
        state = {"settled": True, "updated_at": START}
        conn.execute(insert(PROVIDER), [{"provider": one, **state} for one in ("acme", "other")])
        conn.execute(insert(PURCHASE), purchases)
        conn.execute(insert(ATTEMPT), calls)
    with world.runtime.database.read() as conn:
        return dict(calls_by_minute(conn, world.clock(), 5, batches))
