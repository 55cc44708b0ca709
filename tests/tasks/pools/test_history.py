"""What was available in a pool, hour by hour."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, update

from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, Slot
from schemas.tables.purchases import PURCHASE
from tasks.pools.history import HOUR, available_by_hour
from tests.tasks.pools.stocking import FIRST, POOL, fill, give_back, take
from tests.tasks.reports.test_spending import row
from tests.tasks.support import World


def history(world: World, hours: int = 6) -> list[int]:
    with world.runtime.database.read() as conn:
        found = available_by_hour(conn, POOL, world.clock(), hours)
    assert [at for at, _ in found] == sorted(at for at, _ in found)
    assert len(found) == hours + 1
    return [level for _, level in found]


def test_a_level_is_computed_back_over_what_was_taken_and_returned(world: World) -> None:
    fill(world, 5)
    assert history(world) == [5] * 7
    world.clock.advance(HOUR)
    take(world, "one", count=3)
    take(world, "none left", count=9)
    world.clock.advance(HOUR)
    assert history(world, 3) == [5, 5, 2, 2]
    give_back(world, number=FIRST)
    world.clock.advance(HOUR)
    assert history(world, 4) == [5, 5, 2, 3, 3]
    world.clock.advance(24 * HOUR)
    assert history(world, 4) == [3] * 5


def test_what_was_bought_comes_in_and_what_was_given_back_goes(world: World) -> None:
    fill(world, 2)
    world.clock.advance(HOUR)
    now = world.clock()
    bought = {"pool": POOL, "call_deadline": now, "finished_at": now}
    with world.write() as conn:
        conn.execute(insert(PURCHASE), [row(n, **bought) for n in range(2)])
        conn.execute(insert(PURCHASE), [row(7, **{**bought, "pool": "other"}), row(8, **bought, status=Status.FAILED)])
    world.clock.advance(2 * HOUR)
    with world.write() as conn:
        gone = {"status": Slot.GONE, "updated_at": world.clock() - timedelta(minutes=1)}
        conn.execute(update(POOL_NUMBER).where(POOL_NUMBER.c.slot == 1).values(**gone))
    # Of the one that is there still, and the two that came.
    assert history(world, 3) == [0, 2, 1, 1]
