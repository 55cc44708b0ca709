"""A provider that has spent what its account may in a day: numbers are looked for at others, and it is told."""

from __future__ import annotations

from dataclasses import replace

from schemas.money import parse_money
from tests.tasks.pools.supplying import area
from tests.tasks.wishes.test_max_spend import at, offer
from tests.tasks.wishes.wishing import Wishing


def bound(world: Wishing, most: str, alias: str = "first") -> None:
    binding = world.runtime.providers[alias]
    spends = {"max_spend": parse_money(most), "cost_if_unknown": parse_money("2 USD")}
    providers = {alias: replace(binding, policy=binding.policy.model_copy(update=spends))}
    world.runtime = replace(world.runtime, providers={**world.runtime.providers, **providers})


def test_what_does_not_fit_into_a_day_is_bought_elsewhere(world: Wishing) -> None:
    bound(world, "7 USD")
    offer(world, *[at("1.5")] * 10)
    offer(world, *[at("9")] * 10, alias="second", code=628)
    world.until_completed(world.wish(5))
    assert world.alive() == [*area(415, 3), *area(628, 2)]


def test_numbers_without_a_price_count_too(world: Wishing) -> None:
    bound(world, "7 USD")
    world.until_completed(world.wish(5))
    assert world.alive() == [*area(415, 3), *area(628, 2)]


def test_where_nobody_else_has_any_the_wish_waits_for_another_day(world: Wishing) -> None:
    bound(world, "5 USD")
    world.market("second").offers = []
    order = world.wish(3)
    for _ in range(40):
        world.turn()
    assert len(world.alive()) == 2
    told = "1 are missing; first: its max_spend leaves no more: 1.00 USD of 5.00 USD is left in 24 h"
    assert world.state()[0] == "open"
    assert told in str(world.state()[1])
    world.later(hours=24, minutes=6)
    world.until_completed(order)
    assert len(world.alive()) == 3


def test_one_that_has_spent_all_is_not_searched(world: Wishing) -> None:
    bound(world, "4 USD")
    world.market("second").offers = []
    world.wish(3)
    for _ in range(5):
        world.turn()
    searches = len(world.market().searches)
    for _ in range(40):
        world.turn()
    assert len(world.market().searches) == searches
    assert "first: has spent its max_spend: 0.00 USD of 4.00 USD is left in 24 h" in str(world.state()[1])


def test_orders_and_single_purchases_share_it(world: Wishing) -> None:
    bound(world, "6 USD")
    for number in area(212, 2):
        world.accept(number, "first")
    world.market("second").offers = []
    world.wish(5)
    for _ in range(40):
        world.turn()
    assert len(world.market().charged) == 3
