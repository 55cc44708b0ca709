"""A number that stands in an order still loading, wanted by somebody else meanwhile."""

from __future__ import annotations

from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from tasks import orders
from tasks.queries import find_order, order_counts, order_results
from tests.tasks.support import NUMBER, World

REQUEST = BuyNumber(number=NUMBER, provider="acme")


def loading_order(world: World) -> str:
    order_id = str(orders.begin(world.runtime)["id"])
    orders.load(world.runtime, order_id, [(1, REQUEST)])
    return order_id


def status_of(world: World, order_id: str) -> str:
    with world.runtime.database.read() as conn:
        return str((find_order(conn, order_id) or {})["status"])


def test_a_single_request_does_not_wait_for_the_load(world: World) -> None:
    loading = loading_order(world)
    row = world.accept()
    assert world.row(row["id"])["order_id"] is None
    orders.abandon(world.runtime, loading)
    assert world.row(row["id"])["status"] != Status.CANCELLED


def test_another_order_takes_the_purchase_with_it(world: World) -> None:
    loading, whole = loading_order(world), loading_order(world)
    orders.finish(world.runtime, whole)
    orders.abandon(world.runtime, loading)
    with world.runtime.database.read() as conn:
        (line,) = order_results(conn, whole)
        assert (line["order_id"], line["status"]) == (whole, Status.QUEUED)
        assert [row["count"] for row in order_counts(conn, whole)] == [1]


def test_the_order_that_lost_it_waits_for_it_and_gets_it_back(world: World) -> None:
    first, second = loading_order(world), loading_order(world)
    orders.finish(world.runtime, first)
    orders.complete_finished(world.runtime)
    assert status_of(world, first) == OrderStatus.OPEN
    with world.runtime.database.read() as conn:
        assert [row["count"] for row in order_counts(conn, first)] == [1]
    orders.abandon(world.runtime, second)
    with world.runtime.database.read() as conn:
        (line,) = order_results(conn, first)
        assert (line["order_id"], line["status"]) == (first, Status.QUEUED)


def test_an_open_order_keeps_its_purchases(world: World) -> None:
    first = loading_order(world)
    orders.finish(world.runtime, first)
    loading_order(world)
    with world.runtime.database.read() as conn:
        (line,) = order_results(conn, first)
    assert line["order_id"] == first
