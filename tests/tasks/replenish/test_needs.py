"""What is counted as missing, and how much of it one run may order."""

from __future__ import annotations

import pytest

from schemas.status import Status
from tasks.replenish.needs import Need, Run, count_need
from tests.tasks.pools.supplying import NAME, Supplied, supplied
from workers.database.connections import SqlDatabase


@pytest.fixture
def world(database: SqlDatabase) -> Supplied:
    return supplied(database, low=6, target=10)


def this(world: Supplied, *, with_held: bool = True) -> Run:
    pool = world.runtime.config.pools[NAME]
    return Run(runtime=world.runtime, name=NAME, pool=pool, by_person=False, with_held=with_held)


def need(world: Supplied, *, with_held: bool = True) -> Need:
    with world.runtime.database.read() as conn:
        return count_need(conn, this(world, with_held=with_held), world.clock())


def numbers(found: Need) -> tuple[int, int, int, int]:
    return found.level, found.missing, found.wanted, found.budget


def test_an_empty_pool_needs_its_target_and_a_full_one_nothing(world: Supplied) -> None:
    assert numbers(need(world)) == (0, 10, 10, 10)
    world.run()
    assert numbers(need(world)) == (10, 0, 0, 0)


@pytest.mark.parametrize(("failed", "missing"), [(4, 4), (5, 5)])
def test_what_failed_is_missing_on_either_side_of_low(world: Supplied, failed: int, missing: int) -> None:
    world.run()
    world.lead(Status.FAILED, failed)
    assert numbers(need(world)) == (10 - failed, missing, missing, missing)


def test_the_bounds_of_one_run_and_of_one_day(world: Supplied) -> None:
    world.configure(max_per_run=7)
    assert numbers(need(world)) == (0, 10, 7, 7)
    world.configure(daily_limit=3)
    assert numbers(need(world)) == (0, 10, 7, 3)


def test_held_purchases_are_left_out_where_they_do_not_count(world: Supplied) -> None:
    world.run()
    world.lead(Status.HELD, 5)
    assert numbers(need(world)) == (10, 0, 0, 0)
    assert numbers(need(world, with_held=False)) == (5, 5, 5, 5)


def test_what_may_give_way(world: Supplied) -> None:
    world.run()
    world.lead(Status.DISPATCHED, 1)
    assert (need(world).movable, need(world).stuck) == (0, [])
    world.stop_provider()
    # the pause has taken back what was dispatched
    assert (need(world).movable, len(need(world).stuck)) == (10, 10)
    world.configure(max_per_run=4)
    assert need(world).movable == 4
    world.stop_provider("second")
    assert (need(world).movable, len(need(world).stuck)) == (0, 10)


@pytest.mark.parametrize(("target", "movable"), [(10, 10), (9, 9), (4, 4), (3, 3)])
def test_what_is_beyond_the_target_does_not_give_way(world: Supplied, target: int, movable: int) -> None:
    world.run()
    world.stop_provider()
    world.configure(low=3, target=target)
    assert (need(world).movable, len(need(world).stuck)) == (movable, 10)
    assert world.run().moved == movable


def test_numbers_that_are_there_already_have_none_give_way(world: Supplied) -> None:
    world.run()
    world.lead(Status.PURCHASED, 8)
    world.stop_provider()
    world.configure(low=3, target=7)
    assert (need(world).movable, len(need(world).stuck)) == (0, 2)
