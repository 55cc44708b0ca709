"""What a search shows beyond what is missing is kept, and replaces what is refused before it is searched again."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from schemas.money import Price
from schemas.outcomes import Candidate
from schemas.tables.purchases import PURCHASE
from schemas.tables.wishes import OFFERS
from tasks import orders
from tasks.lifecycle import release_and_sweep
from tasks.wishes import due
from tasks.wishes.kept import FRESH
from tests.tasks.pools.supplying import area
from tests.tasks.wishes.wishing import Wishing


def stocked(world: Wishing, first: int, second: int, *, page: int) -> None:
    """Have both shops show pages of numbers of which each third is sold meanwhile."""
    for alias, code, count in (("first", 415, first), ("second", 628, second)):
        world.market(alias).page = page
        world.market(alias).offers = world.many(code, count)
    world.refuse({*area(415, first)[::3], *area(628, second)[::3]})


def priced(amount: str) -> Price:
    return Price(monthly=Decimal(amount), setup=Decimal(0), currency="USD")


def kept(world: Wishing) -> list[str]:
    return [row["number"] for wish in world.rows(OFFERS.select()) for row in wish["offers"]]


def bought_but_for_the_first(world: Wishing, count: int = 10) -> None:
    """Have a wish whose first number is refused come to its replacement, of a page of 20."""
    world.market().page = 20
    world.refuse(area(415, 1))
    world.wish(count)
    world.search()
    world.buy_all()


def test_a_third_sold_meanwhile_costs_few_searches_beyond_the_pages_that_are_needed(world: Wishing) -> None:
    stocked(world, 60, 150, page=10)
    world.until_completed(world.wish(100))
    assert (len(world.alive()), world.tally().bought, world.tally().refused) == (100, 100, 50)
    assert sum(len(world.market(alias).searches) for alias in ("first", "second")) <= 1.2 * (6 + 9)


def test_what_is_refused_is_replaced_by_what_was_seen_without_a_search(world: Wishing) -> None:
    bought_but_for_the_first(world)
    assert kept(world) == area(415, 20)[10:]
    world.search()
    assert (len(world.market().searches), kept(world)) == (1, area(415, 20)[11:])
    assert world.alive() == area(415, 11)[1:]


@pytest.mark.parametrize(("page", "takes_its_place"), [(20, True), (10, False)])
def test_what_was_seen_takes_the_place_of_what_is_refused_while_the_last_are_bought(
    world: Wishing, page: int, *, takes_its_place: bool
) -> None:
    world.market().page = page
    world.refuse(area(415, 1))
    world.wish(10)
    world.search()
    release_and_sweep.release_due(world.runtime, world.runtime.providers["first"])
    [refused] = [row["id"] for row in world.rows(PURCHASE.select()) if row["number"] == area(415, 1)[0]]
    world.deliver(next(one for one in world.sent if one.kwargs.get("purchase_id") == refused))
    world.sent.clear()
    assert (world.tally().refused, world.tally().unsettled) == (1, 9)
    due.look(world.runtime)
    assert bool(world.sent) == takes_its_place


def test_a_search_shows_the_part_more_that_was_refused_before(world: Wishing) -> None:
    stocked(world, 90, 0, page=10)
    world.wish(60)
    world.search()
    world.buy_all()
    assert (world.tally().refused, kept(world)) == (20, [])
    world.search()
    assert kept(world) == area(415, 90)[80:]


def test_what_was_seen_long_ago_is_searched_for_again(world: Wishing) -> None:
    bought_but_for_the_first(world)
    world.later(seconds=FRESH.total_seconds() + 1)
    world.search()
    assert len(world.market().searches) == 2


def test_what_is_kept_grows_old_however_often_some_of_it_is_used(world: Wishing) -> None:
    bought_but_for_the_first(world)
    world.refuse(area(415, 11)[-1:])
    world.later(seconds=FRESH.total_seconds() - 1)
    world.search()
    world.buy_all()
    assert len(world.market().searches) == 1
    world.later(seconds=2)
    world.search()
    assert len(world.market().searches) == 2


def test_a_clock_that_was_set_back_makes_nothing_fresh(world: Wishing) -> None:
    bought_but_for_the_first(world)
    world.clock.advance(-5)
    world.search()
    assert len(world.market().searches) == 2


def test_what_another_account_showed_is_not_bought(world: Wishing) -> None:
    """The alias is another account's by now."""
    bought_but_for_the_first(world)
    others = replace(world.runtime.providers["first"], account="another-account")
    world.runtime = replace(world.runtime, providers={**world.runtime.providers, "first": others})
    world.market().offers = world.many(212, 30)
    world.search()
    assert world.alive() == sorted([*area(415, 10)[1:], *area(212, 1)])


def test_what_somebody_else_took_meanwhile_is_not_bought_twice(world: Wishing) -> None:
    bought_but_for_the_first(world)
    world.accept(area(415, 11)[-1], "first")
    world.search()
    assert [row["number"] for row in world.lines()] == [*area(415, 10), area(415, 12)[-1]]


def test_what_no_longer_fits_into_max_spend_is_not_bought(world: Wishing) -> None:
    """The first, at a dollar, is refused; the next that was seen costs two."""
    offers = [Candidate(number=one, price=priced("1.00")) for one in area(415, 10)]
    dear = [Candidate(number=one, price=priced("2.00")) for one in area(415, 12)[10:]]
    world.market().offers = offers + dear
    world.market("second").offers = []
    world.refuse(area(415, 1))
    order = world.wish(10, max_spend="10.00 USD")
    world.until_completed(order)
    assert world.alive() == area(415, 10)[1:]
    assert world.state()[0] == "short"


def test_it_goes_with_its_wish(world: Wishing) -> None:
    order = world.wish(10)
    world.search()
    assert kept(world) == area(415, 60)[10:]
    world.until_completed(order)
    assert kept(world) == []
    again = world.wish(5, key="other")
    world.search()
    assert kept(world)
    orders.cancel(world.runtime, again["id"])
    world.until_completed(again)
    assert kept(world) == []


def test_what_a_search_showed_that_is_not_of_now_is_bought_and_not_kept(world: Wishing) -> None:
    """A cache shows what was sold meanwhile: each of it would cost a refused call before the next search."""
    world.market().flaw = "a list that a cache has kept: age 240"
    bought_but_for_the_first(world)
    assert (world.alive(), kept(world)) == (area(415, 10)[1:], [])
    world.search()
    assert len(world.market().searches) == 2
