"""Whoever dies over an order by criteria: between any two commits, and with two workers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.tasks.killing import killed_at, make_deadly
from tests.tasks.pools.supplying import area
from tests.tasks.wishes.wishing import Wishing


@pytest.mark.parametrize("commit", [1, 2, 3, 4])
def test_whoever_dies_after_any_commit_none_is_bought_twice(world: Wishing, commit: int) -> None:
    world.refuse(area(415, 60)[::3])
    deadly = make_deadly(world)

    def order_and_search() -> None:
        world.wish(10)
        world.turn()

    assert killed_at(deadly, commit, order_and_search)
    order = world.wish(10)
    world.sent.clear()
    world.later(minutes=10)
    world.until_completed(order)
    numbers = [number for number, _ in world.market().charged]
    assert (len(world.alive()), len(numbers), len(set(numbers))) == (10, 10, 10)


def test_two_workers_at_once(world: Wishing) -> None:
    order = world.wish(10)
    with ThreadPoolExecutor(2) as executor:
        for one in [executor.submit(world.search) for _ in range(2)]:
            one.result(60)
    world.until_completed(order)
    assert (len(world.lines()), len(world.alive())) == (10, 10)


def test_searches_are_no_more_than_the_numbers_need(world: Wishing) -> None:
    """Ten pages of numbers of two providers, and 30 % sold meanwhile; a search asks both, for few at the end."""
    page = 100 if world.runtime.database.engine.dialect.name == "sqlite" else 25  # type: ignore[attr-defined]
    count = 9 * page
    for alias, code in (("first", 415), ("second", 628)):
        market = world.market(alias)
        market.offers, market.page = world.many(code, count), page
    world.refuse([number for code in (415, 628) for n, number in enumerate(area(code, count)) if n % 10 < 3])
    world.until_completed(world.wish(10 * page))
    assert len(world.alive()) == 10 * page
    seen = world.tally().found / page
    searches = len(world.market().searches) + len(world.market("second").searches)
    assert searches <= 1.2 * seen + 8
