"""Where the preferred provider has nothing to give, the next one steps in; nothing is alive at both."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from schemas.outcomes import Outcome, OutcomeKind
from schemas.pool_requests import TakeNumber
from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.pools import PoolStatus
from schemas.tables.purchases import PURCHASE
from tasks.ledger.queue import pausing
from tasks.ledger.requests.accept import Entry, accept, accept_lines, begin_order
from tasks.ledger.rows import new_id
from tasks.policies.pause import Cause, Pause
from tasks.pools.requests import take_and_return
from tasks.replenish import replenish
from tests.tasks.pools.supplying import NAME, Make, Supplied, area
from tests.tasks.support import Killed, die

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
    take_and_return.take(world.runtime, TakeNumber(pool=NAME, count=3), "m")
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
    world = make(policies={"daily_limit": 4}, target=4, low=4)
    world.run()
    world.others(4)
    world.lead(Status.PURCHASED, 4, call_deadline=world.clock.moment)
    assert (world.run().ordered, world.level()) == (4, 4)
    assert (world.bought("first"), world.bought("second")) == (area(212, 4), area(628, 4))


def test_a_provider_whose_probe_is_due_is_asked_for_nothing_else_may_come_to_try_it(world: Supplied) -> None:
    with world.write() as conn:
        stopped = Pause(cause=Cause.ACCOUNT, reason="for a test", cooldown=60.0)
        pausing.pause(conn, "first", stopped, world.clock())
    world.clock.advance(59)
    assert world.run().reasons == {"first": "is paused: for a test"}
    world.clock.advance(2)
    world.configure(target=12, low=12)
    world.run()
    assert world.bought("first") == area(415, 2)


@pytest.mark.parametrize("closed", ["is paused: for a test", "has spent its daily_limit of 10"])
def test_what_waits_in_doubt_where_nothing_is_bought_blocks_its_pool(make: Make, closed: str) -> None:
    world = make(policies={"daily_limit": 10}, providers=["first"], low=10)
    world.run()
    paused = "paused" in closed
    with world.write() as conn:
        tried = {"doubt": True, "call_deadline": None if paused else world.clock.moment}
        conn.execute(update(PURCHASE).values(**tried))
    if paused:
        world.stop_provider()
    for _ in range(2):
        report = world.run()
        assert (report.status, report.reason) == (PoolStatus.BLOCKED, f"10 purchases wait at first, which {closed}")
    assert [name for name, _ in world.told()] == ["blocked"]


def test_what_somebody_else_asked_for_too_stays_where_it_waits(world: Supplied) -> None:
    world.run()
    of_order, single = (
        Entry(request=BuyNumber(number=number, provider="first", idempotency_key=key), account="first-account", line=1)
        for number, key in zip(area(415, 2), (None, "crm-1"), strict=True)
    )
    order = {"id": new_id(), "idempotency_key": None, "fingerprint": None, "metadata": {}}
    with world.write() as conn:
        begin_order(conn, order, world.clock())
        accept_lines(conn, order["id"], [of_order], world.clock())
        accept(conn, [single], world.clock())
    world.stop_provider()
    assert (world.run().moved, world.run().moved) == (8, 0)
    assert (world.bought("first"), world.bought("second")) == (area(415, 2), area(628, 8))


def test_what_waits_stays_where_nobody_else_has_a_number(world: Supplied) -> None:
    world.run()
    world.stop_provider()
    world.shop("second").offers = world.shop("second").offers[:4]
    assert world.run().ordered == 4
    assert (len(world.bought("first")), len(world.bought("second")), world.level()) == (6, 4, 10)
    # its next page may have others
    assert world.pool()["next_run_at"] == world.clock.moment + replenish.NEXT_PAGE
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


def test_what_waits_for_longer_than_a_day_counts_until_it_gives_way(make: Make) -> None:
    world = make(daily_limit=6, low=6, target=6)
    world.run()
    world.clock.advance(25 * 3600)
    world.configure(target=10, low=10)
    assert world.run().ordered == 0
    world.stop_provider()
    assert world.run().ordered == 6
    assert (len(world.bought("first")), len(world.bought("second")), world.level()) == (0, 6, 6)
