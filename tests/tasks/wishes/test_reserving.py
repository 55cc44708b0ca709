"""Orders by criteria that reserve: what is kept for us is bought as found, and nothing rests on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import RequestError
from tasks.providers.adapter import ProviderError
from tests.tasks.killing import killed_at, make_deadly
from tests.tasks.pools.supplying import area
from tests.tasks.scripted_provider import DENIED, THROTTLED
from tests.tasks.wishes.wishing import Market, Wishing


def reserving(market: Market, *, at_once: int = 25, less: int = 0, fails: Outcome | None = None) -> list[str]:
    """Have a shop reserve numbers, but for the last *less* of each call. Returns what it reserved, as it is."""
    reserved: list[str] = []

    def reserve(numbers: Sequence[str]) -> dict[str, str | None]:
        assert len(numbers) <= at_once
        if fails is not None:
            raise ProviderError(fails)
        kept = numbers[: len(numbers) - less]
        reserved.extend(kept)
        return dict.fromkeys(kept)

    shop: Any = market
    shop.reserve, shop.reserves_at_once, shop.reserves_for = reserve, at_once, 1800
    shop.names_reservations = False
    return reserved


def test_what_is_found_is_reserved_and_bought(world: Wishing) -> None:
    reserved = reserving(world.market(), at_once=4)
    world.until_completed(world.wish(10, reserve=True))
    assert sorted(reserved) == world.alive() == area(415, 10)
    assert {ask.reservation for ask in world.market().asks} == {None}
    assert world.state() == ("reached", None)


def test_who_does_not_ask_for_it_reserves_nothing(world: Wishing) -> None:
    reserved = reserving(world.market())
    world.until_completed(world.wish(10))
    assert (reserved, len(world.alive())) == ([], 10)


def test_what_is_not_reserved_is_bought_all_the_same_and_told_meanwhile(world: Wishing) -> None:
    reserved = reserving(world.market(), less=3)
    order = world.wish(62, reserve=True)
    world.search()
    assert len(reserved) == 60 - 3 * 3
    told = "first reserved 51 of 60; second reserved 0 of 2: it knows no reservations"
    assert world.state() == ("open", told)
    world.until_completed(order)
    assert (len(world.alive()), world.state()) == (62, ("reached", None))


@pytest.mark.parametrize(("outcome", "penalties"), [(THROTTLED, [7.0]), (DENIED, [])])
def test_a_reservation_that_fails_stops_nothing(world: Wishing, outcome: Outcome, penalties: list[float]) -> None:
    reserving(world.market(), fails=outcome)
    order = world.wish(10, reserve=True)
    world.search()
    assert (world.state()[1] or "").startswith("first reserved 0 of 10: ")
    assert world.pace.penalties == penalties
    world.until_completed(order)
    assert len(world.alive()) == 10


def test_a_doubtful_reservation_is_bought_without_it(world: Wishing) -> None:
    reserving(world.market(), fails=Outcome(kind=OutcomeKind.UNKNOWN, error="read timed out"))
    world.until_completed(world.wish(10, reserve=True))
    assert len(world.alive()) == 10


def test_fewer_than_are_wanted_at_least_are_not_reserved(world: Wishing) -> None:
    reserved = reserving(world.market())
    world.until_completed(world.wish(200, at_least=121, reserve=True))
    assert (reserved, world.state()[0], world.lines()) == ([], "failed", [])


@pytest.mark.parametrize("commit", [1, 2, 3, 4])
def test_whoever_dies_over_a_reservation_none_is_bought_twice(world: Wishing, commit: int) -> None:
    reserving(world.market())
    deadly = make_deadly(world)

    def order_and_search() -> None:
        world.wish(10, reserve=True)
        world.turn()

    assert killed_at(deadly, commit, order_and_search)
    order = world.wish(10, reserve=True)
    world.sent.clear()
    world.later(minutes=10)
    world.until_completed(order)
    numbers = [number for number, _ in world.market().charged]
    assert (len(world.alive()), len(numbers), len(set(numbers))) == (10, 10, 10)


def test_the_same_key_with_a_reservation_is_another_request(world: Wishing) -> None:
    order = world.wish(10, reserve=True)
    assert world.wish(10, reserve=True)["id"] == order["id"]
    for other in ({}, {"reserve": "yes"}):
        with pytest.raises(RequestError):
            world.wish(10, **other)
