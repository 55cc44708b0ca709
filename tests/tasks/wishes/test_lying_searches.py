"""Orders by criteria at providers whose search lies: only what was asked for is bought, and no more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import select

from schemas.money import Price, read_price
from schemas.outcomes import Candidate
from schemas.requests import RequestError
from schemas.tables.purchases import PURCHASE
from tasks.operator import retry_order
from tests.schemas.prices import a_month
from tests.tasks.pools.supplying import area
from tests.tasks.wishes.wishing import Wishing


def show(world: Wishing, *numbers: str, alias: str = "first", price: Price | None = None) -> None:
    world.market(alias).offers = [Candidate(number=one, price=price) for one in numbers]


def test_a_number_that_is_shown_again_and_again_is_one(world: Wishing) -> None:
    show(world, *area(415, 1) * 50)
    order = world.wish(5)
    world.until_completed(order)
    assert world.alive() == [*area(415, 1), *area(628, 4)]


def test_a_number_of_two_providers_is_bought_once(world: Wishing) -> None:
    show(world, *area(415, 5))
    show(world, *area(415, 8), alias="second")
    world.until_completed(world.wish(8))
    rows = world.rows(select(PURCHASE))
    assert (len(world.alive()), len({row["number"] for row in rows})) == (8, 8)


@pytest.mark.parametrize(
    "numbers",
    [
        ["+442071838750", "+4915112345678"],  # other countries
        area(212, 3),  # another prefix
        ["+18005550100"],  # another type
        ["+14165550100"],  # Canada's, of the same calling code
    ],
)
def test_what_was_not_asked_for_is_never_bought(world: Wishing, numbers: list[str]) -> None:
    show(world, *numbers, *area(415, 2))
    world.market("second").offers = []
    world.until_completed(world.wish(5, prefix="415"))
    assert world.alive() == area(415, 2)
    assert world.state()[0] == "short"


def test_what_is_shown_and_never_sold_ends_the_search(world: Wishing) -> None:
    """All of it is refused, too few for a pause, and shown again."""
    show(world, *area(415, 15))
    world.refuse(area(415, 15))
    market = world.market()
    market.gone = Forgetful()
    world.until_completed(world.wish(5, providers=["first"]))
    assert len(world.lines()) == 15
    assert (world.alive(), world.state()[0]) == ([], "short")
    assert len(market.searches) < 60


class Forgetful(set[str]):
    """What was sold stays in the list."""

    def add(self, _: str) -> None:
        """Forget it."""


def test_what_is_excluded_is_never_bought_whatever_is_retried(world: Wishing) -> None:
    show(world, *area(415, 4))
    order = world.wish(4, providers=["first"], exclude=area(415, 2))
    for _ in range(2):
        world.until_completed(order)
        assert world.alive() == area(415, 2, 2)
        assert retry_order.retry(world.runtime, order["id"]).wishes == 1


@pytest.mark.parametrize("told", ["-1", "-0.01", "NaN", "Infinity", "1e3", "1,50", "", None, True, [1], "9" * 13])
def test_a_price_that_is_none_is_not_told(told: object) -> None:
    assert read_price(monthly=told, setup=told, currency="USD") is None


def test_what_costs_nothing_is_bought_within_any_bound(world: Wishing) -> None:
    show(world, *area(415, 3), price=Price(monthly=Decimal(0), setup=Decimal(0), currency="USD"))
    world.until_completed(world.wish(3, providers=["first"], max_price="0.01 USD", max_spend="0.01 USD"))
    assert len(world.alive()) == 3


def test_a_negative_price_frees_no_money(world: Wishing) -> None:
    """Only an adapter of another distribution could tell one: those of ours read none."""
    negative = Price(monthly=Decimal(-100), setup=Decimal(0), currency="USD")
    dear = Price(monthly=Decimal(3), setup=Decimal(0), currency="USD")
    numbers = area(415, 6)
    world.market().offers = [Candidate(number=numbers[0], price=negative)]
    world.market().offers += [Candidate(number=one, price=dear) for one in numbers[1:]]
    world.until_completed(world.wish(6, providers=["first"], max_spend="5 USD"))
    assert world.alive() == numbers[1:2]


def test_a_price_in_another_currency_is_not_below_max_price(world: Wishing) -> None:
    show(world, *area(415, 3), price=a_month("0.10 EUR"))
    world.market("second").offers = []
    world.until_completed(world.wish(3, max_price="1.00 USD"))
    assert (world.alive(), world.state()[0]) == ([], "failed")


def test_a_message_with_another_body_under_its_key_changes_nothing(world: Wishing) -> None:
    order = world.wish(3)
    for other in ({"count": 4}, {"prefix": "415"}, {"exclude": area(415, 1)}, {"at_least": 2}, {"metadata": {"a": 1}}):
        with pytest.raises(RequestError, match="came before with another request"):
            world.wish(**{"count": 3, **other})
    world.until_completed(order)
    assert len(world.alive()) == 3
