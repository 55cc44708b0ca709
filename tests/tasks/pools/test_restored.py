"""A database that went back in time: what it lost of a pool's purchases counts for the pool's limit all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from sqlalchemy import select

from schemas.status import Status
from schemas.tables.pools import PoolStatus
from schemas.tables.purchases import PURCHASE
from tasks.restored_database import detect
from tests.servers.backups import Backup
from tests.tasks.pools.supplying import Supplied, supplied
from tests.tasks.pools.test_daily_limit import buy
from tests.tasks.restored_database.test_answering import believe, take_in
from workers.database.connections import SqlDatabase

FOUR = 4


def charged(world: Supplied) -> int:
    return sum(len(world.shop(alias).charged) for alias in ("first", "second"))


@pytest.fixture
def world(database_url: str) -> Iterator[Supplied]:
    """Four were bought for the pool, which is all that it may buy in a day; the database knows nothing of it."""
    database = SqlDatabase(database_url)
    world = supplied(database, low=3, target=FOUR, daily_limit=FOUR)
    database.close()
    with closing(Backup(database_url)) as copy:
        world.run()
        buy(world)
        assert (charged(world), len(world.shop("second").charged)) == (FOUR, 0)
        database.close()
        copy.restore()
    world.clock.advance(600)
    yield world
    database.close()


def run_on(world: Supplied) -> None:
    """Others are for sale; the pool is topped up, and workers buy."""
    world.shop().offers = world.shop().offers[FOUR:]
    world.run()
    buy(world)


def test_nothing_is_bought_for_it_elsewhere_before_what_was_lost_is_known(world: Supplied) -> None:
    detect.compare(world.runtime)
    run_on(world)
    assert charged(world) == FOUR
    assert world.pool()["status"] == PoolStatus.EXHAUSTED
    assert "is not known before first goes on" in world.pool()["reason"]


def test_nor_what_was_ordered_before(world: Supplied) -> None:
    """What the restored database has waiting at another provider, beside what was bought at the first."""
    world.shop().offers = []
    assert world.run().ordered == FOUR
    detect.compare(world.runtime)
    buy(world)
    assert charged(world) == FOUR


def test_nor_what_was_released_before(world: Supplied) -> None:
    """The same, on its way to a worker by then."""
    world.shop().offers = []
    assert world.run().ordered == FOUR
    world.timers("second")
    assert len(world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.DISPATCHED))) == FOUR
    detect.compare(world.runtime)
    world.work()
    buy(world)
    assert charged(world) == FOUR


@pytest.mark.parametrize("answer", [take_in, believe])
def test_what_was_lost_counts_for_its_limit(world: Supplied, answer: Callable[..., object]) -> None:
    detect.compare(world.runtime)
    world.clock.advance(1800)
    answer(world.runtime, world.runtime.providers["first"])
    assert {row["pool"] for row in world.rows(select(PURCHASE))} == {"support"}
    run_on(world)
    assert charged(world) == FOUR
    world.clock.advance(25 * 3600)
    run_on(world)
    assert charged(world) == 2 * FOUR
