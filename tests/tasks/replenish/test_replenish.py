"""A pool is topped up to its target and never by one number more, whoever runs, dies, takes or fails meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select, update

from schemas.pool_requests import TakeNumber
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.pools import POOL, POOL_NUMBER, PoolStatus, Slot
from schemas.tables.purchases import LINE, ORDER, PURCHASE
from tasks import orders
from tasks.lifecycle import accept
from tasks.messages import celery_tasks
from tasks.operator import retry_order
from tasks.pools.requests import take_and_return
from tasks.replenish import replenish
from tasks.replenish.replenish import NotNow
from tests.tasks.pools.supplying import NAME, Make, Supplied, area, minutes


def test_a_new_pool_is_filled_to_its_target_from_the_preferred_provider(world: Supplied) -> None:
    report = world.run()
    assert (report.level, report.missing, report.ordered, report.status) == (0, 10, 10, PoolStatus.OK)
    assert world.bought("first") == area(415, 10)
    assert world.bought("second") == []
    [order] = world.rows(select(ORDER))
    assert (order["id"], order["name"], order["lines"]) == (report.order_id, "pool support", 10)
    assert (order["status"], order["metadata"]) == (OrderStatus.OPEN, {"pool": NAME})
    places = world.places()
    purchases = {row["id"]: row for row in world.rows(select(PURCHASE))}
    assert [place["slot"] for place in places] == list(range(1, 11))
    for place in places:
        bought = purchases[place["purchase_id"]]
        assert (place["status"], place["tries"]) == (Slot.ORDERED, 1)
        assert (bought["number"], bought["provider"]) == (place["number"], place["provider"])
        assert bought["idempotency_key"] == f"pool:support:{place['slot']}:1"
        assert bought["metadata"] == {"pool": NAME}
    [done] = world.runs()
    assert (done["order_id"], done["level"], done["wanted"], done["ordered"]) == (order["id"], 0, 10, 10)


def test_what_is_bought_is_available_and_nothing_more_is_needed(world: Supplied) -> None:
    world.run()
    world.buy_all()
    assert world.settle_all() == 10
    searches = len(world.shop().searches)
    report = world.run()
    assert (report.level, report.missing, report.ordered, report.order_id) == (10, 0, 0, None)
    assert (len(world.shop().searches), len(world.runs())) == (searches, 1)
    assert {place["provider_number_id"] for place in world.places()} == {f"id-{n}" for n in range(1, 11)}


def take(world: Supplied, count: int, name: str = "m") -> None:
    assert take_and_return.take(world.runtime, TakeNumber(pool=NAME, count=count), name)["success"]


def stocked(world: Supplied) -> None:
    world.run()
    world.lead(Status.PURCHASED)
    world.settle_all()


def test_nothing_is_ordered_before_the_level_is_below_low(world: Supplied) -> None:
    stocked(world)
    take(world, 5, "a")
    assert world.run().ordered == 0
    take(world, 1, "b")
    assert world.run().ordered == 6
    assert world.level() == 10


def test_a_fill_that_one_run_may_not_finish_goes_on(make: Make) -> None:
    world = make(max_per_run=4)
    assert [world.run().ordered for _ in range(4)] == [4, 4, 2, 0]
    assert [row["ordered"] for row in world.runs()] == [4, 4, 2]
    assert world.told() == []


def test_a_fill_that_returned_numbers_finish_is_over(make: Make) -> None:
    world = make(max_per_run=8)
    world.run()
    world.lead(Status.PURCHASED)
    with world.write() as conn:
        conn.execute(update(POOL_NUMBER).where(POOL_NUMBER.c.slot > 8).values(status=Slot.AVAILABLE))
    assert world.run().ordered == 0
    take(world, 2)
    assert (world.level(), world.run().ordered) == (8, 0)


def test_a_run_is_not_due_before_its_time(world: Supplied) -> None:
    world.run()
    assert world.pool()["next_run_at"] == world.clock.moment + minutes(1)
    assert (world.pool()["last_run_at"], world.pool()["leased_until"]) == (world.clock.moment, None)
    for _ in range(2):
        with pytest.raises(NotNow, match="not due"):
            replenish.run(world.runtime, NAME)
    world.clock.advance(60)
    assert replenish.run(world.runtime, NAME).ordered == 0


def test_a_person_needs_not_wait(world: Supplied) -> None:
    world.run()
    world.lead(Status.FAILED, 3)
    assert replenish.run(world.runtime, NAME, by_person=True).ordered == 3


def test_a_look_changes_nothing(world: Supplied) -> None:
    report = replenish.run(world.runtime, NAME, by_person=True, dry_run=True)
    assert [offer.number for offer in report.candidates] == area(415, 10)
    assert (report.missing, report.ordered, report.order_id) == (10, 0, None)
    for table in (POOL, POOL_NUMBER, PURCHASE, ORDER):
        assert world.rows(select(table)) == []


def test_what_is_taken_while_it_searches_is_replaced_too(world: Supplied) -> None:
    stocked(world)
    take(world, 6, "a")
    world.shop().happens.append(lambda: take(world, 3, "b"))
    report = world.run()
    assert (report.level, report.ordered, world.level()) == (1, 9, 10)


def test_what_is_bought_while_it_searches_is_not_ordered_again(world: Supplied) -> None:
    world.run()
    world.lead(Status.FAILED, 8)
    world.shop().happens.append(lambda: world.lead(Status.PURCHASED))
    assert world.run().ordered == 8
    assert world.level() == 10


def test_a_failed_number_is_replaced_by_another_in_its_place(world: Supplied) -> None:
    world.run()
    world.lead(Status.FAILED, 2)
    assert world.settle_all() == 2
    assert world.pool()["next_run_at"] == world.clock.moment
    report = replenish.run(world.runtime, NAME)
    assert [offer.number for offer in report.candidates] == area(415, 2, 10)
    assert [(place["slot"], place["tries"]) for place in world.places()][:3] == [(1, 2), (2, 2), (3, 1)]
    assert {row["idempotency_key"] for row in world.rows(select(PURCHASE))} >= {"pool:support:1:2", "pool:support:2:2"}


def test_a_number_that_failed_is_tried_again_after_a_day(make: Make) -> None:
    world = make(low=1, target=1, providers=["first"])
    world.shop().offers = world.shop().offers[:1]
    assert world.run().ordered == 1
    world.lead(Status.FAILED)
    assert world.run().ordered == 0
    world.clock.advance(24 * 3600 + 1)
    assert world.run().ordered == 1


def test_a_place_whose_numbers_always_fail_waits_for_its_schedule_after_five(make: Make) -> None:
    world = make(low=1, target=1, schedule="1h")
    world.run()
    for tries in range(1, 5):
        world.lead(Status.FAILED)
        world.settle_all()
        assert world.pool()["next_run_at"] == world.clock.moment, tries
        assert replenish.run(world.runtime, NAME).ordered == 1
    world.lead(Status.FAILED)
    world.settle_all()
    with pytest.raises(NotNow):
        replenish.run(world.runtime, NAME)
    world.clock.advance(3600)
    assert replenish.run(world.runtime, NAME).ordered == 1
    assert world.places()[0]["tries"] == 6


def test_numbers_that_are_ours_released_or_in_another_pool_are_left_out(world: Supplied) -> None:
    for n in range(3):
        accept.accept_one(world.runtime, BuyNumber(number=area(415, 3)[n], provider="first"))
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == area(415, 3)[0]).values(status=Status.RELEASED))
        conn.execute(
            POOL_NUMBER.insert().values(
                pool="other", slot=1, status=Slot.TAKEN, tries=1, number=area(415, 4)[3], updated_at=world.clock.moment
            )
        )
    report = world.run()
    assert [offer.number for offer in report.candidates] == area(415, 10, 4)


def test_a_number_offered_twice_is_ordered_once(world: Supplied) -> None:
    world.shop().offers = world.shop().offers[:2] * 3
    world.shop("second").offers = world.shop().offers[:1] + world.shop("second").offers[:3]
    assert [offer.number for offer in world.run().candidates] == [*area(415, 2), *area(628, 3)]


def test_what_another_order_buys_meanwhile_is_not_the_pools(world: Supplied) -> None:
    def bought_elsewhere() -> None:
        order = orders.begin(world.runtime, name="file.csv")
        request = BuyNumber(number=area(415, 1)[0], provider="first")
        orders.load(world.runtime, order["id"], [(1, request)])

    world.points["searched"] = bought_elsewhere
    report = world.run()
    assert [offer.number for offer in report.candidates] == area(415, 10, 1)
    assert len(world.rows(select(LINE).where(LINE.c.order_id == report.order_id))) == 10
    # the other's order is still loading, and its purchase is still its own
    [other] = world.rows(select(PURCHASE).where(PURCHASE.c.number == area(415, 1)[0]))
    assert other["order_id"] != report.order_id
    assert world.level() == 10


def test_no_more_than_the_daily_limit_is_bought_in_24_hours(make: Make) -> None:
    world = make(daily_limit=12)
    stocked(world)
    take(world, 10)
    assert world.run().ordered == 2
    assert world.told()[-1][1]["reason"] == "daily_limit: 12 of 12 numbers in 24 hours are spent, and 10 were wanted"
    # a call may be executed late
    world.clock.advance(24 * 3600 + 240)
    assert world.run().ordered == 0
    world.clock.advance(60)
    # the first ten are a day old, the last two are not: ten may be bought, and eight are missing
    assert world.run().ordered == 8


def test_failed_numbers_do_not_count_for_the_daily_limit(make: Make) -> None:
    world = make(daily_limit=10)
    world.run()
    world.lead(Status.FAILED, 4)
    assert world.run().ordered == 4
    assert world.run().ordered == 0


def test_held_purchases_count_unless_they_are_left_out(make: Make) -> None:
    world = make()
    world.run()
    world.lead(Status.HELD)
    assert world.run().ordered == 0
    assert world.pool()["status"] == PoolStatus.BLOCKED
    assert replenish.run(world.runtime, NAME, by_person=True, without_held=True).ordered == 10
    assert world.supply().level(with_held=False) == 10
    world.configure(count_held=False)
    assert world.run().ordered == 0


def test_a_message_delivered_twice_orders_once(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_tasks, "current", lambda: world.runtime)
    for _ in range(2):
        celery_tasks.replenish_pool(pool=NAME)
    assert (len(world.rows(select(ORDER))), world.level()) == (1, 10)


def test_a_message_that_cannot_be_served_now_ends_quietly(
    world: Supplied, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise RedisConnectionError("gone")

    monkeypatch.setattr(celery_tasks, "current", lambda: world.runtime)
    celery_tasks.replenish_pool(pool="gone")
    world.pace.reserve = away
    celery_tasks.replenish_pool(pool=NAME)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "'gone' is due, and this worker's file lacks it" in caplog.text


def test_without_redis_the_run_stays_due(world: Supplied) -> None:
    def away(*_: Any) -> None:
        raise RedisConnectionError("gone")

    reserve, world.pace.reserve = world.pace.reserve, away
    with pytest.raises(RedisConnectionError):
        world.run()
    world.pace.reserve = reserve
    assert (world.pool()["leased_until"], world.pool()["status"]) == (None, PoolStatus.OK)
    assert replenish.run(world.runtime, NAME).ordered == 10


def test_the_order_of_a_pool_is_not_retried_by_hand(world: Supplied) -> None:
    report = world.run()
    world.lead(Status.FAILED)
    assert report.order_id is not None
    with pytest.raises(orders.OrderError, match="dialstock pool run support"):
        retry_order.retry(world.runtime, report.order_id)


def test_after_a_search_that_showed_too_few_the_next_comes_soon(world: Supplied) -> None:
    world.configure(schedule="6h")
    page, rest = world.shop().offers[:4], world.shop().offers[4:]
    world.shop().offers, world.shop("second").offers = page, []
    report = world.run()
    assert (report.ordered, report.status, report.reason) == (4, PoolStatus.OK, None)
    assert world.pool()["next_run_at"] == world.clock.moment + timedelta(seconds=10)
    world.shop().offers = rest
    world.clock.advance(10)
    assert replenish.run(world.runtime, NAME).ordered == 6
    assert world.pool()["next_run_at"] == world.clock.moment + timedelta(hours=6)


def test_a_run_held_back_by_its_own_limit_keeps_to_the_schedule(world: Supplied) -> None:
    world.configure(schedule="6h", max_per_run=4)
    assert world.run().ordered == 4
    assert world.pool()["next_run_at"] == world.clock.moment + timedelta(hours=6)
