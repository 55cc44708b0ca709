"""An order's own limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import PURCHASE
from tasks import orders
from tasks.ledger.queue import dispatch
from tasks.lifecycle import release_and_sweep
from tasks.reports.queries import find_order, order_counts
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import ACCOUNT, World, number

PROCESSING = Outcome(kind=OutcomeKind.PROCESSING, http_status=201, provider_number_id="p")


def submit(world: World, count: int, limit: int | None) -> str:
    order_id = str(orders.begin(world.runtime, max_purchases=limit)["id"])
    requests = [BuyNumber(number=number(index), provider=("acme", "twin")[index % 2]) for index in range(count)]
    orders.load(world.runtime, order_id, list(enumerate(requests, 1)))
    orders.finish(world.runtime, order_id)
    return order_id


def run(world: World, order_id: str, ticks: int = 40) -> Counter[str]:
    for _ in range(ticks):
        for binding in world.runtime.providers.values():
            release_and_sweep.release_due(world.runtime, binding)
        world.tick()
        orders.complete_finished(world.runtime)
        world.clock.advance(5.0)
    with world.runtime.database.read() as conn:
        counts = order_counts(conn, order_id)
        assert (find_order(conn, order_id) or {})["status"] == OrderStatus.COMPLETED
    return sum((Counter({row["status"]: row["count"]}) for row in counts), Counter())


def test_no_more_than_the_limit_is_bought_and_the_rest_is_cancelled(world: World) -> None:
    order_id = submit(world, 8, 3)
    assert run(world, order_id) == {Status.PURCHASED: 3, Status.CANCELLED: 5}
    assert len(world.provider.charged) == 3


def test_a_refused_number_does_not_count(world: World) -> None:
    order_id = submit(world, 5, 3)
    world.provider.script.append(REFUSED)
    assert run(world, order_id) == {Status.PURCHASED: 3, Status.FAILED: 1, Status.CANCELLED: 1}


def test_a_doubt_counts_until_it_is_settled(world: World) -> None:
    order_id = submit(world, 4, 2)
    world.provider.script.extend([UNKNOWN, UNKNOWN])
    result = run(world, order_id)
    assert result[Status.PURCHASED] == 2
    assert len(world.provider.charged) == 2


def test_without_a_limit_all_is_bought(world: World) -> None:
    assert run(world, submit(world, 4, None)) == {Status.PURCHASED: 4}


def lanes(world: World) -> list[str | None]:
    with world.runtime.database.read() as conn:
        return dispatch.due_lanes(conn, "acme", ACCOUNT, world.clock())


def test_an_order_that_has_come_to_its_limit_is_no_lane(make: Callable[..., World]) -> None:
    world = make(max_in_flight=1)
    order_id = submit(world, 6, 2)
    for expected in ([order_id], []):
        world.provider.script.append(PROCESSING)
        world.release()
        world.work()
        assert lanes(world) == expected


@pytest.mark.parametrize("limit", [1, 2])
def test_what_waits_with_a_doubt_counts_and_is_bought_before_the_others(world: World, limit: int) -> None:
    order_id = submit(world, 6, limit)
    world.provider.script.extend([UNKNOWN] * limit)
    assert run(world, order_id, ticks=100) == {Status.PURCHASED: limit, Status.CANCELLED: 6 - limit}
    doubted = [row["doubt"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.PURCHASED]
    assert doubted == [True] * limit
