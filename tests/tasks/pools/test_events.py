"""Pools' events, as the results channel has them."""

from __future__ import annotations

from sqlalchemy import select

from schemas.events import EventType, cloud_event
from schemas.tables.purchases import EVENT
from tasks.ledger.rows import emit
from tasks.pools.events import pool_event
from tests.tasks.clock import START
from tests.tasks.support import World


def test_a_pools_event_names_its_pool(world: World) -> None:
    with world.write() as conn:
        emit(conn, [pool_event(EventType.POOL_EXHAUSTED, "support", START, {"pool": "support"})])
    [row] = world.rows(select(EVENT))
    assert cloud_event(row) == {
        "specversion": "1.0",
        "id": row["id"],
        "source": "/dialstock/pools/support",
        "type": "dialstock.pool.exhausted",
        "time": "2026-01-01T00:00:00.000000Z",
        "datacontenttype": "application/json",
        "subject": "support",
        "data": {"pool": "support"},
    }
