"""How a pool stands is told once for each change, with what there is to do."""

from __future__ import annotations

from datetime import timedelta

from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.pools import PoolStatus
from tests.tasks.clock import START
from tests.tasks.pools.supplying import NAME, Supplied


def test_an_exhausted_pool_tells_it_once_and_when_it_is_filled(world: Supplied) -> None:
    world.shop().offers = world.shop().offers[:3]
    world.shop("second").failing = Outcome(kind=OutcomeKind.UNKNOWN, error="HTTP 500")
    for _ in range(3):
        world.run()
        world.clock.advance(60)
    # the first run found some, and did not know yet that there are no more
    second_run = START + timedelta(seconds=60)
    reason = "first: the search finds no more; second: the search failed: HTTP 500"
    data = {
        "pool": NAME,
        "status": "exhausted",
        "reason": reason,
        "available": 0,
        "on_the_way": 3,
        "held": 0,
        "wanted": 7,
        "low": 5,
        "target": 10,
    }
    assert world.told() == [("exhausted", data)]
    assert (world.pool()["status"], world.pool()["reason"], world.pool()["since"]) == ("exhausted", reason, second_run)
    # what ordered nothing is written down once, where it is new
    assert [row["ordered"] for row in world.runs()] == [3, 0]
    world.shop("second").failing = None
    world.run()
    assert [name for name, _ in world.told()] == ["exhausted", "recovered"]
    assert (world.pool()["status"], world.pool()["reason"]) == ("ok", None)


def test_a_run_that_could_order_nothing_is_written_down_once(world: Supplied) -> None:
    for alias in ("first", "second"):
        world.shop(alias).offers = []
    for _ in range(3):
        world.run()
    [row] = world.runs()
    assert (row["order_id"], row["wanted"], row["ordered"]) == (None, 10, 0)
    assert row["reason"] == "first: the search finds no more; second: the search finds no more"


def test_a_pool_that_only_held_purchases_keep_up_is_blocked(world: Supplied) -> None:
    world.run()
    world.lead(Status.HELD, 6)
    for _ in range(2):
        world.run()
    [(kind, data)] = world.told()
    assert kind == "blocked"
    assert (data["held"], data["on_the_way"], data["wanted"]) == (6, 4, 0)
    assert "6 held purchases count" in data["reason"]
    assert "`dialstock pool run support --without-held`" in data["reason"]
    world.run(by_person=True, without_held=True)
    assert [name for name, _ in world.told()] == ["blocked", "recovered"]


def test_held_purchases_that_keep_nothing_up_block_nothing(world: Supplied) -> None:
    world.run()
    world.lead(Status.HELD, 5)
    world.run()
    assert world.pool()["status"] == PoolStatus.OK
    world.configure(count_held=False)
    world.lead(Status.HELD)
    world.run()
    assert world.pool()["status"] == PoolStatus.OK
    assert world.told() == []


def test_a_pool_whose_purchases_wait_at_a_paused_provider_is_blocked(world: Supplied) -> None:
    world.run()
    for alias in ("first", "second"):
        world.stop_provider(alias)
    world.run()
    [(kind, data)] = world.told()
    assert (kind, data["reason"]) == ("blocked", "10 purchases wait at first, which is paused: for a test")


def test_a_change_from_one_trouble_to_another_is_told(world: Supplied) -> None:
    world.run()
    world.lead(Status.HELD)
    world.run()
    world.configure(low=20, target=20)
    for alias in ("first", "second"):
        world.shop(alias).offers = []
    world.run()
    assert [name for name, _ in world.told()] == ["blocked", "exhausted"]
