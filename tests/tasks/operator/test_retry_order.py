"""A retry of an order that was cancelled, or has come to its limit."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.ledger.orders.cancel import cancel_order
from tasks.operator import retry_order
from tests.tasks.orders.test_orders import counts, order, run, submit
from tests.tasks.orders.test_sharing import limited
from tests.tasks.support import World


def test_a_cancelled_order_waits_again_for_what_was_left_to_another(world: World) -> None:
    first, second = submit(world, 1), submit(world, 1)
    orders.cancel(world.runtime, first)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried(found=1)
    assert order(world, first)["cancel_requested_at"] is None
    assert retry_order.retry(world.runtime, first) == retry_order.Retried()
    assert orders.cancel(world.runtime, second) == 0
    run(world)
    assert counts(world, first) == {"purchased": 1}


def test_what_the_number_costs_is_kept(world: World) -> None:
    first = submit(world, 1)
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(monthly_price="1.50", setup_price="2.00", currency="USD"))
    orders.cancel(world.runtime, first)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried(again=1)
    rows = world.rows(select(PURCHASE).order_by(PURCHASE.c.id))
    assert [(row["status"], row["monthly_price"], row["setup_price"]) for row in rows] == [
        ("cancelled", "1.50", "2.00"),
        ("queued", "1.50", "2.00"),
    ]


def test_a_cancel_that_still_waits_for_its_own_call_is_not_taken_back(world: World) -> None:
    first = submit(world, 1)
    world.release()
    world.claim(world.sent[0].kwargs["purchase_id"])
    orders.cancel(world.runtime, first)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried()
    assert order(world, first)["cancel_requested_at"] is not None


def test_an_order_at_its_limit_is_not_retried(world: World) -> None:
    first = limited(world, 1, 1, 2)
    run(world)
    with pytest.raises(orders.OrderError, match=r"all that its --max 1 allows: submit .* as a new order"):
        retry_order.retry(world.runtime, first)
    assert counts(world, first) == {"purchased": 1, "cancelled": 1}


def test_an_order_at_its_limit_with_nothing_to_retry_has_nothing_left_for_it(world: World) -> None:
    first = limited(world, 1, 1)
    run(world)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried()


def test_a_cancel_that_comes_over_a_retry_stands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_order, "CHUNK", 2)
    first = submit(world, *range(5))
    orders.cancel(world.runtime, first)
    again = retry_order._buy_again
    chunks: list[object] = []

    def buy_again(conn: Connection, **chunk: Any) -> retry_order.Retried:
        if len(chunks) == 1:
            # Between two transactions: this one has done nothing yet.
            cancelled_meanwhile(world, conn, first)
        chunks.append(chunk)
        return again(conn, **chunk)

    monkeypatch.setattr(retry_order, "_buy_again", buy_again)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried(again=2)
    assert len(chunks) == 3
    run(world)
    assert counts(world, first) == {"cancelled": 5}
    assert world.provider.charged == []


def cancelled_meanwhile(world: World, conn: Connection, order_id: str) -> None:
    conn.execute(update(ORDER).where(ORDER.c.id == order_id).values(cancel_requested_at=world.clock.moment))
    cancel_order(conn, order_id, world.clock.moment, 10)
