"""Orders by criteria in the hands of a person: cancelled, retried, settled; never above what was asked for."""

from __future__ import annotations

from typing import Any

from schemas.settling import Verdict
from schemas.status import Status
from tasks import orders
from tasks.ledger import resolve
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders.reopen import reopen_orders
from tasks.ledger.resolve import Resolution, Settler
from tasks.ledger.rows import move, version
from tasks.operator import retry_order
from tests.tasks.pools.supplying import area
from tests.tasks.wishes.wishing import Wishing


def test_a_cancelled_order_finds_no_more(world: Wishing) -> None:
    order = world.wish(10)
    world.market().happens = [lambda: orders.cancel(world.runtime, order["id"])]
    world.search()
    assert (world.lines(), world.state()[0]) == ([], "cancelled")
    orders.complete_finished(world.runtime)
    assert world.order(order["id"])["status"] == "completed"


def test_a_cancelled_order_that_is_retried_is_bought_to_its_count(world: Wishing) -> None:
    order = world.wish(10)
    world.search()
    world.lead(Status.PURCHASED, 4)
    assert orders.cancel(world.runtime, order["id"]) == 6
    world.until_completed(order)
    assert (len(world.alive()), world.state()[0]) == (4, "cancelled")
    assert retry_order.retry(world.runtime, order["id"]).wishes == 1
    world.until_completed(order)
    assert (len(world.alive()), world.state()[0]) == (10, "reached")


def test_what_a_person_cancels_is_replaced_by_a_retry_only(world: Wishing) -> None:
    order = world.wish(10)
    world.search()
    world.lead(Status.CANCELLED, 2)
    world.until_completed(order)
    assert len(world.alive()) == 8
    assert world.state() == ("short", "2 were cancelled by a person")
    retry_order.retry(world.runtime, order["id"])
    world.until_completed(order)
    assert (len(world.alive()), world.state()) == (10, ("reached", None))


def test_a_retry_of_what_has_all_buys_nothing(world: Wishing) -> None:
    order = world.wish(10)
    world.refuse(area(415, 60)[::3])
    world.until_completed(order)
    assert world.tally().refused > 0
    assert retry_order.retry(world.runtime, order["id"]) == retry_order.Retried()
    world.turn()
    assert len(world.alive()) == 10


def test_a_short_order_looks_again_once_there_is_more(world: Wishing) -> None:
    order = world.wish(70, providers=["first"])
    world.until_completed(order)
    assert (len(world.alive()), world.state()[0]) == (60, "short")
    world.market().offers = world.market("second").offers
    assert retry_order.retry(world.runtime, order["id"]).wishes == 1
    world.until_completed(order)
    assert (len(world.alive()), world.state()[0]) == (70, "reached")
    assert [kind for kind, _ in world.order_events()][-2:] == ["order.completed", "order.updated"]


def held_one(world: Wishing) -> tuple[Any, str]:
    order = world.wish(3)
    world.search()
    [held] = world.lead(Status.HELD, 1)
    world.until_completed(order)
    return order, held


def say_not_ours(world: Wishing, purchase_id: str) -> None:
    one = Resolution(purchase_id=purchase_id, verdict=Verdict.FAIL)
    versions = {purchase_id: version(world.row(purchase_id))}
    with world.write() as conn:
        assert resolve.resolve(conn, [one], versions, Settler(by="test", now=world.clock()))


def ours_after_all(world: Wishing, purchase_id: str) -> None:
    """As an audit finds it."""
    with world.write() as conn:
        [row] = locked_with_orders(conn, [purchase_id])
        assert move(conn, row, Status.PURCHASED, world.clock())
        reopen_orders(conn, [purchase_id], world.clock())


def test_a_held_number_that_is_not_ours_is_replaced_by_a_retry_only(world: Wishing) -> None:
    order, held = held_one(world)
    say_not_ours(world, held)
    assert world.why() == "1 came to nothing since: dialstock order retry looks for others"
    world.until_completed(order)
    assert len(world.alive()) == 2
    retry_order.retry(world.runtime, order["id"])
    world.until_completed(order)
    assert (len(world.alive()), world.why()) == (3, None)


def test_what_was_held_and_is_ours_is_told_as_held_no_more(world: Wishing) -> None:
    _, held = held_one(world)
    ours_after_all(world, held)
    assert world.why() is None


def test_a_late_yes_after_its_replacement_is_told(world: Wishing) -> None:
    order, held = held_one(world)
    say_not_ours(world, held)
    retry_order.retry(world.runtime, order["id"])
    world.search()
    world.lead(Status.PURCHASED)
    ours_after_all(world, held)
    world.until_completed(order)
    assert len(world.alive()) == 4
    assert (world.state()[1] or "").startswith("1 more than asked for are ours, by a yes that came late")


def test_a_late_yes_before_its_replacement_is_bought_calls_that_off(world: Wishing) -> None:
    order, held = held_one(world)
    say_not_ours(world, held)
    retry_order.retry(world.runtime, order["id"])
    world.search()
    ours_after_all(world, held)
    world.until_completed(order)
    assert len(world.alive()) == 3
