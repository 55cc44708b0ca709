"""What an order by criteria may spend: never passed, whatever becomes of its numbers."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from sqlalchemy import event, select, update

from schemas.money import Price, read_price
from schemas.outcomes import Candidate
from schemas.requests import RequestError
from schemas.status import DEAD, Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.orders import cancel
from tasks.lifecycle import release_and_sweep
from tasks.operator import retry_order
from tests.tasks.pools.supplying import area
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.wishes.test_persons import ours_after_all, say_not_ours
from tests.tasks.wishes.wishing import Wishing


def at(monthly: str | None, setup: str | None = "0.5", currency: str = "USD") -> Price | None:
    return read_price(monthly=monthly, setup=setup, currency=currency)


def offer(world: Wishing, *prices: Price | None, alias: str = "first", code: int = 415) -> list[str]:
    numbers = area(code, len(prices))
    world.market(alias).offers = [
        Candidate(number=one, price=price) for one, price in zip(numbers, prices, strict=True)
    ]
    return numbers


def spent(world: Wishing) -> Decimal:
    query = select(PURCHASE.c.monthly_price, PURCHASE.c.setup_price).where(PURCHASE.c.status.not_in(DEAD))
    return sum((Decimal(row["monthly_price"]) + Decimal(row["setup_price"]) for row in world.rows(query)), Decimal(0))


def test_what_does_not_fit_is_not_bought_and_the_reason_says_so(world: Wishing) -> None:
    offer(world, *[at("1.5")] * 10)
    world.market("second").offers = []
    world.until_completed(world.wish(10, max_spend="7.00 USD"))
    assert (len(world.alive()), spent(world), world.state()[0]) == (3, 6, "short")
    told = world.state()[1] or ""
    assert told.startswith("7 are missing")
    assert "7 of those it found cost more than 1.00 USD, which is left of max_spend" in told


def test_a_cheaper_one_elsewhere_takes_what_is_left(world: Wishing) -> None:
    offer(world, *[at("1.5")] * 10)
    offer(world, at("0.5"), at("0.5"), alias="second", code=628)
    world.until_completed(world.wish(10, max_spend="7.00 USD"))
    assert (world.alive(), spent(world)) == ([*area(415, 3), *area(628, 1)], 7)
    assert world.state() == ("short", "6 are missing; nothing is left of max_spend, 7.00 USD")


@pytest.mark.parametrize("price", [None, at("1", None), at(None, "1"), at("1", "1", "EUR"), at("8", "0")])
def test_what_cannot_be_counted_is_passed_over(world: Wishing, price: Price | None) -> None:
    numbers = offer(world, price, at("1"))
    world.market("second").offers = []
    world.until_completed(world.wish(2, max_spend="7.00 USD"))
    assert world.alive() == numbers[1:]
    assert "1 of those it found cost more than 5.50 USD, which is left of max_spend, or do not show" in str(
        world.state()
    )


def test_at_least_is_judged_by_what_fits(world: Wishing) -> None:
    offer(world, *[at("1.5")] * 10)
    world.market("second").offers = []
    world.until_completed(world.wish(10, at_least=4, max_spend="7.00 USD"))
    assert (world.alive(), world.state()[0]) == ([], "failed")
    assert "3 were found within 7.00 USD, which is left of max_spend, and at_least is 4" in str(world.state()[1])


def test_all_wishes_of_an_order_share_it(world: Wishing) -> None:
    offer(world, *[at("1.5")] * 10)
    offer(world, *[at("1.5")] * 10, alias="second", code=628)
    world.until_completed(world.wish(5, prefix=["415", "628"], max_spend="7.00 USD"))
    assert (len(world.alive()), spent(world)) == (3, 6)


def test_what_is_refused_gives_its_money_back(world: Wishing) -> None:
    numbers = offer(world, *[at("1.5")] * 10)
    world.refuse(numbers[:2])
    world.until_completed(world.wish(3, max_spend="6.00 USD"))
    assert (world.alive(), world.state()[0]) == (numbers[2:5], "reached")


def test_what_is_in_doubt_and_what_is_held_counts(world: Wishing) -> None:
    numbers = offer(world, *[at("1.5")] * 10)
    world.market().script.append(UNKNOWN)
    world.market("second").offers = []
    order = world.wish(10, max_spend="4.00 USD")
    for _ in range(8):
        world.turn()
    assert world.alive() == numbers[:2]
    world.until_completed(order)
    assert spent(world) == 4


def test_a_retry_stays_within_it(world: Wishing) -> None:
    offer(world, *[at("1.5")] * 10)
    world.market("second").offers = []
    order = world.wish(10, max_spend="7.00 USD")
    for _ in range(3):
        world.until_completed(order)
        assert spent(world) == 6
        retry_order.retry(world.runtime, order["id"])


def test_a_late_yes_has_what_does_not_fit_any_more_given_up(world: Wishing) -> None:
    """What still fits is bought."""
    offer(world, *[at("1.5")] * 3)
    offer(world, *[at("0.5")] * 3, alias="second", code=628)
    order = world.wish(4, max_spend="5.00 USD")
    world.search()
    [held] = world.lead(Status.HELD, 1)
    say_not_ours(world, held)
    world.search()
    assert spent(world) == 5
    world.lead(Status.PURCHASED, 1)
    ours_after_all(world, held)
    assert spent(world) == 7
    world.until_completed(order)
    assert spent(world) == 5
    assert {row["error_code"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.CANCELLED} == {
        "gave_way"
    }


def test_what_waits_with_a_doubt_is_not_called_for_once_others_have_spent_it(world: Wishing) -> None:
    """What a restored database takes in was bought, whatever is left; so is what a late answer tells."""
    offer(world, *[at("1.5")] * 2)
    world.market("second").offers = []
    order = world.wish(2, max_spend="4.00 USD")
    world.search()
    world.lead(Status.HELD, 1, doubt=True)
    world.lead(Status.PURCHASED, 1)
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == Status.PURCHASED).values(monthly_price="3"))
        waits = {"status": Status.QUEUED, "due_at": world.clock.moment, "finished_at": None}
        conn.execute(update(PURCHASE).where(PURCHASE.c.doubt).values(waits))
    for alias in ("first", "second"):
        assert release_and_sweep.release_due(world.runtime, world.runtime.providers[alias]) == 0
    world.until_completed(order)
    assert (world.market().charged, world.count(Status.HELD), world.count(Status.PURCHASED)) == ([], 1, 1)


def test_what_a_row_says_it_costs_counts(world: Wishing) -> None:
    """A price that turned out to be another one, written to the row."""
    offer(world, *[at("1.5")] * 10)
    world.market("second").offers = []
    order = world.wish(3, max_spend="6.00 USD")
    world.search()
    world.lead(Status.PURCHASED, 1)
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == Status.PURCHASED).values(monthly_price="3.50"))
    world.until_completed(order)
    assert (len(world.alive()), spent(world)) == (2, 6)


def test_what_an_order_spent_is_summed_up_once_for_a_release(world: Wishing) -> None:
    """Of a large order that takes longer than all else."""
    offer(world, *[at("1.5")] * 3)
    world.wish(3, max_spend="50 USD")
    world.search()
    summed = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        summed.extend(["once"] * ("GROUP BY purchase.monthly_price" in statement))

    event.listen(world.runtime.database.engine, "before_cursor_execute", note)  # type: ignore[attr-defined]
    first = world.runtime.providers["first"]
    assert release_and_sweep.release_due(world.runtime, first) == 3
    assert summed == ["once"]


def test_a_key_comes_with_its_bound(world: Wishing) -> None:
    world.wish(3, max_spend="6.00 USD")
    for other in ({"max_spend": "7.00 USD"}, {}):
        with pytest.raises(RequestError, match="came before with another request"):
            world.wish(3, **other)
    assert world.wish(3, max_spend="6 USD")["created"] is False


@pytest.mark.parametrize("attempt", range(3))
def test_two_workers_at_once_keep_to_it(world: Wishing, attempt: int) -> None:
    offer(world, *[at("1.5")] * 20)
    offer(world, *[at("1.5")] * 20, alias="second", code=628)
    order = world.wish(10, prefix=["415", "628"], max_spend="11.00 USD")
    gate = threading.Barrier(4)

    def work(position: int, alias: str) -> None:
        gate.wait()
        world.run_of(order["id"], position)
        for _ in range(3):
            release_and_sweep.release_due(world.runtime, world.runtime.providers[alias])

    threads = [threading.Thread(target=work, args=one) for one in ((1, "first"), (2, "second")) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent(world) == 10
    world.until_completed(order)
    assert spent(world) == 10


def test_what_a_person_cancelled_and_retries_stays_within_it(world: Wishing) -> None:
    offer(world, *[at("1.5")] * 10)
    order = world.wish(10, max_spend="7.00 USD")
    world.search()
    with world.write() as conn:
        cancel.cancel(conn, world.rows(select(PURCHASE))[0]["id"], world.clock())
    world.until_completed(order)
    retry_order.retry(world.runtime, order["id"])
    world.until_completed(order)
    assert spent(world) == 6
