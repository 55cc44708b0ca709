"""Lines that wait for long at a paused provider are found elsewhere, and never is more bought than was asked for."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from schemas.status import DEAD, Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.queue import pausing
from tasks.lifecycle import release_and_sweep
from tasks.policies.pause import Cause, Pause
from tests.tasks.killing import killed_at, make_deadly
from tests.tasks.pools.supplying import area
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.wishes.test_max_spend import at, offer, spent
from tests.tasks.wishes.wishing import Wishing


def gave_way(world: Wishing) -> list[str]:
    found = world.rows(select(PURCHASE).where(PURCHASE.c.error_code == "gave_way").order_by(PURCHASE.c.number))
    assert {row["status"] for row in found} <= {Status.CANCELLED}
    return [row["number"] for row in found]


def go_on(world: Wishing) -> None:
    with world.write() as conn:
        pausing.resume(conn, "first", world.clock(), by_machine=False)


def test_what_waits_for_long_is_found_elsewhere(world: Wishing) -> None:
    order = world.wish(10)
    world.search()
    world.lead(Status.PURCHASED, 4)
    world.stop_provider()
    for _ in range(20):
        world.turn()
    assert gave_way(world) == []
    world.later(minutes=10)
    world.until_completed(order)
    assert world.alive() == [*area(415, 4), *area(628, 6)]
    assert (gave_way(world), world.tally().refused, world.state()[0]) == (area(415, 6, 4), 6, "reached")
    [told] = {row["error"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.CANCELLED}
    assert told == "given up for another number: first is paused: for a test"


def test_only_as_many_as_others_have(world: Wishing) -> None:
    world.market("second").offers = world.market("second").offers[:3]
    order = world.wish(10)
    world.search()
    world.stop_provider()
    world.later(minutes=11)
    for _ in range(60):
        world.turn()
    assert (len(gave_way(world)), len(world.alive()), world.state()[0]) == (3, 10, "open")
    assert "7 wait for others, since first is paused: for a test" in str(world.state()[1])
    go_on(world)
    world.until_completed(order)
    assert (len(world.alive()), world.state()[0]) == (10, "reached")


def test_nothing_is_given_up_where_it_has_no_other_provider(world: Wishing) -> None:
    world.wish(10, providers=["first"])
    world.search()
    world.stop_provider()
    world.later(minutes=30)
    for _ in range(5):
        world.turn()
    assert (gave_way(world), world.wishes()[0]["searches"]) == ([], 1)


def test_what_is_in_doubt_is_never_given_up(world: Wishing) -> None:
    world.market().script.append(UNKNOWN)
    order = world.wish(3)
    world.search()
    release_and_sweep.release_due(world.runtime, world.runtime.providers["first"])
    world.work()
    world.lead(Status.PURCHASED, 1)
    [doubtful] = [row["number"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.UNKNOWN]
    world.stop_provider()
    world.later(minutes=11)
    for _ in range(60):
        world.turn()
    assert doubtful not in gave_way(world)
    go_on(world)
    world.until_completed(order)
    assert len(world.alive()) == 3


def test_what_somebody_else_asked_for_too_stays(world: Wishing) -> None:
    world.wish(3)
    world.search()
    world.accept(area(415, 1)[0], "first", idempotency_key="mine")
    world.stop_provider()
    world.later(minutes=11)
    for _ in range(20):
        world.turn()
    assert gave_way(world) == area(415, 2, 1)
    assert len(world.alive()) == 3


def test_nothing_is_given_up_while_the_database_is_behind(world: Wishing) -> None:
    """What it never called for may have been bought by what it lost."""
    world.wish(3)
    world.search()
    with world.write() as conn:
        pausing.pause(conn, "first", Pause(cause=Cause.BEHIND, reason="restored", cooldown=None), world.clock())
    world.later(minutes=30)
    for _ in range(5):
        world.turn()
    assert gave_way(world) == []


def test_a_provider_that_goes_on_meanwhile_keeps_what_it_was_called_for(world: Wishing) -> None:
    order = world.wish(10)
    world.search()
    world.stop_provider()
    world.later(minutes=11)
    first = world.runtime.providers["first"]

    def goes_on() -> None:
        go_on(world)
        release_and_sweep.release_due(world.runtime, first)

    world.market("second").happens = [goes_on]
    world.search()
    world.until_completed(order)
    assert len(world.alive()) == 10
    assert len(world.market().charged) + len(world.market("second").charged) == 10


@pytest.mark.parametrize("commit", [1, 2, 3])
def test_whoever_dies_over_it_none_is_bought_beyond_the_count(world: Wishing, commit: int) -> None:
    order = world.wish(10)
    world.search()
    world.stop_provider()
    world.later(minutes=11)
    deadly = make_deadly(world)
    assert killed_at(deadly, commit, world.turn)
    world.sent.clear()
    world.later(minutes=10)
    world.until_completed(order)
    assert len([row for row in world.rows(select(PURCHASE)) if row["status"] not in DEAD]) == 10
    assert len(world.market("second").charged) == 10


def test_two_runs_at_once_give_up_no_more_than_one(world: Wishing) -> None:
    world.wish(10)
    world.search()
    world.stop_provider()
    world.later(minutes=11)
    world.market("second").happens = [lambda: (world.later(minutes=10), world.search())]
    world.search()
    assert (len(world.alive()), len(world.lines())) == (10, 20)


def test_a_bound_in_money_is_kept_when_lines_move(world: Wishing) -> None:
    """What a line that waits costs is free only once it is given up."""
    offer(world, *[at("1.5")] * 10)
    offer(world, *[at("1.5")] * 10, alias="second", code=628)
    order = world.wish(4, max_spend="9.00 USD")
    world.search()
    world.stop_provider()
    world.later(minutes=11)
    for _ in range(200):
        world.turn()
        assert spent(world) <= 9
    world.until_completed(order)
    assert (len(world.alive()), len(gave_way(world)), spent(world)) == (4, 4, 8)
