"""A pool that is renamed in the file: it buys nothing beside what it has by its former name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.pool_requests import TakeNumber
from schemas.tables.pools import POOL, POOL_NUMBER, POOL_RUN, PoolStatus, Slot
from schemas.tables.purchases import PURCHASE
from tasks.accounts import identity
from tasks.ledger.queue.pool_limits import spoken_for
from tasks.pools import former
from tasks.pools.requests import take_and_return
from tasks.replenish import replenish
from tasks.replenish.replenish import Report
from tests.tasks.pools.supplying import NAME, Make, Supplied
from tests.tasks.pools.test_daily_limit import buy

TEN = 10
NEW = "helpdesk"


def rename(world: Supplied, *providers: str) -> None:
    """Have the file call the pool otherwise, with these providers."""
    pool = world.runtime.config.pools[NAME]
    pool = pool.model_copy(update={"providers": providers or pool.providers})
    world.runtime = replace(world.runtime, config=world.runtime.config.model_copy(update={"pools": {NEW: pool}}))


def run(world: Supplied, *, by_person: bool = False) -> Report:
    """One run of the pool by its new name, an hour later, and all that workers do then."""
    world.clock.advance(3600)
    found = replenish.run(world.runtime, NEW, by_person=by_person)
    buy(world)
    return found


def charged(world: Supplied) -> int:
    return sum(len(world.shop(alias).charged) for alias in ("first", "second"))


def move(world: Supplied) -> int:
    pool = world.runtime.config.pools[NEW]
    return world.runtime.database.run(lambda conn: former.move(conn, NAME, NEW, pool, world.clock()))


@pytest.fixture
def full(make: Make) -> Supplied:
    """A full pool that has bought all that its day allows, and shops with more for sale."""
    world = make(daily_limit=TEN)
    world.run()
    buy(world)
    world.settle_all()
    for alias in ("first", "second"):
        world.shop(alias).offers = world.shop(alias).offers[TEN:]
    assert charged(world) == TEN
    return world


def test_a_renamed_pool_buys_nothing_beside_what_it_has_by_its_former_name(full: Supplied) -> None:
    rename(full)
    for _ in range(3):
        found = run(full)
        assert (found.status, found.ordered) == (PoolStatus.EXHAUSTED, 0)
        assert "where it goes on as helpdesk, `dialstock pool move support helpdesk`" in (found.reason or "")
    assert charged(full) == TEN


def test_it_goes_on_with_all_that_was_its_own(full: Supplied) -> None:
    """What is taken stays so, and its day is spent; what is taken from it later is bought the next day."""
    taken = take_and_return.take(full.runtime, TakeNumber(pool=NAME, request_id="a", taker="ann"), "m")["numbers"]
    rename(full)
    run(full)
    assert move(full) == TEN
    assert move(full) == 0
    assert (run(full).level, full.places(Slot.WANTED)) == (TEN - 1, [])
    assert charged(full) == TEN
    assert [row["name"] for row in full.rows(select(POOL))] == [NEW]
    assert {row["pool"] for row in full.rows(select(PURCHASE)) + full.rows(select(POOL_RUN))} == {NEW}
    with full.runtime.database.read() as conn:
        assert (spoken_for(conn, NEW, full.clock()), former.living(conn, [NEW])) == (TEN, {})
    [place] = full.places(Slot.TAKEN)
    assert (place["pool"], place["number"]) == (NEW, taken[0]["number"])
    again = TakeNumber(pool=NEW, count=TEN - 1, request_id="b", taker="bob")
    assert len(take_and_return.take(full.runtime, again, "m")["numbers"]) == TEN - 1
    full.clock.advance(25 * 3600)
    run(full)
    assert charged(full) == 2 * TEN


def test_two_pools_are_put_together(full: Supplied) -> None:
    rename(full)
    run(full, by_person=True)
    assert charged(full) == 2 * TEN
    assert move(full) == TEN
    slots = [row["slot"] for row in full.rows(select(POOL_NUMBER).where(POOL_NUMBER.c.pool == NEW))]
    [pool] = full.rows(select(POOL))
    assert len({*slots}) == len(slots) == 2 * TEN
    assert pool["next_slot"] > max(slots)


def test_a_person_says_that_it_is_another(full: Supplied) -> None:
    """It fills up by itself from then on."""
    rename(full)
    assert run(full, by_person=True).ordered == TEN
    full.clock.advance(25 * 3600)
    full.settle_all()
    take_and_return.take(full.runtime, TakeNumber(pool=NEW, count=6, request_id="a", taker="ann"), "m")
    assert run(full).ordered == 6


@pytest.mark.parametrize(("providers", "ordered"), [(("second",), TEN), (("second", "first"), 0)])
def test_a_new_pool_of_other_providers_is_another(full: Supplied, providers: Sequence[str], ordered: int) -> None:
    assert {row["provider"] for row in full.rows(select(PURCHASE))} == {"first"}
    rename(full, *providers)
    assert run(full).ordered == ordered


def test_a_worker_with_the_older_file_does_not_fill_it_up_again(full: Supplied) -> None:
    before = full.runtime
    rename(full)
    move(full)
    full.runtime = before
    full.clock.advance(3600)
    assert replenish.run(full.runtime, NAME).ordered == 0


def test_a_pool_and_its_alias_that_are_renamed_at_once(full: Supplied) -> None:
    first, second = full.runtime.providers["first"], full.runtime.providers["second"]
    identity.settle(full.runtime)  # as every process does at its start: who each alias is
    renamed = {"primary": replace(first, alias="primary"), "second": second}
    kinds = dict.fromkeys(renamed, full.runtime.kinds["first"])
    full.runtime = replace(full.runtime, providers=renamed, kinds=kinds)
    rename(full, "primary", "second")
    identity.settle(full.runtime)  # the edited file is taken over: nothing is refused
    full.clock.advance(3600)
    assert replenish.run(full.runtime, NEW).ordered == 0
