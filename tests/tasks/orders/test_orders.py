"""Orders of many numbers: loaded, started when whole, completed once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.requests import BuyNumber, RequestError
from schemas.settling import Verdict
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import EVENT, LINE, ORDER, PURCHASE
from tasks import orders
from tasks.ledger import sweep
from tasks.ledger.resolve import Resolution
from tasks.operator import resolve, retry_order
from tasks.reports.queries import order_counts
from tests.tasks.scripted_provider import REFUSED, UNCLEAR, UNKNOWN
from tests.tasks.support import Killed, World, die, number

Make = Callable[..., World]
LOST = Look(kind=LookKind.LOST)


def request(index: int, **fields: Any) -> BuyNumber:
    return BuyNumber(number=number(index), provider="acme", **fields)


def begin(world: World, *indexes: int, **fields: Any) -> str:
    """An order that is loading, with a line for each of *indexes*."""
    order = orders.begin(world.runtime, name="file.csv")
    orders.load(world.runtime, order["id"], [(line, request(n, **fields)) for line, n in enumerate(indexes, 1)])
    return str(order["id"])


def submit(world: World, *indexes: int) -> str:
    order_id = begin(world, *indexes)
    orders.finish(world.runtime, order_id)
    return order_id


def run(world: World) -> None:
    """Buy what there is, and complete what is done."""
    for _ in range(200):
        world.tick()
        orders.complete_finished(world.runtime)
        world.clock.advance(5)
        if not any(row["due_at"] for row in world.rows(select(PURCHASE))):
            return


def order(world: World, order_id: str) -> dict[str, Any]:
    [found] = world.rows(select(ORDER).where(ORDER.c.id == order_id))
    return found


def counts(world: World, order_id: str) -> dict[str, int]:
    with world.runtime.database.read() as conn:
        return {row["status"]: row["count"] for row in order_counts(conn, order_id)}


def events(world: World) -> list[tuple[str, dict[str, Any]]]:
    found = world.rows(select(EVENT).where(EVENT.c.source == "/dialstock/orders").order_by(EVENT.c.seq))
    return [(row["type"].removeprefix("dialstock."), row["data"]) for row in found]


def test_an_order_is_bought_and_completed_once(world: World) -> None:
    world.provider.script += [REFUSED]
    order_id = submit(world, 1, 2, 3)
    run(world)
    assert orders.complete_finished(world.runtime) == 0
    assert order(world, order_id)["status"] == OrderStatus.COMPLETED
    assert [name for name, _ in events(world)] == ["request.accepted", "order.completed"]
    data = events(world)[1][1]
    assert (data["lines"], data["counts"]) == (3, {"purchased": 2, "failed": 1})


def test_an_order_with_held_lines_is_complete(make: Make) -> None:
    world = make(lookup="none")
    world.provider.script += [UNKNOWN]
    order_id = submit(world, 1, 2)
    run(world)
    assert order(world, order_id)["status"] == OrderStatus.COMPLETED
    assert counts(world, order_id) == {"held": 1, "purchased": 1}


def test_an_order_waits_for_the_purchases_that_it_shares(world: World) -> None:
    world.provider.script += [UNKNOWN]
    shared = world.accept(number(1))
    world.work()
    order_id = submit(world, 1)
    orders.complete_finished(world.runtime)
    assert order(world, order_id)["status"] == OrderStatus.OPEN
    world.settle(shared["id"])
    assert orders.complete_finished(world.runtime) == 1
    assert counts(world, order_id) == {"purchased": 1}


def test_the_same_file_again_buys_only_what_is_missing(world: World) -> None:
    world.provider.script += [REFUSED]
    first = submit(world, 1, 2, 3)
    run(world)
    second = submit(world, 1, 2, 3)
    run(world)
    assert counts(world, first) == {"purchased": 2, "failed": 1}
    assert counts(world, second) == {"purchased": 3}
    assert len(world.provider.charged) == 3


def test_a_file_that_names_a_number_twice_buys_it_once_and_counts_both_lines(world: World) -> None:
    order_id = begin(world, 1, 1, 2, 1)
    orders.load(world.runtime, order_id, [(5, request(1))])
    orders.finish(world.runtime, order_id)
    run(world)
    assert len(world.provider.charged) == 2
    assert counts(world, order_id) == {"purchased": 5}
    assert order(world, order_id)["lines"] == 5


@pytest.mark.parametrize("workers", [2, 4])
def test_sweeps_at_the_same_instant_complete_an_order_once(world: World, workers: int) -> None:
    """The last two lines are finished at once, and every worker sees it."""
    order_id = submit(world, 1, 2)
    world.release()
    deliveries, world.sent[:] = list(world.sent), []
    gate = threading.Barrier(workers)

    def work(place: int) -> None:
        gate.wait()
        if place < 2:
            world.deliver(deliveries[place])
        for _ in range(3):
            orders.complete_finished(world.runtime)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert order(world, order_id)["status"] == OrderStatus.COMPLETED
    assert [name for name, _ in events(world)] == ["request.accepted", "order.completed"]
    assert events(world)[1][1]["counts"] == {"purchased": 2}


def test_a_retry_buys_what_failed_and_tells_an_update(world: World) -> None:
    world.provider.script += [REFUSED, REFUSED]
    order_id = submit(world, 1, 2, 3)
    run(world)
    assert retry_order.retry(world.runtime, order_id) == retry_order.Retried(again=2)
    assert order(world, order_id)["status"] == OrderStatus.OPEN
    assert counts(world, order_id) == {"queued": 2, "purchased": 1}
    run(world)
    assert counts(world, order_id) == {"purchased": 3}
    assert [name for name, _ in events(world)][1:] == ["order.completed", "order.updated"]
    assert retry_order.retry(world.runtime, order_id) == retry_order.Retried()


def test_a_retry_of_what_the_provider_lost_is_not_held_for_the_old_record(world: World) -> None:
    """A call in doubt is looked up by its number, and the first look finds the order that was lost before."""
    world.provider.script += [Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="old")]
    world.provider.looks += [LOST]
    order_id = submit(world, 1)
    run(world)
    [row] = world.rows(select(PURCHASE))
    assert row["error_code"] == "order_lost"
    assert retry_order.retry(world.runtime, order_id) == retry_order.Retried()
    resolve.resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.FAIL)], "ann")
    world.provider.script += [world.provider.charge_unseen]
    world.provider.looks += [LOST]
    assert retry_order.retry(world.runtime, order_id) == retry_order.Retried(again=1)
    run(world)
    assert counts(world, order_id) == {"purchased": 1}
    assert len(world.provider.charged) == 1


def test_a_retry_run_at_once_by_two_buys_once(world: World) -> None:
    world.provider.script += [REFUSED] * 6
    order_id = submit(world, *range(6))
    run(world)
    gate, found = threading.Barrier(3), []

    def work() -> None:
        gate.wait()
        found.append(retry_order.retry(world.runtime, order_id).again)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 6
    run(world)
    assert counts(world, order_id) == {"purchased": 6}


def test_a_retry_keeps_each_lines_own_metadata(world: World) -> None:
    world.provider.script += [REFUSED]
    shared = world.accept(number(1), metadata={"whose": "another's"})
    order_id = begin(world, 1, metadata={"whose": "mine"})
    orders.finish(world.runtime, order_id)
    world.settle(shared["id"])
    assert retry_order.retry(world.runtime, order_id) == retry_order.Retried(again=1)
    [bought] = world.rows(select(PURCHASE).where(PURCHASE.c.order_id == order_id))
    assert bought["metadata"] == {"whose": "mine"}


def test_an_order_that_a_retry_opened_again_is_not_completed_by_a_slow_sweep(world: World) -> None:
    world.provider.script += [REFUSED]
    order_id = submit(world, 1)
    world.settle(world.rows(select(PURCHASE))[0]["id"])
    # the sweep has read that the order is finished, and then the retry comes
    with world.runtime.database.read() as conn:
        assert sweep.finished_orders(conn) == [order_id]
    retry_order.retry(world.runtime, order_id)
    with world.write() as conn:
        assert not sweep.lock_finished(conn, order_id)
    run(world)
    assert counts(world, order_id) == {"purchased": 1}


def test_a_retry_that_comes_while_the_sweep_completes_its_order_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.provider.script += [REFUSED]
    order_id = submit(world, 1)
    world.settle(world.rows(select(PURCHASE))[0]["id"])
    find = sweep.finished_orders

    def found_just_before_the_retry(conn: Any) -> list[str]:
        found = find(conn)
        monkeypatch.undo()
        retry_order.retry(world.runtime, order_id)
        return found

    monkeypatch.setattr(sweep, "finished_orders", found_just_before_the_retry)
    assert orders.complete_finished(world.runtime) == 0
    assert order(world, order_id)["status"] == OrderStatus.OPEN
    run(world)
    assert counts(world, order_id) == {"purchased": 1}


@pytest.mark.parametrize("status", [OrderStatus.LOADING, OrderStatus.ABANDONED])
def test_an_order_that_never_was_whole_cannot_be_retried(world: World, status: OrderStatus) -> None:
    order_id = begin(world, 1)
    with world.write() as conn:
        conn.execute(update(ORDER).values(status=status))
    with pytest.raises(orders.OrderError, match="submit its file again"):
        retry_order.retry(world.runtime, order_id)


def test_a_cancelled_order_ends(world: World) -> None:
    order_id = submit(world, 1, 2, 3)
    world.provider.script += [UNKNOWN]
    world.release()
    world.deliver(world.sent.pop(0))
    assert orders.cancel(world.runtime, order_id) == 3
    assert orders.cancel(world.runtime, order_id) == 0
    run(world)
    assert counts(world, order_id) == {"cancelled": 2, "held": 1}
    assert order(world, order_id)["status"] == OrderStatus.COMPLETED
    assert world.provider.charged == []


def test_a_cancelled_order_can_be_retried(world: World) -> None:
    order_id = submit(world, 1, 2)
    orders.cancel(world.runtime, order_id)
    run(world)
    assert retry_order.retry(world.runtime, order_id) == retry_order.Retried(again=2)
    run(world)
    assert counts(world, order_id) == {"purchased": 2}


def test_an_order_cancelled_while_it_loads_is_given_up(world: World) -> None:
    order_id = begin(world, 1, 2)
    orders.cancel(world.runtime, order_id)
    assert order(world, order_id)["status"] == OrderStatus.ABANDONED
    for late in (
        lambda: orders.load(world.runtime, order_id, [(3, request(3))]),
        lambda: orders.finish(world.runtime, order_id),
    ):
        with pytest.raises(RequestError, match="given up") as refused:
            late()
        assert refused.value.code == "order_abandoned"
    run(world)
    assert counts(world, order_id) == {"cancelled": 2}
    assert world.provider.charged == []


def test_an_order_whose_loading_stopped_is_given_up(world: World) -> None:
    order_id = begin(world, 1, 2)
    world.clock.advance(599)
    orders.complete_finished(world.runtime)
    assert order(world, order_id)["status"] == OrderStatus.LOADING
    world.clock.advance(2)
    orders.complete_finished(world.runtime)
    assert order(world, order_id)["status"] == OrderStatus.ABANDONED
    assert counts(world, order_id) == {"cancelled": 2}
    assert world.accept(number(1))["status"] == Status.DISPATCHED


def test_giving_up_goes_on_where_its_worker_died(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = begin(world, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(orders, "cancel_order", lambda *_, **__: die())
        with pytest.raises(Killed):
            orders.abandon(world.runtime, order_id)
    # nobody brings it to life again meanwhile
    with pytest.raises(RequestError, match="given up"):
        orders.finish(world.runtime, order_id)
    orders.complete_finished(world.runtime)
    assert order(world, order_id)["status"] == OrderStatus.ABANDONED
    assert counts(world, order_id) == {"cancelled": 2}


def test_giving_up_never_touches_an_order_that_was_opened_meanwhile(world: World) -> None:
    order_id = submit(world, 1)
    orders.abandon(world.runtime, order_id)
    run(world)
    assert counts(world, order_id) == {"purchased": 1}


def test_loading_the_same_chunk_again_changes_nothing(world: World) -> None:
    order_id = begin(world, 1, 2)
    query = select(LINE).order_by(LINE.c.line)
    lines = world.rows(query)
    orders.load(world.runtime, order_id, [(1, request(1)), (2, request(2)), (3, request(3))])
    assert world.rows(query)[:2] == lines
    assert len(world.rows(select(PURCHASE))) == 3


def test_a_conflict_that_comes_up_while_loading_gives_the_order_up(world: World) -> None:
    world.accept(number(9), idempotency_key="k")
    order_id = begin(world, 1, 2)
    with pytest.raises(RequestError, match="another request"):
        orders.load(world.runtime, order_id, [(3, request(3, idempotency_key="k"))])
    assert order(world, order_id)["status"] == OrderStatus.ABANDONED
    assert counts(world, order_id) == {"cancelled": 2}


def test_giving_up_by_attempts_fails_a_line_and_the_order_goes_on(make: Make) -> None:
    world = make(max_attempts=1)
    world.provider.script += [REFUSED]
    world.provider.looks += [UNCLEAR]
    order_id = submit(world, 1, 2)
    run(world)
    assert counts(world, order_id) == {"failed": 1, "purchased": 1}
