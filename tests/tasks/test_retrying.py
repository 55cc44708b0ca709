"""A retry of an order that was cancelled, or has come to its limit."""

from __future__ import annotations

import pytest

from tasks import orders, retrying
from tests.tasks.support import World
from tests.tasks.test_orders import counts, order, run, submit
from tests.tasks.test_orders_sharing import limited


def test_a_cancelled_order_waits_again_for_what_was_left_to_another(world: World) -> None:
    first, second = submit(world, 1), submit(world, 1)
    orders.cancel(world.runtime, first)
    assert retrying.retry(world.runtime, first) == retrying.Retried(found=1)
    assert order(world, first)["cancel_requested_at"] is None
    assert retrying.retry(world.runtime, first) == retrying.Retried()
    assert orders.cancel(world.runtime, second) == 0
    run(world)
    assert counts(world, first) == {"purchased": 1}


def test_a_cancel_that_still_waits_for_its_own_call_is_not_taken_back(world: World) -> None:
    first = submit(world, 1)
    world.release()
    world.claim(world.sent[0].kwargs["purchase_id"])
    orders.cancel(world.runtime, first)
    assert retrying.retry(world.runtime, first) == retrying.Retried()
    assert order(world, first)["cancel_requested_at"] is not None


def test_an_order_at_its_limit_is_not_retried(world: World) -> None:
    first = limited(world, 1, 1, 2)
    run(world)
    with pytest.raises(orders.OrderError, match=r"all that its --max 1 allows: submit .* as a new order"):
        retrying.retry(world.runtime, first)
    assert counts(world, first) == {"purchased": 1, "cancelled": 1}


def test_an_order_at_its_limit_with_nothing_to_retry_has_nothing_left_for_it(world: World) -> None:
    first = limited(world, 1, 1)
    run(world)
    assert retrying.retry(world.runtime, first) == retrying.Retried()
