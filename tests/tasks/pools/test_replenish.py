"""A pool is topped up to its target and never by one number more, whoever runs, dies, takes or fails meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select, update

from schemas.outcomes import Candidate, Outcome, OutcomeKind
from schemas.pool_requests import TakeNumber
from schemas.pool_tables import POOL, POOL_NUMBER, PoolStatus, Slot
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables import LINE, ORDER, PURCHASE
from tasks import accepting, entry, orders
from tasks.pools import replenish, stock, taking
from tasks.pools.replenish import NotNow
from tasks.providers.base import SearchQuery
from tests.tasks.pools.supplying import NAME, Supplied, area, minutes, supplied
from tests.tasks.support import Killed, clear, die
from workers.database import SqlDatabase

Make = Callable[..., Supplied]


@pytest.fixture
def make(database: SqlDatabase) -> Make:
    def build(**fields: Any) -> Supplied:
        return supplied(database, **fields)

    return build


@pytest.fixture
def world(make: Make) -> Supplied:
    return make()


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
    assert taking.take(world.runtime, TakeNumber(pool=NAME, count=count), name)["success"]


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


@pytest.mark.parametrize("by_person", [False, True])
def test_another_run_waits_for_the_one_that_searches(world: Supplied, by_person: bool) -> None:
    def another() -> None:
        with pytest.raises(NotNow, match="topped up already"):
            replenish.run(world.runtime, NAME, by_person=by_person)

    world.shop().happens.append(another)
    assert world.run().ordered == 10
    assert len(world.shop().searches) == 1


def test_two_runs_past_their_lease_order_once(world: Supplied) -> None:
    def another() -> None:
        world.clock.advance(3600)
        assert replenish.run(world.runtime, NAME).ordered == 10

    world.shop().happens.append(another)
    assert world.run().ordered == 0
    assert (world.level(), len(world.places()), len(world.rows(select(ORDER)))) == (10, 10, 1)


@pytest.mark.parametrize("point", ["leased", "searched", "ordering"])
def test_a_killed_run_is_made_up_once(world: Supplied, point: str) -> None:
    world.points[point] = die
    with pytest.raises(Killed):
        world.run()
    assert (world.places(), world.rows(select(PURCHASE)), world.rows(select(ORDER))) == ([], [], [])
    with pytest.raises(NotNow, match="topped up already"):
        replenish.run(world.runtime, NAME)
    world.clock.moment = world.pool()["leased_until"]
    assert replenish.run(world.runtime, NAME).ordered == 10
    with pytest.raises(NotNow):
        replenish.run(world.runtime, NAME)
    assert world.level() == 10


def at_once(action: Callable[[], object], count: int) -> None:
    threads = [threading.Thread(target=action) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_of_two_messages_at_once_one_gets_the_lease(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    world.configure(schedule="1d")
    barrier = threading.Barrier(2)
    find_pool = stock.find_pool
    answers: list[object] = []

    def found_due(*args: Any) -> Any:
        state = find_pool(*args)
        barrier.wait(30)
        return state

    def one() -> None:
        try:
            answers.append(replenish.run(world.runtime, NAME).ordered)
        except NotNow:
            answers.append("not now")

    monkeypatch.setattr(stock, "find_pool", found_due)
    at_once(one, 2)
    assert sorted(answers, key=str) == [10, "not now"]
    assert len(world.shop().searches) == 1


def test_many_runs_at_once_never_pass_the_target(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    # without leases, all of them counted before the first has ordered, and each found other numbers
    barrier = threading.Barrier(6)
    turns = iter(range(6))

    def search(_query: SearchQuery) -> list[Candidate]:
        mine = 10 * next(turns)
        barrier.wait(30)
        return [Candidate(number=one) for one in area(415, 10, mine)]

    def reached(point: str) -> None:
        if point == "leased":
            with world.write() as conn:
                conn.execute(update(POOL).values(leased_until=None, next_run_at=world.clock.moment))

    monkeypatch.setattr(world.shop(), "search", search)
    world.runtime = replace(world.runtime, reached=reached)
    ordered: list[int] = []

    def one() -> None:
        while True:
            with suppress(NotNow):
                ordered.append(replenish.run(world.runtime, NAME).ordered)
                return

    at_once(one, 6)
    assert sorted(ordered) == [0, 0, 0, 0, 0, 10]
    assert (world.level(), len(world.bought())) == (10, 10)


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
        accepting.accept_one(world.runtime, BuyNumber(number=area(415, 3)[n], provider="first"))
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


def test_what_is_accepted_at_the_same_instant_is_not_the_pools(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # between the count and the insert: nobody can write there on SQLite
    database = request.getfixturevalue("_postgres_database_of_the_session")
    clear(database)
    world = supplied(database)
    accept_lines = replenish.accept_lines
    tries = []

    def meanwhile(*args: Any) -> Any:
        tries.append(args)
        if len(tries) == 1:
            accepting.accept_one(world.runtime, BuyNumber(number=area(415, 1)[0], provider="first"))
        return accept_lines(*args)

    monkeypatch.setattr(replenish, "accept_lines", meanwhile)
    report = world.run()
    assert len(tries) == 2
    assert [offer.number for offer in report.candidates] == area(415, 10, 1)
    assert len(world.rows(select(ORDER))) == 1
    assert world.level() == 10


FAILING = {
    "500": Outcome(kind=OutcomeKind.UNKNOWN, http_status=500, error="HTTP 500"),
    "429": Outcome(kind=OutcomeKind.THROTTLED, http_status=429, error="HTTP 429", retry_after=7.0),
    "time-out": Outcome(kind=OutcomeKind.UNKNOWN, error="read timed out", error_code="read_timeout"),
}


@pytest.mark.parametrize("name", FAILING)
def test_the_next_provider_steps_in_for_one_whose_search_fails(world: Supplied, name: str) -> None:
    world.shop().failing = FAILING[name]
    report = world.run()
    assert world.bought() == area(628, 10)
    assert report.reasons == {"first": f"the search failed: {FAILING[name].error}"}
    assert report.status == PoolStatus.OK
    assert world.pace.penalties == ([7.0] if name == "429" else [])


def test_the_next_provider_gives_what_the_first_does_not_have(world: Supplied) -> None:
    world.shop().offers = world.shop().offers[:4]
    assert world.run().reasons == {"first": "the search finds no more"}
    assert world.bought() == [*area(415, 4), *area(628, 6)]


def test_a_paused_provider_is_not_asked(world: Supplied) -> None:
    world.stop_provider()
    report = world.run()
    assert (world.bought(), world.shop().searches) == (area(628, 10), [])
    assert report.reasons == {"first": "is paused: for a test"}


def test_a_provider_whose_daily_limit_is_spent_is_not_asked(make: Make) -> None:
    world = make(policies={"daily_limit": 3}, target=3, low=3)
    world.run()
    world.lead(Status.PURCHASED, call_deadline=world.clock.moment)
    world.settle_all()
    take(world, 3)
    report = world.run()
    assert report.reasons == {"first": "has spent its daily_limit of 3"}
    assert world.bought("second") == area(628, 3)


def test_what_waits_at_a_paused_provider_gives_way_to_the_next_ones_numbers(world: Supplied) -> None:
    world.run()
    dispatched = world.lead(Status.DISPATCHED, 2)
    world.lead(Status.PURCHASING, 1)
    with world.write() as conn:
        doubtful = area(415, 10)[9]
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == doubtful).values(doubt=True))
        # taken back by the pause otherwise
        conn.execute(update(PURCHASE).where(PURCHASE.c.id.in_(dispatched)).values(status=Status.PURCHASING))
    world.stop_provider()
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id.in_(dispatched)).values(status=Status.DISPATCHED))
    report = world.run()
    assert (report.missing, report.ordered, report.status) == (0, 6, PoolStatus.OK)
    assert world.bought("first") == [*area(415, 3), doubtful]
    assert world.bought("second") == area(628, 6)
    assert (world.level(), world.count(Status.CANCELLED)) == (10, 6)
    assert world.run().ordered == 0


def test_what_waits_at_a_provider_that_has_spent_its_limit_gives_way_too(make: Make) -> None:
    world = make(policies={"daily_limit": 4}, target=6, low=6)
    world.run()
    world.lead(Status.PURCHASED, 4, call_deadline=world.clock.moment)
    assert world.run().ordered == 2
    assert (len(world.bought("first")), len(world.bought("second")), world.level()) == (4, 2, 6)


def test_what_waits_stays_where_nobody_else_has_a_number(world: Supplied) -> None:
    world.run()
    world.stop_provider()
    world.shop("second").offers = world.shop("second").offers[:4]
    assert world.run().ordered == 4
    assert (len(world.bought("first")), len(world.bought("second")), world.level()) == (6, 4, 10)
    world.stop_provider("second")
    assert world.run().ordered == 0
    assert (len(world.bought("first")), len(world.bought("second"))) == (6, 4)


def test_a_run_killed_while_numbers_give_way_has_done_nothing(world: Supplied) -> None:
    world.run()
    world.stop_provider()
    world.points["ordering"] = die
    with pytest.raises(Killed):
        world.run()
    assert (world.bought(), world.count(Status.CANCELLED)) == (area(415, 10), 0)


def test_giving_way_keeps_to_a_runs_bound_and_to_the_daily_limit(make: Make) -> None:
    world = make(max_per_run=3, daily_limit=6, low=6, target=6)
    world.run()
    world.run()
    world.stop_provider()
    # what gives way is not bought: its place in the limit goes to the other's number
    assert [world.run().ordered for _ in range(3)] == [3, 3, 0]
    assert (len(world.bought("first")), len(world.bought("second"))) == (0, 6)


def test_what_waited_for_longer_than_a_day_counts_anew_where_it_gives_way(make: Make) -> None:
    world = make(daily_limit=6, low=6, target=6)
    world.run()
    world.clock.advance(25 * 3600)
    world.configure(target=10, low=10)
    assert world.run().ordered == 4
    world.stop_provider()
    assert world.run().ordered == 6
    assert (len(world.bought("first")), len(world.bought("second")), world.level()) == (4, 6, 10)


def test_no_more_than_the_daily_limit_is_bought_in_24_hours(make: Make) -> None:
    world = make(daily_limit=12)
    stocked(world)
    take(world, 10)
    assert world.run().ordered == 2
    assert world.told()[-1][1]["reason"] == "daily_limit: 12 numbers in 24 hours are spent"
    world.clock.advance(24 * 3600 - 60)
    assert world.run().ordered == 0
    world.clock.advance(61)
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
    monkeypatch.setattr(entry, "current", lambda: world.runtime)
    for _ in range(2):
        entry.replenish_pool(pool=NAME)
    assert (len(world.rows(select(ORDER))), world.level()) == (1, 10)


def test_a_message_that_cannot_be_served_now_ends_quietly(
    world: Supplied, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any) -> None:
        raise RedisConnectionError("gone")

    monkeypatch.setattr(entry, "current", lambda: world.runtime)
    entry.replenish_pool(pool="gone")
    world.pace.reserve = away
    entry.replenish_pool(pool=NAME)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert "'gone' is due, and it is not configured" in caplog.text


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
        orders.retry(world.runtime, report.order_id)


def test_a_long_life_never_passes_the_target(make: Make, seed: int) -> None:
    rng = random.Random(seed)
    world = make(low=4, target=8, max_per_run=5)
    world.shop().offers += [Candidate(number=one) for one in area(415, 900, 100)]
    for n in range(40):
        world.clock.advance(rng.choice([1, 70, 4000]))
        status = rng.choice([Status.PURCHASED, Status.FAILED, Status.HELD, Status.CANCELLED, Status.UNKNOWN])
        world.lead(status, rng.randrange(4))
        if rng.random() < 0.5:
            world.settle_all()
        taking.take(world.runtime, TakeNumber(pool=NAME, count=rng.randrange(1, 4)), f"m{n}")
        before = world.level()
        point = rng.choice(["leased", "searched", "ordering", "none"])
        world.points[point] = die
        try:
            report = replenish.run(world.runtime, NAME, by_person=rng.random() < 0.5)
        except (NotNow, Killed):
            assert world.level() == before
        else:
            assert world.level() == before + report.ordered <= max(8, before), report
        world.points.clear()
