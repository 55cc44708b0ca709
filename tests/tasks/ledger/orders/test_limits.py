"""An order's own limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest
from sqlalchemy import select

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import PURCHASE
from tasks import orders
from tasks.ledger.queue import dispatch
from tasks.lifecycle import release_and_sweep
from tasks.policies.order_counts import REMEMBERED, SPARE, Counts
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


def lanes(world: World, *far: str) -> list[str | None]:
    with world.runtime.database.read() as conn:
        return dispatch.due_lanes(conn, "acme", ACCOUNT, world.clock(), far)


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


class Noted(Counts):
    """Counts, on clocks that a test sets, that keep how often an order was counted."""

    def __init__(self, world: World) -> None:
        self.times, self.world, self.now = 0, world, 0.0
        super().__init__(lambda: self.now)

    def left(self, order_id: str, limit: int, now: datetime, wanted: int) -> int | None:
        return super().left(order_id, limit, self.world.clock(), wanted)

    def note(self, order_id: str, limit: int, now: datetime, used: int) -> None:
        self.times += 1
        super().note(order_id, limit, self.world.clock(), used)


def counting(world: World) -> Noted:
    counts = Noted(world)
    world.runtime = replace(world.runtime, counts=counts)
    return counts


def test_far_from_its_limit_an_order_is_counted_once_a_second(make: Callable[..., World]) -> None:
    world = make(max_in_flight=1)
    counts = counting(world)
    submit(world, 8, 100 * SPARE)
    for expected in (1, 1, 2):
        counts.now += REMEMBERED / 2
        world.release()
        world.work()
        assert counts.times == expected
    assert len(world.provider.charged) == 3


def test_near_its_limit_an_order_is_counted_each_time(make: Callable[..., World]) -> None:
    world = make(max_in_flight=1)
    counts = counting(world)
    submit(world, 8, SPARE // 2)
    for _ in range(3):
        world.release()
        world.work()
    assert counts.times == 3


def test_who_thinks_that_an_order_is_far_from_its_limit_counts_before_anything_is_released(
    make: Callable[..., World],
) -> None:
    world = make(max_in_flight=1)
    order_id = submit(world, 6, 1)
    world.provider.script.append(PROCESSING)
    world.release()
    world.work()
    assert lanes(world) == []
    assert lanes(world, order_id) == [order_id]
    world.runtime = replace(world.runtime, counts=Deceived(order_id))
    world.release()
    assert world.sent == []


class Deceived(Counts):
    """Has an order for one that is far from its limit, and remembers no count."""

    def __init__(self, order_id: str) -> None:
        super().__init__()
        self._order_id = order_id

    def far(self) -> list[str]:
        return [self._order_id]
