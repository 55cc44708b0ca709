"""A number that stands in an order still loading, or is about to be cancelled, wanted by somebody else meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.outcomes import Outcome
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import PURCHASE
from tasks import orders
from tasks.ledger.orders.cancel import cancel
from tasks.ledger.rows import Row
from tasks.reports.queries import find_order, order_counts, order_results
from tests.tasks.orders.test_orders import begin, counts, run, submit
from tests.tasks.scripted_provider import NOT_SENT, UNKNOWN
from tests.tasks.support import NUMBER, World, number

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


def during_its_call(world: World, action: Callable[[], object], answer: Outcome = NOT_SENT) -> None:
    """Have *action* happen while the next purchase is called for."""

    def buy(_: str) -> Outcome:
        action()
        return answer

    world.provider.script.append(buy)
    world.tick()


def only(world: World) -> Row:
    [row] = world.rows(select(PURCHASE))
    return row


def test_what_is_cancelled_during_its_call_goes_on_for_a_new_order(world: World) -> None:
    first, second = submit(world, 0), ""

    def change_mind() -> None:
        nonlocal second
        orders.cancel(world.runtime, first)
        second = submit(world, 0, 0)

    during_its_call(world, change_mind)
    assert (counts(world, first), counts(world, second)) == ({"queued": 1}, {"queued": 2})
    run(world)
    assert (counts(world, first), counts(world, second)) == ({"purchased": 1}, {"purchased": 2})
    assert world.attempts(only(world)["id"]) == ["not_sent", "purchased"]
    assert {status_of(world, one) for one in (first, second)} == {OrderStatus.COMPLETED}


def test_what_is_cancelled_in_doubt_goes_on_for_a_new_request(world: World) -> None:
    first = submit(world, 0)
    during_its_call(world, lambda: orders.cancel(world.runtime, first), UNKNOWN)
    assert only(world)["cancel_requested_at"] is not None
    row = world.accept(number(0), idempotency_key="new")
    assert (only(world)["id"], only(world)["order_id"], only(world)["cancel_requested_at"]) == (row["id"], None, None)
    run(world)
    assert counts(world, first) == {"purchased": 1}


@pytest.mark.parametrize("key", ["old", "new"])
def test_a_cancelled_request_goes_on_for_a_new_one_but_not_where_it_is_delivered_again(world: World, key: str) -> None:
    row = world.accept(idempotency_key="old")

    def ask_again() -> None:
        with world.write() as conn:
            cancel(conn, row["id"], world.clock())
        assert world.accept(idempotency_key=key)["id"] == row["id"]

    during_its_call(world, ask_again)
    assert world.settle(row["id"])["status"] == (Status.CANCELLED if key == "old" else Status.PURCHASED)


def test_no_more_than_a_new_orders_limit_goes_on(world: World) -> None:
    world.provider.script += [UNKNOWN] * 3
    first = submit(world, 0, 1, 2)
    world.tick()
    orders.cancel(world.runtime, first)
    second = str(orders.begin(world.runtime, max_purchases=2)["id"])
    lines = [(n, BuyNumber(number=number(n), provider="acme")) for n in range(3)]
    orders.load(world.runtime, second, lines)
    rows = world.rows(select(PURCHASE))
    assert sorted((row["order_id"] == second, row["cancel_requested_at"] is None) for row in rows) == [
        (False, False),
        (True, True),
        (True, True),
    ]


def test_what_an_order_took_from_a_cancel_keeps_its_key_where_the_order_is_given_up(world: World) -> None:
    row = world.accept(number(0), idempotency_key="k")
    second = ""

    def change_mind() -> None:
        nonlocal second
        with world.write() as conn:
            cancel(conn, row["id"], world.clock())
        second = begin(world, 0)

    during_its_call(world, change_mind)
    assert only(world)["order_id"] == second
    orders.abandon(world.runtime, second)
    assert world.accept(number(0), idempotency_key="k")["id"] == row["id"]
    assert only(world)["status"] == Status.CANCELLED


def test_a_number_that_is_named_twice_is_taken_over_once(world: World) -> None:
    begin(world, 0)
    second = submit(world, 0, 0)
    assert counts(world, second) == {"queued": 2}
