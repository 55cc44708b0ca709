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


def call(purchase: dict[str, Any], at: datetime, revision: int = 1) -> dict[str, Any]:
    return {"purchase_id": purchase["id"], "revision": revision, "started_at": at, "deadline": at + MINUTE}


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
    with world.write() as conn:
        conn.execute(PROVIDER.delete())
        state = {"settled": True, "updated_at": START}
        conn.execute(insert(PROVIDER), [{"provider": one, **state} for one in ("acme", "other")])
        conn.execute(insert(PURCHASE), [*purchases, old, other])
        conn.execute(insert(ATTEMPT), calls)
    with world.runtime.database.read() as conn:
        found = calls_by_minute(conn, now, 5)
    assert dict(found) == {"acme": [0, 0, 2, 0, 1], "other": [0, 0, 0, 0, 1]}
