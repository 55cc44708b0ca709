"""Orders that come in one message, which may come again."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from schemas.requests import RequestError, parse_order
from schemas.status import OrderStatus
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tests.tasks.orders.test_orders import counts, events, order, run
from tests.tasks.support import Killed, World, die, number


def message(*indexes: int, key: str | None = "order-1") -> dict[str, Any]:
    fields = {"requests": [{"number": number(n), "provider": "acme"} for n in indexes]}
    return {**fields, "idempotency_key": key} if key else fields


def test_a_message_of_many_is_accepted_whole(world: World) -> None:
    row = orders.submit_order(world.runtime, message(1, 2, 3), "m-1")
    assert order(world, row["id"])["status"] == OrderStatus.OPEN
    assert order(world, row["id"])["lines"] == 3
    assert events(world)[0][1]["repeat"] is False


@pytest.mark.parametrize("key", ["order-1", None])
def test_a_message_delivered_again_changes_nothing(world: World, key: str | None) -> None:
    first = orders.submit_order(world.runtime, message(1, 2, key=key), "m-1")
    run(world)
    again = orders.submit_order(world.runtime, message(1, 2, key=key), "m-1")
    assert again["id"] == first["id"]
    assert len(world.rows(select(PURCHASE))) == len(world.provider.charged) == 2
    assert [data["repeat"] for name, data in events(world) if name == "request.accepted"] == [False, True]


@pytest.mark.parametrize("dies_at", [1, 2, 3])
def test_a_message_delivered_again_goes_on_where_its_worker_died(
    world: World, monkeypatch: pytest.MonkeyPatch, dies_at: int
) -> None:
    monkeypatch.setattr(orders, "CHUNK", 2)
    real, loads = orders.load, [0]

    def load(*args: Any) -> Any:
        loads[0] += 1
        if loads[0] == dies_at:
            die()
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(orders, "load", load)
        with pytest.raises(Killed):
            orders.submit_order(world.runtime, message(*range(6)), "m-1")
    assert world.release() == 0
    # the broker delivers it again after its visibility timeout
    world.clock.advance(3600)
    orders.complete_finished(world.runtime)
    row = orders.submit_order(world.runtime, message(*range(6)), "m-1")
    run(world)
    assert counts(world, row["id"]) == {"purchased": 6}
    assert len(world.provider.charged) == 6


def test_a_message_whose_order_was_given_up_is_told_so(world: World) -> None:
    row = orders.submit_order(world.runtime, message(1), "m-1")
    with world.write() as conn:
        conn.execute(update(ORDER).values(status=OrderStatus.ABANDONED))
    with pytest.raises(RequestError, match=row["id"]) as refused:
        orders.submit_order(world.runtime, message(1), "m-1")
    assert refused.value.code == "order_abandoned"


def test_an_order_that_a_database_lost_while_it_loads_is_told_as_given_up(world: World) -> None:
    """The database went back in time."""
    row = orders.begin(world.runtime)
    with world.write() as conn:
        conn.execute(delete(ORDER))
    for goes_on in (
        lambda: orders.load(world.runtime, row["id"], [(1, parse_order(message(1), world.runtime.kinds).requests[0])]),
        lambda: orders.finish(world.runtime, row["id"]),
    ):
        with pytest.raises(RequestError, match=row["id"]) as refused:
            goes_on()
        assert refused.value.code == "order_abandoned"
    assert world.rows(select(PURCHASE)) == []


def test_workers_that_get_the_same_message_at_once_make_one_order(world: World) -> None:
    gate, found = threading.Barrier(3), []

    def work() -> None:
        gate.wait()
        found.append(orders.submit_order(world.runtime, message(*range(30)), "m-1")["id"])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert order(world, found[0])["lines"] == 30
    assert len(world.rows(select(PURCHASE))) == 30


def test_a_key_with_another_order_is_refused(world: World) -> None:
    orders.submit_order(world.runtime, message(1), "m-1")
    with pytest.raises(RequestError, match="another request") as refused:
        orders.submit_order(world.runtime, message(2), "m-2")
    assert refused.value.code == "key_conflict"
    assert len(world.rows(select(PURCHASE))) == 1


def test_a_line_whose_key_conflicts_refuses_the_whole_order(world: World) -> None:
    world.accept(number(9), idempotency_key="k")
    fields = message(1, 2)
    fields["requests"][1]["idempotency_key"] = "k"
    with pytest.raises(RequestError, match="another request"):
        orders.submit_order(world.runtime, fields, "m-1")
    assert world.rows(select(ORDER)) == []
