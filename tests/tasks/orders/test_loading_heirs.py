"""What a cancel leaves to an order that is loading: nothing is bought for that before it is whole."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from schemas.status import OrderStatus
from schemas.tables.purchases import PURCHASE
from tasks import orders
from tests.tasks.orders.test_orders import begin, run, submit
from tests.tasks.support import World


@pytest.mark.parametrize("another", [False, True])
def test_nothing_is_bought_for_an_order_that_is_loading_and_is_given_up(world: World, another: bool) -> None:
    first = submit(world, 1)
    world.release()  # its message waits in the queue
    # a cancel that has not come to all of its purchases yet: of many, or its process died
    orders._ask_to_stop(world.runtime, first, OrderStatus.OPEN)
    loading = begin(world, 1) if another else None
    orders.cancel(world.runtime, first)  # it goes on, and ends
    world.work()
    if loading:
        orders.abandon(world.runtime, loading)  # "nothing of it was bought, submit the file again"
    run(world)
    assert (world.provider.charged, [row["status"] for row in world.rows(select(PURCHASE))]) == ([], ["cancelled"])
