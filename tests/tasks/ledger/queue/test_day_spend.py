"""What an account may spend in any 24 hours, as purchases are released."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from schemas.money import Price, parse_money, read_price
from schemas.settling import Verdict
from schemas.status import Status
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.ledger.queue import pausing
from tasks.ledger.queue.purses import Bound, cost
from tasks.lifecycle import release_and_sweep
from tasks.operator import resolve
from tests.tasks.clock import START
from tests.tasks.ledger.queue.test_dispatch import Make, many, order, release_both, twins
from tests.tasks.pools.supplying import supplied
from tests.tasks.pools.test_daily_limit import DAY, HOUR, live, over_days, resume
from tests.tasks.pools.test_max_spend import at, offer, spending
from tests.tasks.scripted_provider import REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import ACCOUNT, World, clear, number
from tests.waiting import at_once
from workers.database.connections import SqlDatabase

SPENDS: dict[str, Any] = {"max_spend": "6 USD", "cost_if_unknown": "2 USD"}
NEXT_DAY = 24 * HOUR + 360


def cost_of(world: World, **columns: str | None) -> None:
    """What every purchase costs that there is."""
    with world.write() as conn:
        conn.execute(
            update(PURCHASE).values(**{"monthly_price": "1", "setup_price": "1", "currency": "USD", **columns})
        )


def play(world: World, rounds: int = 10, seconds: float = 10) -> None:
    for _ in range(rounds):
        world.tick()
        world.clock.advance(seconds)


def waiting(world: World) -> int:
    return len(world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.QUEUED)))


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("priced", [True, False])
def test_no_more_is_spent_in_24_hours(make: Make, single: bool, priced: bool) -> None:
    world = make(**SPENDS)
    (many if single else order)(world, 10)
    if priced:
        cost_of(world)
    for bought in (3, 6, 9, 10):
        play(world, 20)
        assert len(world.provider.charged) == bought
        world.clock.advance(NEXT_DAY)


def test_a_single_purchase_that_fits_goes_at_once_and_another_waits(make: Make) -> None:
    world = make(**SPENDS)
    assert [world.accept(number(n))["status"] for n in range(4)] == [Status.DISPATCHED] * 3 + [Status.QUEUED]
    world.work()
    assert (world.release(), waiting(world)) == (0, 1)


def test_what_is_refused_or_not_executed_costs_nothing_and_what_is_in_doubt_counts_once(make: Make) -> None:
    world = make(**SPENDS)
    world.provider.script += [REFUSED, THROTTLED, UNKNOWN]
    many(world, 8)
    play(world, 60)
    assert len(world.provider.charged) == 3


@pytest.mark.parametrize("status", sorted(Status))
def test_all_that_may_be_charged_counts_for_a_day_after_its_call(make: Make, status: Status) -> None:
    world = make(**SPENDS)
    many(world, 3)
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status, call_deadline=world.clock.moment, due_at=None))
    many(world, 3, first=10)
    free = status in (Status.FAILED, Status.CANCELLED, Status.QUEUED)
    assert world.release() == (3 if free else 0)


def test_a_message_that_comes_twice_and_a_new_process_spend_no_more(make: Make) -> None:
    world = make(**SPENDS)
    many(world, 6)
    for _ in range(4):
        world.runtime = replace(world.runtime)
        world.release()
        world.sent *= 2
        world.work()
        world.clock.advance(10)
    assert len(world.provider.charged) == 3


@pytest.mark.parametrize("seconds", [-25 * HOUR, -60.0, 0.0, 23 * HOUR])
def test_a_clock_that_is_set_within_a_day_spends_no_more(make: Make, seconds: float) -> None:
    """An hour before midnight, and set from there."""
    world = make(**SPENDS)
    world.clock.advance(23 * HOUR)
    many(world, 3)
    play(world, 3)
    many(world, 3, first=10)
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == Status.QUEUED).values(due_at=START - DAY))
    world.clock.set(seconds)
    play(world)
    assert len(world.provider.charged) == 3


@pytest.mark.parametrize("attempt", range(3))
def test_workers_that_release_both_aliases_at_once_spend_no_more(make: Make, attempt: int) -> None:
    world = make(**SPENDS)
    twins(world, 20)

    def work(alias: str) -> None:
        # Another process remembers nothing of what this one counted.
        runtime = replace(world.runtime)
        for _ in range(10):
            release_and_sweep.release_due(runtime, runtime.providers[alias])

    assert at_once(*[partial(work, alias) for alias in ("acme", "twin") * 2]) == [None] * 4
    # Each may have stood in the other's way to the end.
    release_both(world)
    assert len(world.sent) == 3


def test_what_costs_more_than_is_left_does_not_stand_before_what_fits(make: Make) -> None:
    world = make(**SPENDS, max_in_flight=2)
    many(world, 5)
    cost_of(world, monthly_price="6.50")
    many(world, 2, first=10)
    with world.write() as conn:
        other = {"monthly_price": "1", "setup_price": "0", "currency": "EUR"}
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == number(0)).values(**other))
    play(world)
    assert (len(world.provider.charged), waiting(world)) == (2, 5)


def test_what_was_bought_in_another_currency_leaves_nothing_for_a_day(make: Make) -> None:
    world = make(**SPENDS)
    many(world, 1)
    cost_of(world, currency="EUR")
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=Status.PURCHASED, call_deadline=world.clock.moment))
    many(world, 1, first=10)
    play(world)
    assert world.provider.charged == []
    world.clock.advance(NEXT_DAY)
    play(world)
    assert len(world.provider.charged) == 1


@pytest.mark.parametrize("account", [ACCOUNT, "stranger"])
@pytest.mark.parametrize("alias_account", [ACCOUNT, "other-account"])
def test_what_the_account_bought_under_another_alias_counts(make: Make, account: str, alias_account: str) -> None:
    """Under a former name, and under one that is another account by now."""
    world = make(**SPENDS)
    many(world, 2)
    play(world, 1)
    alias = [{"provider": "other", "account": alias_account, "updated_at": world.clock()}]
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(provider="other", account=account))
        conn.execute(insert(PROVIDER), alias)
    world.clock.advance(60)
    many(world, 4, first=10)
    play(world)
    counts = ACCOUNT in (account, alias_account)
    assert len(world.provider.charged) == (3 if counts else 5)


def test_what_a_person_has_bought_again_on_another_day_counts_then(make: Make) -> None:
    world = make(**SPENDS)
    many(world, 3)
    with world.write() as conn:
        held = {"status": Status.HELD, "doubt": True, "call_deadline": world.clock.moment, "due_at": None}
        conn.execute(update(PURCHASE).values(**held))
    world.clock.advance(NEXT_DAY)
    many(world, 2, first=10)
    play(world, 1)
    rows = world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.HELD))
    said = [resolve.Resolution(purchase_id=row["id"], verdict=Verdict.RETRY) for row in rows]
    resolve.resolve(world.runtime, said, "ann")
    play(world)
    assert len(world.provider.charged) == 3


@pytest.mark.parametrize("more", [{}, {"daily_limit": 4}])
def test_what_is_counted_waits_where_more_may_be_spent_than_the_day_allows(make: Make, more: dict[str, int]) -> None:
    world = make(**SPENDS, **more)
    many(world, 4)
    cost_of(world)
    called = {"call_deadline": world.clock.moment}
    with world.write() as conn:
        ids = [row["id"] for row in conn.execute(select(PURCHASE).order_by(PURCHASE.c.number)).mappings()]
        conn.execute(update(PURCHASE).values(status=Status.PURCHASED, **called))
        doubtful = {"status": Status.QUEUED, "doubt": True}
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == ids[0]).values(doubtful))
    play(world)
    assert world.provider.charged == []
    world.clock.advance(NEXT_DAY)
    play(world)
    assert len(world.provider.charged) == 1


def test_a_probe_keeps_to_it(make: Make) -> None:
    world = make(**SPENDS)
    many(world, 3)
    play(world, 3)
    many(world, 1, first=10)
    world.pause(cooldown=1)
    world.clock.advance(1)
    assert world.release() == 0
    with world.write() as conn:
        pausing.resume(conn, "acme", world.clock(), by_machine=False)
    assert world.release() == 0


def test_an_order_and_its_own_limit_keep_to_it(make: Make) -> None:
    world = make(**SPENDS)
    order(world, 10)
    with world.write() as conn:
        conn.exec_driver_sql("UPDATE purchase_order SET max_purchases = 4")
    play(world, 20)
    assert len(world.provider.charged) == 3
    world.clock.advance(NEXT_DAY)
    play(world, 20)
    assert len(world.provider.charged) == 4


@pytest.mark.parametrize(
    ("price", "counts"),
    [
        (None, "2"),
        (read_price(monthly="1", setup="0.5", currency="USD"), "1.5"),
        (read_price(monthly="1", setup=None, currency="USD"), "2"),
        (read_price(monthly=None, setup="3", currency="USD"), "3"),
        (read_price(monthly="1", setup="0.5", currency="EUR"), None),
        (read_price(monthly="1", setup=None, currency="EUR"), None),
    ],
)
def test_a_number_that_does_not_tell_its_price_counts_as_no_less_than_what_it_tells(
    price: Price | None, counts: str | None
) -> None:
    six, two = (parse_money(text) for text in ("6 USD", "2 USD"))
    assert cost(price, six, two) == (counts and Decimal(counts))
    assert Bound(six, Decimal(2), two).covers(price) == (counts is not None and Decimal(counts) <= 2)


def test_it_holds_in_any_24_hours_over_pools(database: SqlDatabase) -> None:
    over_days(database, keeps_to_it, examples=10)


def test_it_holds_where_most_of_a_pool_is_held(database: SqlDatabase) -> None:
    doubts = [(6 * HOUR, "run", "fails"), (23.5 * HOUR, "fail", "sells"), (6 * HOUR, "outage", "sells")]
    keeps_to_it(database, [*doubts, (60.0, "take", "refuses"), (60.0, "run", "fails")])


def keeps_to_it(database: SqlDatabase, days: list[tuple[float, str, str]]) -> None:
    clear(database)
    bound = Decimal(9)
    world = supplied(database, low=3, target=6, policies={"max_spend": f"{bound} USD", "cost_if_unknown": "4 USD"})
    prices = {}
    for alias, code in (("first", 415), ("second", 628)):
        costs = [at(f"{1 + n % 3}", "0.5") if n % 4 else None for n in range(60)]
        offer(world, *costs, alias=alias, code=code)
        numbers = [one.number for one in world.shop(alias).offers]
        prices |= {one: Decimal("1.5") + n % 3 if n % 4 else Decimal(4) for n, one in enumerate(numbers)}
    moments = spending(world, prices)
    for seconds, does, act in days:
        world.clock.advance(seconds)
        live(world, does, act)
        # Each of the two has an account of its own.
    for first, _ in moments:
        assert sum(price for moment, price in moments if first <= moment < first + DAY) <= 2 * bound
    resume(world)
    for _ in range(4):
        world.clock.advance(25 * HOUR)
        live(world, "run", "sells")
    # What is held counts until a person settles it.
    supply = world.supply()
    assert supply.available + supply.moving + supply.on_the_way.get("held", 0) >= 3
