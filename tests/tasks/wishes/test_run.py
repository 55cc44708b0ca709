"""Orders by criteria: found, written down, bought, replaced where refused; never more than asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.outcomes import Candidate
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.telemetry.traceparent import within
from tests.schemas.prices import a_month
from tests.tasks.pools.supplying import area
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import Killed, die
from tests.tasks.wishes.wishing import Wishing


def test_an_order_by_criteria_is_bought_from_the_preferred_provider(world: Wishing) -> None:
    order = world.wish(10)
    completed = world.until_completed(order)
    assert world.alive() == area(415, 10)
    assert (completed["lines"], world.state(), world.market("second").searches) == (10, ("reached", None), [])
    kinds = [kind for kind, _ in world.order_events()]
    assert kinds == ["request.accepted", "order.completed"]
    assert world.order_events()[-1][1]["wishes"] == {
        **{"count": 10, "found": 10, "bought": 10, "held": 0, "refused": 0, "missing": 0, "reasons": []}
    }


def test_what_is_found_later_is_of_its_orders_trace(world: Wishing) -> None:
    with within("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"):
        order = world.wish(3)
    world.until_completed(order)
    found = {row["traceparent"] for row in world.rows(select(PURCHASE))}
    assert found == {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def test_what_its_numbers_cost_is_kept(world: Wishing) -> None:
    world.market().offers = [Candidate(number=one, price=a_month("1.50 USD")) for one in area(415, 2)]
    world.until_completed(world.wish(2))
    told = {(row["monthly_price"], row["setup_price"], row["currency"]) for row in world.rows(select(PURCHASE))}
    assert told == {("1.50", None, "USD")}


def test_what_is_sold_meanwhile_is_replaced_and_the_next_provider_fills_up(world: Wishing) -> None:
    world.refuse(area(415, 60)[::3])
    order = world.wish(50)
    world.until_completed(order)
    assert len(world.alive()) == 50
    assert world.alive() == [*sorted({*area(415, 60)} - {*area(415, 60)[::3]}), *area(628, 10)]
    assert (world.state()[0], world.tally().refused, world.tally().bought) == ("reached", 20, 50)


def test_where_nothing_more_is_for_sale_it_ends_short_with_a_reason_for_each_provider(world: Wishing) -> None:
    order = world.wish(130)
    world.until_completed(order)
    assert len(world.alive()) == 120
    state, reason = world.state()
    assert state == "short"
    assert reason == "10 are missing; first: the search finds no more; second: the search finds no more"


def test_too_few_at_the_first_search_buy_nothing(world: Wishing) -> None:
    order = world.wish(200, at_least=121)
    world.until_completed(order)
    state, reason = world.state()
    assert (state, world.lines(), world.alive()) == ("failed", [], [])
    assert (reason or "").startswith("120 were found, and at_least is 121: nothing was bought; first: the search finds")


def turns_until(world: Wishing, check: Callable[[], bool]) -> None:
    for _ in range(100):
        if check():
            return
        world.turn()
    pytest.fail("did not happen in 100 s")


@pytest.mark.parametrize("at_least", [1, 3])
def test_an_empty_list_is_asked_for_again_before_it_is_believed(world: Wishing, at_least: int) -> None:
    """A gateway's is not to be told from the truth."""
    world.market("second").offers, offers = [], world.market().offers
    world.market().offers = offers[: at_least - 1]
    order = world.wish(5, at_least=at_least)
    world.turn()
    assert (world.state()[0], world.lines()) == ("open", [])
    assert f"at_least is {at_least}: nothing was bought" in str(world.state()[1])
    world.market().offers = offers
    world.until_completed(order)
    assert len(world.alive()) == 5


@pytest.mark.parametrize("found", [0, 3])
def test_an_empty_list_after_a_failed_search_is_asked_for_again(world: Wishing, found: int) -> None:
    world.market("second").offers, offers = [], world.market().offers
    world.market().offers = offers[:found]
    order = world.wish(5)
    for _ in range(5):
        world.turn()
    world.market().failing = UNKNOWN
    turns_until(world, lambda: world.wishes()[0]["fruitless"] == 2)
    world.market().failing, searches = None, len(world.market().searches)
    turns_until(world, lambda: len(world.market().searches) > searches)
    assert world.state()[0] == "open"
    world.market().offers = offers
    world.until_completed(order)
    assert len(world.alive()) == 5


def test_enough_at_the_first_search_is_found_over_all_providers(world: Wishing) -> None:
    world.until_completed(world.wish(110, at_least=110))
    assert len(world.alive()) == 110


def test_a_number_in_doubt_is_not_replaced_before_its_doubt_is_settled(world: Wishing) -> None:
    world.market().script.append(UNKNOWN)
    order = world.wish(10)
    for _ in range(8):
        world.turn()
    assert (world.tally().found, world.tally().unsettled) == (10, 1)
    world.market().offers = world.market().offers[:5]
    world.until_completed(order)
    assert len(world.alive()) == 10


def test_a_held_number_counts_and_the_order_says_so(world: Wishing) -> None:
    world.wish(3)
    world.search()
    world.lead(Status.HELD, 1)
    world.until_completed({"id": world.wishes()[0]["order_id"]})
    assert len(world.alive()) == 3
    assert world.state()[0] == "reached"
    assert world.why() == "1 are held, and not replaced before: dialstock purchase list --status held"
    (_, told) = world.order_events()[-1]
    assert told["wishes"]["reasons"] == [f"wish 1: {world.why()}"]


def test_a_paused_provider_and_a_failed_search_are_waited_for(world: Wishing) -> None:
    world.market().failing = UNKNOWN
    world.stop_provider("second")
    world.wish(10)
    for _ in range(40):
        world.turn()
    state, reason = world.state()
    assert (state, world.lines()) == ("open", [])
    assert "first: the search failed: read timed out" in (reason or "")
    assert "second: is paused: for a test" in (reason or "")
    # ever more seldom
    assert 2 <= len(world.market().searches) <= 4
    world.market().failing = None
    world.until_completed({"id": world.wishes()[0]["order_id"]})
    assert len(world.alive()) == 10


def test_it_is_given_up_in_the_end(world: Wishing) -> None:
    world.market().failing = UNKNOWN
    order = world.wish(10, providers=["first"], at_least=2)
    world.search()
    world.later(hours=49)
    world.turn()
    assert world.state()[0] == "failed"
    assert world.order(order["id"])["status"] == "completed"


@pytest.mark.parametrize("point", ["accepted", "leased", "searched", "ordering"])
def test_whoever_is_killed_another_goes_on_and_none_is_bought_twice(world: Wishing, point: str) -> None:
    world.points[point] = die
    try:
        world.wish(10)
        world.search()
    except Killed:
        pass
    order = world.wish(10)
    world.until_completed(order)
    assert (len(world.alive()), len(world.lines()), len(world.market().charged)) == (10, 10, 10)


def test_a_message_twice_is_one_order(world: Wishing) -> None:
    first, again = world.wish(10), world.wish(10)
    assert (first["id"], first["created"], again["created"]) == (again["id"], True, False)
    world.until_completed(first)
    assert world.wish(10)["id"] == first["id"]
    assert len(world.alive()) == 10


def test_two_runs_at_once_find_no_more_than_one(world: Wishing) -> None:
    world.wish(10)
    world.market().happens = [lambda: (world.later(minutes=10), world.search())]
    world.search()
    assert (len(world.lines()), len(world.alive())) == (10, 10)


def test_somebody_else_buys_what_was_found(world: Wishing) -> None:
    world.wish(10)
    world.market().happens = [lambda: [world.accept(one, "first") for one in area(415, 5)]]
    world.search()
    assert [row["number"] for row in world.lines()] == area(415, 10, 5)


def test_where_another_order_takes_all_that_was_found_it_is_searched_again(world: Wishing) -> None:
    world.market().page, world.market().has_pages = 10, False
    order = world.wish(2, providers=["first"])
    world.points["searched"] = lambda: [world.accept(one, "first") for one in area(415, 10)]
    world.search()
    assert world.state()[0] == "open"
    world.until_completed(order)
    assert [row["number"] for row in world.lines()] == area(415, 2, 10)


def test_each_prefix_is_a_wish_of_its_own(world: Wishing) -> None:
    world.market().offers += world.market("second").offers
    order = world.wish(5, prefix=["415", "628:3"], providers=["first"])
    world.until_completed(order)
    assert world.alive() == [*area(415, 5), *area(628, 3)]
    assert [row["count"] for row in world.wishes()] == [5, 3]


def test_numbers_behind_many_pages_of_what_is_ours_are_found(world: Wishing) -> None:
    world.market().offers = [Candidate(number=one) for one in area(415, 300)]
    unwanted = area(415, 290)
    world.until_completed(world.wish(10, exclude=unwanted, providers=["first"], at_least=10))
    assert world.alive() == area(415, 10, 290)
