"""What a pool buys in any 24 hours costs no more than its bound, and what has no price is not bought under one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from schemas.money import Price, read_price
from schemas.outcomes import Candidate
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.pools import PoolStatus
from schemas.tables.purchases import PURCHASE
from tests.tasks.pools.supplying import Make, Supplied, area, supplied
from tests.tasks.pools.test_daily_limit import (
    ALIASES,
    DAY,
    HOUR,
    buy,
    empty,
    live,
    old,
    over_days,
    record,
    release_at_once,
    say,
)
from tests.tasks.support import clear
from workers.database.connections import SqlDatabase

__all__ = ["old"]


def at(monthly: str | None, setup: str | None, currency: str = "USD") -> Price | None:
    return read_price(monthly=monthly, setup=setup, currency=currency)


def offer(world: Supplied, *prices: Price | None, alias: str = "first", code: int = 415) -> None:
    numbers = area(code, len(prices))
    world.shop(alias).offers = [Candidate(number=one, price=price) for one, price in zip(numbers, prices, strict=True)]


def test_only_what_fits_is_ordered_and_the_pool_says_so(make: Make) -> None:
    world = make(max_spend="7.00 USD", low=10, target=10, providers=["first"])
    offer(world, *[at("1.50", "0.5")] * 10)
    report = world.run()
    assert (report.ordered, report.status) == (3, PoolStatus.EXHAUSTED)
    assert report.reason is not None
    assert "max_spend: 7.00 USD of 7.00 USD is left in 24 hours: 7 numbers cost more" in report.reason
    buy(world)
    assert world.run().ordered == 0
    offer(world, *[at("0.5", "0.5")] * 10, code=628)
    assert world.run().ordered == 1
    report = world.run()
    assert (report.ordered, report.reason) == (0, "max_spend: 0.00 USD of 7.00 USD is left in 24 hours")
    buy(world)
    assert world.count(Status.PURCHASED) == 4
    world.clock.advance(24 * HOUR + 360)
    offer(world, *[at("1", "1")] * 10, code=212)
    assert world.run().ordered == 3


@pytest.mark.parametrize("price", [None, at("1", None), at(None, "1"), at("1", "1", "EUR"), at("8", "0")])
def test_what_cannot_be_counted_is_passed_over(make: Make, price: Price | None) -> None:
    world = make(max_spend="7.00 USD", low=2, target=2, providers=["first"])
    offer(world, price, at("1", "0"))
    report = world.run()
    assert (report.ordered, [one.number for one in report.candidates]) == (1, area(415, 2)[1:])
    assert report.reason is not None
    assert "1 numbers cost more, or tell no setup and monthly price in its currency" in report.reason


def priced(world: Supplied, **price: Any) -> None:
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(**{"monthly_price": "1", "setup_price": "1", "currency": "USD", **price}))


def test_what_waits_is_held_back_by_it_and_bought_later(old: Supplied) -> None:
    charged = record(old)
    priced(old)
    old.configure(daily_limit=0, max_spend="10.00 USD")
    say(old, Verdict.RETRY)
    buy(old)
    # four of today cost 8.00
    assert (len(charged), old.count(Status.QUEUED)) == (1, 3)
    assert old.run().status == PoolStatus.EXHAUSTED
    old.clock.advance(24 * HOUR + 360)
    buy(old)
    assert (len(charged), old.count(Status.QUEUED)) == (4, 0)


def test_what_is_counted_waits_where_more_may_be_spent_than_it_allows(make: Make) -> None:
    world = make(max_spend="8.00 USD", low=4, target=4, providers=["first"])
    offer(world, *[at("1", "1")] * 4)
    charged = record(world)
    world.run()
    world.lead(Status.HELD, 2, doubt=True)
    world.lead(Status.PURCHASED, 2)
    world.configure(max_spend="7.00 USD")
    say(world, Verdict.RETRY)
    buy(world)
    assert (charged, world.count(Status.QUEUED)) == ([], 2)
    world.clock.advance(24 * HOUR + 360)
    buy(world)
    assert (len(charged), world.count(Status.QUEUED)) == (2, 0)


def test_nothing_is_bought_while_what_was_is_not_known(old: Supplied) -> None:
    charged = record(old)
    priced(old, setup_price=None)
    old.configure(daily_limit=0, max_spend="100.00 USD")
    say(old, Verdict.RETRY)
    buy(old)
    assert (charged, old.count(Status.QUEUED)) == ([], 4)
    empty(old)
    told = "what 8 numbers of these 24 hours cost, or will, is not known in the currency of max_spend"
    assert told in str(old.run().reason)


@pytest.mark.parametrize("attempt", range(3))
def test_releases_at_two_providers_at_once_keep_to_it(make: Make, attempt: int) -> None:
    world = make(daily_limit=0, low=20, target=20)
    world.shop().offers = world.shop().offers[:10]
    world.run()
    world.run()
    priced(world)
    world.configure(max_spend="21.99 USD")
    release_at_once(world)
    assert world.count(Status.DISPATCHED) == 10


def test_it_holds_in_any_24_hours(database: SqlDatabase) -> None:
    over_days(database, keeps_to_it)


def keeps_to_it(database: SqlDatabase, days: list[tuple[float, str, str]]) -> None:
    clear(database)
    bound = Decimal(9)
    world = supplied(database, max_spend=f"{bound} USD", low=3, target=6, policies={"max_attempts": 4})
    prices = {}
    for alias, code in (("first", 415), ("second", 628)):
        costs = [at(f"{1 + n % 3}", "0.5") for n in range(60)]
        offer(world, *costs, alias=alias, code=code)
        prices |= dict(zip(area(code, 60), [Decimal(1 + n % 3) + Decimal("0.5") for n in range(60)], strict=True))
    moments = spending(world, prices)
    for seconds, does, act in days:
        world.clock.advance(seconds)
        live(world, does, act)
    for first, _ in moments:
        assert sum(price for moment, price in moments if first <= moment < first + DAY) <= bound


def spending(world: Supplied, prices: dict[str, Decimal]) -> list[tuple[datetime, Decimal]]:
    """The moments and prices of all charges from now on."""
    charged: list[tuple[datetime, Decimal]] = []
    for alias in ALIASES:
        shop = world.shop(alias)

        def charge(wanted: str, *, charge: Any = shop.charge, **fields: Any) -> Any:
            charged.append((world.clock.moment, prices[wanted]))
            return charge(wanted, **fields)

        object.__setattr__(shop, "charge", charge)
    return charged
