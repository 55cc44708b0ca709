"""What stands in a pool is bought for it: who asks to buy it is sent to the pool, and nobody is told it is his."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from schemas.pool_requests import TakeNumber
from schemas.requests import BuyNumber, RequestError
from schemas.status import OrderStatus, Status
from schemas.tables.pools import POOL_NUMBER
from schemas.tables.purchases import EVENT, KEY, LINE, ORDER, PURCHASE
from tasks import orders
from tasks.ledger.orders.cancel import cancel
from tasks.ledger.requests.accept import Entry, accept
from tasks.lifecycle import accept as accepting
from tasks.operator import retry_order
from tasks.pools import stock
from tasks.pools.requests import take_and_return
from tasks.reports.queries import order_counts
from tests.tasks.pools.supplying import NAME, Supplied, area

MINE, *OTHERS = area(415, 10)
FREE = area(212, 1)[0]
MEND = f"{MINE} is in the pool support: take it with dialstock pool take support, or dialstock.take_number"


def fields(number: str = MINE, **more: Any) -> dict[str, Any]:
    return {"number": number, "provider": "first", **more}


def message(*numbers: str) -> dict[str, Any]:
    return {"requests": [fields(number) for number in numbers], "idempotency_key": "order-1"}


def single(world: Supplied) -> None:
    accepting.buy_number(world.runtime, fields(), "m-1")


def from_the_command_line(world: Supplied) -> None:
    orders.accept_single(world.runtime, BuyNumber(**fields()))


def by_an_order(world: Supplied) -> None:
    orders.submit_order(world.runtime, message(FREE, MINE), "m-1")


def rows(world: Supplied) -> list[int]:
    """How many there are of all that an acceptance writes."""
    return [world.rows(select(func.count().label("n")).select_from(of))[0]["n"] for of in (PURCHASE, KEY, ORDER, EVENT)]


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(RequestError) as caught:
        action()
    assert caught.value.code == "in_pool"
    return str(caught.value)


@pytest.mark.parametrize("stands", ["ordered", "available", "taken"])
@pytest.mark.parametrize("ask", [single, from_the_command_line, by_an_order])
def test_what_stands_in_a_pool_is_refused_to_others(
    world: Supplied, ask: Callable[[Supplied], None], stands: str
) -> None:
    world.run()
    if stands != "ordered":
        world.lead(Status.PURCHASED)
        world.settle_all()
    if stands == "taken":
        take_and_return.take(world.runtime, TakeNumber(pool=NAME, count=10), "t-1")
    before = rows(world)
    assert refusal(lambda: ask(world)).endswith(f"number: {MEND}")
    assert rows(world) == before


def test_an_order_is_refused_with_its_first_lines_named(world: Supplied) -> None:
    world.run()
    told = refusal(lambda: orders.submit_order(world.runtime, message(FREE, MINE, *OTHERS[:6]), "m-1"))
    assert told.startswith(f"requests.1.number: {MEND}; requests.2.number: {OTHERS[0]} is in")
    assert told.endswith("; and 2 more")
    assert told.count("requests.") == 5


def test_an_order_that_meets_a_pool_while_it_loads_is_given_up(world: Supplied) -> None:
    order_id = orders.begin(world.runtime)["id"]
    world.run()
    refusal(lambda: orders.load(world.runtime, order_id, [(1, BuyNumber(**fields()))]))
    [order] = world.rows(select(ORDER).where(ORDER.c.id == order_id))
    assert order["status"] == OrderStatus.ABANDONED
    assert world.bought() == [MINE, *OTHERS]


def test_what_came_to_nothing_before_the_pool_ordered_it_is_answered_as_before(world: Supplied) -> None:
    first = accepting.buy_number(world.runtime, fields(idempotency_key="crm-1"), "m-1")
    order = orders.submit_order(world.runtime, message(OTHERS[0]), "m-2")
    with world.write() as conn:
        cancel(conn, first["id"], world.clock())
    orders.cancel(world.runtime, order["id"])
    world.run()
    assert world.bought() == [MINE, *OTHERS]
    again = accepting.buy_number(world.runtime, fields(idempotency_key="crm-1"), "m-3")
    assert (again["id"], again["status"]) == (first["id"], Status.CANCELLED)
    assert orders.submit_order(world.runtime, message(OTHERS[0]), "m-4")["id"] == order["id"]
    keyed = {"requests": [fields(idempotency_key="crm-1")]}
    assert orders.submit_order(world.runtime, keyed, "m-5")["status"] == OrderStatus.LOADING


def test_a_retry_leaves_to_the_pool_what_it_has_by_now(world: Supplied) -> None:
    order = orders.submit_order(world.runtime, message(MINE, FREE), "m-1")
    orders.cancel(world.runtime, order["id"])
    world.run()
    assert retry_order.retry(world.runtime, order["id"]) == retry_order.Retried(again=1)
    assert world.bought().count(MINE) == 1
    with world.write() as conn:
        counts = {row["status"]: row["count"] for row in order_counts(conn, order["id"])}
    assert counts[Status.CANCELLED] == 1


def test_a_key_that_was_answered_with_a_pools_purchase_gets_it_again(world: Supplied) -> None:
    world.run()
    request = BuyNumber(**fields(idempotency_key="crm-1"))
    with world.write() as conn:
        [shared] = accept(conn, [Entry(request=request, account="first-account")], world.clock())
    assert not shared.created
    assert accepting.accept_one(world.runtime, request)["id"] == shared.row["id"]


def test_what_is_under_way_in_no_pool_is_shared(world: Supplied) -> None:
    world.run()
    first = accepting.buy_number(world.runtime, fields(FREE), "m-1")
    assert accepting.buy_number(world.runtime, fields(FREE), "m-2")["id"] == first["id"]
    order = orders.submit_order(world.runtime, message(FREE), "m-3")
    assert world.rows(select(ORDER).where(ORDER.c.id == order["id"]))[0]["status"] == OrderStatus.OPEN


def test_the_same_number_of_another_account_is_not_the_pools(world: Supplied) -> None:
    world.run()
    asked = {**fields(), "provider": "second"}
    row = accepting.buy_number(world.runtime, asked, "m-1")
    assert row["account"] == "second-account"
    assert accepting.buy_number(world.runtime, asked, "m-2")["id"] == row["id"]


def test_what_came_to_nothing_for_the_pool_is_free_before_its_place_is_settled(world: Supplied) -> None:
    world.run()
    [failed] = world.lead(Status.FAILED, 1)
    orders.submit_order(world.runtime, message(MINE), "m-1")
    [anew] = world.rows(select(PURCHASE).where(PURCHASE.c.number == MINE, PURCHASE.c.id != failed))
    assert anew["status"] == Status.QUEUED


def test_what_left_its_pool_can_be_bought_again(world: Supplied) -> None:
    world.run()
    [gone] = world.lead(Status.RELEASED, 1)
    with world.write() as conn:
        stock.gone(conn, gone, world.clock())
    assert accepting.buy_number(world.runtime, fields(), "m-1")["id"] != gone


def test_a_retry_does_not_get_what_a_pool_orders_at_that_instant(
    world: Supplied, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.runtime.database.read() as conn:
        if conn.dialect.name == "sqlite":
            pytest.skip("it has one writer")
    order_id = str(orders.begin(world.runtime)["id"])
    orders.load(world.runtime, order_id, [(1, BuyNumber(number=MINE, provider="first"))])
    orders.finish(world.runtime, order_id)
    world.lead(Status.FAILED)
    world.clock.advance(25 * 3600)
    asked = retry_order.pools_of

    def pools_of(conn: Any, wanted: Any) -> Any:
        found = asked(conn, wanted)
        if not world.places():
            world.run()  # by another worker, in a transaction of its own
        return found

    monkeypatch.setattr(retry_order, "pools_of", pools_of)
    retry_order.retry(world.runtime, order_id)
    [line] = world.rows(select(LINE).where(LINE.c.order_id == order_id))
    assert line["purchase_id"] not in [row["purchase_id"] for row in world.rows(select(POOL_NUMBER))]
