"""A number of an order that another request asked for too: neither a cancel nor the order's limit takes it away."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import EVENT, PURCHASE
from tasks import orders
from tasks.lifecycle import accept
from tests.tasks.orders.test_orders import counts, run, submit
from tests.tasks.orders.test_sharing import limited, purchase
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import World, number


def ask(world: World, key: str, index: int) -> None:
    """As a service does by message."""
    fields = {"number": number(index), "provider": "acme", "idempotency_key": key}
    accept.buy_number(world.runtime, fields, f"message of {key}")


def told(world: World, key: str) -> list[str]:
    """How what became of the purchase was told under a key."""
    query = select(EVENT).where(EVENT.c.type.like("%.purchase.%")).order_by(EVENT.c.seq)
    found = [one for one in world.rows(query) if one["data"]["idempotency_key"] == key]
    return [one["type"].rpartition(".")[2] for one in found]


def test_a_cancel_leaves_it_to_the_request(world: World) -> None:
    first = submit(world, 1, 2)
    ask(world, "b", 1)
    assert orders.cancel(world.runtime, first) == 1
    assert purchase(world, 1)["order_id"] is None
    run(world)
    assert [one for one, _ in world.provider.charged] == [number(1)]
    assert told(world, "b") == ["purchased"]
    assert counts(world, first) == {"cancelled": 1, "purchased": 1}


def test_a_call_under_way_goes_on_for_the_request(world: World) -> None:
    first = submit(world, 1)
    world.provider.script.append(UNKNOWN)
    world.release()
    world.work()
    ask(world, "b", 1)
    assert orders.cancel(world.runtime, first) == 0
    run(world)
    assert told(world, "b") == ["purchased"]


def test_an_orders_limit_does_not_count_it(world: World) -> None:
    first = limited(world, 1, 1, 2, 3)
    for key, index in (("b", 3), ("c", 2), ("d", 1)):
        ask(world, key, index)
    run(world)
    orders.complete_finished(world.runtime)
    run(world)
    assert [told(world, key) for key in "bcd"] == [["purchased"]] * 3
    assert sorted(one for one, _ in world.provider.charged) == [number(1), number(2), number(3)]
    assert counts(world, first) == {"purchased": 3}


@pytest.mark.parametrize("again", [True, False])
def test_a_key_of_the_order_itself_keeps_nothing(world: World, again: bool) -> None:
    """A line's own key is no other request's, however often its message comes."""
    ask(world, "a", 1)
    if again:
        ask(world, "a", 1)
    first = submit(world, 2)
    orders.cancel(world.runtime, first)
    assert {row["number"]: row["status"] for row in world.rows(select(PURCHASE))} == {
        number(1): Status.DISPATCHED,
        number(2): Status.CANCELLED,
    }
