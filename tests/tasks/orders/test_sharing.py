"""Purchases that two orders wait for: one of the orders is cancelled, and the other still gets them."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from schemas.outcomes import Outcome, OutcomeKind
from schemas.requests import BuyNumber
from schemas.settling import Verdict
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.ledger.calls.outcomes import record
from tasks.ledger.locking import locked_with_orders
from tasks.ledger.orders import limits
from tasks.ledger.orders.cancel import cancel_order, left_to_others
from tasks.ledger.queue import release as releasing
from tasks.ledger.requests.accept import Entry, accept_lines
from tasks.ledger.resolve import Resolution
from tasks.operator import resolve, retry_order
from tasks.policies.retry import Decision
from tasks.reports.queries import order_results
from tasks.transactions import Raced
from tests.tasks.beside import beside
from tests.tasks.orders.test_orders import begin, counts, events, order, request, run, submit
from tests.tasks.scripted_provider import NOT_SENT, REFUSED, UNCLEAR, UNKNOWN
from tests.tasks.support import ACCOUNT, World, number
from tests.waiting import PATIENCE

YES = Outcome(kind=OutcomeKind.PURCHASED, http_status=200, provider_number_id="id-1")


def limited(world: World, limit: int, *indexes: int) -> str:
    """An open order that may buy so many."""
    order_id = str(orders.begin(world.runtime, max_purchases=limit)["id"])
    lines = [(line, BuyNumber(number=number(n), provider="acme")) for line, n in enumerate(indexes, 1)]
    orders.load(world.runtime, order_id, lines)
    orders.finish(world.runtime, order_id)
    return order_id


def purchase(world: World, index: int) -> dict[str, Any]:
    """The newest purchase of a number."""
    query = select(PURCHASE).where(PURCHASE.c.number == number(index)).order_by(PURCHASE.c.id.desc())
    return world.rows(query)[0]


def lock(conn: Connection, order_id: str) -> None:
    """Lock an order that nobody else has locked."""
    conn.execute(select(ORDER.c.id).where(ORDER.c.id == order_id).with_for_update(nowait=True))


def left(world: World, order_id: str) -> int:
    with world.runtime.database.read() as conn:
        return left_to_others(conn, order_id)


def test_what_another_open_order_waits_for_is_left_to_it(world: World) -> None:
    first, second = submit(world, 1, 2), submit(world, 2, 3)
    assert orders.cancel(world.runtime, first) == 1
    assert orders.cancel(world.runtime, first) == 0
    assert left(world, first) == 1
    orders.complete_finished(world.runtime)
    assert order(world, first)["status"] == OrderStatus.OPEN
    assert counts(world, first) == {"cancelled": 1, "queued": 1}
    assert counts(world, second) == {"queued": 2}
    run(world)
    assert counts(world, first) == {"cancelled": 1, "purchased": 1}
    assert counts(world, second) == {"purchased": 2}
    assert sorted(one for one, _ in world.provider.charged) == [number(2), number(3)]
    ends = {data["order_id"]: data["counts"] for name, data in events(world) if name == "order.completed"}
    assert ends == {first: {"cancelled": 1, "purchased": 1}, second: {"purchased": 2}}
    assert left(world, first) == 0


def test_once_nobody_waits_for_it_any_more_it_is_cancelled(world: World) -> None:
    first, second, third = submit(world, 1), submit(world, 1), submit(world, 1)
    for order_id, asked in ((second, 0), (first, 0), (third, 1)):
        assert orders.cancel(world.runtime, order_id) == asked
    run(world)
    assert [order(world, one)["status"] for one in (first, second, third)] == [OrderStatus.COMPLETED] * 3
    assert [counts(world, one) for one in (first, second, third)] == [{"cancelled": 1}] * 3
    assert world.provider.charged == []


def test_a_retry_of_the_cancelled_order_makes_it_wait_again(world: World) -> None:
    first, second = submit(world, 1, 2), submit(world, 2)
    orders.cancel(world.runtime, first)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried(again=1, found=1)
    orders.cancel(world.runtime, second)
    run(world)
    assert counts(world, first) == {"purchased": 2}
    assert counts(world, second) == {"purchased": 1}


def test_a_doubt_goes_on_for_the_other_order(world: World) -> None:
    world.provider.script += [UNKNOWN]
    first = submit(world, 1)
    world.tick()
    second = submit(world, 1)
    assert orders.cancel(world.runtime, first) == 0
    found = purchase(world, 1)
    assert (found["status"], found["order_id"], found["cancel_requested_at"]) == (Status.UNKNOWN, second, None)
    run(world)
    assert counts(world, first) == counts(world, second) == {"purchased": 1}
    assert len(world.provider.charged) == 1


def test_a_call_under_way_keeps_its_claim_and_is_tried_again_for_the_other_order(world: World) -> None:
    first = submit(world, 1)

    def fail(_: str) -> Outcome:
        submit(world, 1)
        orders.cancel(world.runtime, first)
        return NOT_SENT

    world.provider.script += [fail]
    run(world)
    assert counts(world, first) == {"purchased": 1}
    assert world.attempts(purchase(world, 1)["id"]) == ["not_sent", "purchased"]


@pytest.mark.parametrize("whole", [True, False])
def test_an_order_that_is_loading_inherits_what_nobody_tried(world: World, whole: bool) -> None:
    first, second = submit(world, 1), begin(world, 1)
    assert orders.cancel(world.runtime, first) == 0
    assert purchase(world, 1)["order_id"] == second
    (orders.finish if whole else orders.abandon)(world.runtime, second)
    run(world)
    assert counts(world, first) == counts(world, second) == {"purchased" if whole else "cancelled": 1}


def test_an_order_that_is_loading_inherits_nothing_that_was_tried(world: World) -> None:
    world.provider.script += [REFUSED]
    world.provider.looks += [UNCLEAR]
    first = submit(world, 1)
    world.tick()
    begin(world, 1)
    assert purchase(world, 1)["status"] == Status.QUEUED
    assert orders.cancel(world.runtime, first) == 1


def test_an_open_order_comes_before_one_that_is_loading(world: World) -> None:
    first, _, second, _ = submit(world, 1), begin(world, 1), submit(world, 1), begin(world, 1)
    orders.cancel(world.runtime, first)
    assert purchase(world, 1)["order_id"] == second


def test_every_line_of_the_other_order_is_counted_once(world: World) -> None:
    first, second = submit(world, 1, 1), submit(world, 1, 2, 1)
    orders.cancel(world.runtime, first)
    assert (counts(world, first), counts(world, second)) == ({"queued": 2}, {"queued": 3})
    run(world)
    assert (counts(world, first), counts(world, second)) == ({"purchased": 2}, {"purchased": 3})


def test_an_order_at_its_limit_leaves_the_rest_to_others_that_may_buy(world: World) -> None:
    first, second = limited(world, 1, 1, 2, 3), submit(world, 2)
    run(world)
    assert counts(world, first) == {"purchased": 2, "cancelled": 1}
    assert counts(world, second) == {"purchased": 1}
    assert len(world.provider.charged) == 2


def test_an_order_at_its_limit_inherits_nothing(world: World) -> None:
    first, second = limited(world, 1, 1, 3), limited(world, 1, 2, 3)
    run(world)
    assert counts(world, first) == counts(world, second) == {"purchased": 1, "cancelled": 1}
    assert len(world.provider.charged) == 2


def test_what_was_released_for_another_order_is_released_again_within_the_heirs_limit(world: World) -> None:
    world.provider.script += [REFUSED]
    first, second = submit(world, 1, 2, 3), limited(world, 1, 1, 2, 3)
    assert world.release() == 3
    assert orders.cancel(world.runtime, first) == 0
    assert counts(world, second) == {"queued": 3}
    run(world)
    assert counts(world, second) == {"failed": 1, "purchased": 1, "cancelled": 1}
    assert len(world.provider.charged) == 1


@pytest.mark.parametrize("others", [0, 1])
def test_an_heir_takes_no_more_of_what_may_have_been_bought_than_it_may_buy(world: World, others: int) -> None:
    world.provider.script += [UNKNOWN] * 4
    first = submit(world, 1, 2, 3, 4)
    world.tick()
    second = limited(world, 3, 1, 2, 3, 4)
    with world.write() as conn:
        # One is called for, and one waits for its next try with the doubt behind it.
        for index, values in ((3, {"status": Status.PURCHASING, "doubt": False}), (4, {"status": Status.QUEUED})):
            conn.execute(PURCHASE.update().where(PURCHASE.c.number == number(index)).values(values))
    third = [submit(world, 1, 2, 3, 4) for _ in range(others)]
    assert orders.cancel(world.runtime, first) == 1 - others
    owners = [row["order_id"] for row in world.rows(select(PURCHASE))]
    assert [owners.count(one) for one in (first, second, *third)] == [1 - others, 3, *[1] * others]


@pytest.mark.parametrize("kept", [True, False])
def test_giving_up_an_heir_frees_only_the_keys_that_no_whole_order_came_with(world: World, kept: bool) -> None:
    first = str(orders.begin(world.runtime)["id"])
    orders.load(world.runtime, first, [(1, request(1, idempotency_key="k"))])
    if kept:
        orders.finish(world.runtime, first)
    second = begin(world, 1)
    orders.cancel(world.runtime, first)
    assert purchase(world, 1)["order_id"] == second
    orders.abandon(world.runtime, second)
    assert (world.accept(number(1), idempotency_key="k")["status"] == Status.CANCELLED) is kept
    assert len(world.rows(select(PURCHASE))) == (1 if kept else 2)


def test_a_cancel_waits_while_its_order_inherits_and_finds_that_too(world: World) -> None:
    first, second = submit(world, 1), submit(world, 1)
    with world.write() as conn:
        conn.execute(ORDER.update().where(ORDER.c.id == first).values(cancel_requested_at=world.clock()))
    canceller = threading.Thread(target=orders.cancel, args=(world.runtime, second))
    with world.write() as conn:
        assert cancel_order(conn, first, world.clock(), 9) == (1, 0)
        canceller.start()
        canceller.join(0.2)
        assert canceller.is_alive()
    canceller.join(PATIENCE)
    assert purchase(world, 1)["status"] == Status.CANCELLED


@pytest.mark.parametrize("attempt", range(2))
def test_orders_that_are_cancelled_at_the_same_instant_leave_nothing_behind(world: World, attempt: int) -> None:
    ids = [submit(world, *range(8)) for _ in range(3)]
    gate, failed = threading.Barrier(len(ids)), []

    def work(order_id: str) -> None:
        gate.wait()
        try:
            orders.cancel(world.runtime, order_id)
        except Exception as exc:
            failed.append(exc)

    threads = [threading.Thread(target=work, args=(one,)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    orders.complete_finished(world.runtime)
    assert [counts(world, one) for one in ids] == [{"cancelled": 8}] * 3
    assert {order(world, one)["status"] for one in ids} == {OrderStatus.COMPLETED}


def test_a_cancel_that_waits_for_an_order_holds_no_other_meanwhile(postgres: World) -> None:
    first = begin(postgres)
    second = submit(postgres, 1)
    orders.load(postgres.runtime, first, [(1, request(1))])
    orders.finish(postgres.runtime, first)
    with postgres.write() as conn:
        conn.execute(update(ORDER).where(ORDER.c.id == second).values(cancel_requested_at=postgres.clock()))
    cancel = partial(orders.cancel_purchases, postgres.runtime, second, cancelled=True)
    with beside(postgres, cancel, meanwhile=lambda conn: lock(conn, second)) as conn:
        lock(conn, first)
    assert purchase(postgres, 1)["order_id"] == first


def test_a_release_that_waits_for_an_order_holds_no_other_meanwhile(postgres: World) -> None:
    first, second = limited(postgres, 1, 1), limited(postgres, 1, 2)

    def release() -> None:
        with postgres.write() as conn:
            lanes, held = [second, first], limits.lock_limited(conn, [second, first])
            assert held.keys() == {first, second}
            due = {"count": 2, "now": postgres.clock(), "take_within": 8.0, "limited": held}
            assert len(releasing.release(conn, "acme", ACCOUNT, lanes, **due)) == 2

    with beside(postgres, release, meanwhile=lambda conn: lock(conn, second)) as conn:
        lock(conn, first)


def test_what_another_order_came_to_wait_for_meanwhile_is_locked_anew(postgres: World) -> None:
    submit(postgres, 1)
    second, wanted = begin(postgres), purchase(postgres, 1)["id"]

    def lock_all() -> None:
        with postgres.write() as conn, pytest.raises(Raced):
            locked_with_orders(conn, [wanted])

    with beside(postgres, lock_all) as conn:
        accept_lines(conn, second, [Entry(request=request(1), account=ACCOUNT, line=1)], postgres.clock())


def test_what_is_bought_while_its_cancel_waits_stays_with_its_order(postgres: World) -> None:
    first = submit(postgres, 1)
    postgres.release()
    claim = postgres.claim(purchase(postgres, 1)["id"])
    second = limited(postgres, 2, 1, 2, 3)
    with beside(postgres, lambda: orders.cancel(postgres.runtime, first)) as conn:
        record(conn, claim, YES, Decision(status=Status.PURCHASED), postgres.clock())
    bought = purchase(postgres, 1)
    assert (bought["status"], bought["order_id"], bought["cancel_requested_at"]) == (Status.PURCHASED, first, None)
    run(postgres)
    assert counts(postgres, second) == {"purchased": 3}


def test_a_held_line_that_a_person_gives_another_try_is_bought_although_its_order_was_cancelled(world: World) -> None:
    world.provider.script += [UNKNOWN]
    first = submit(world, 1)
    world.release()
    orders.cancel(world.runtime, first)
    with world.write() as conn:
        conn.execute(PURCHASE.update().values(status=Status.HELD, doubt=True, due_at=None, success=None))
    [row] = world.rows(select(PURCHASE))
    assert order(world, first)["cancel_requested_at"] is not None
    resolve.resolve(world.runtime, [Resolution(purchase_id=row["id"], verdict=Verdict.RETRY)], "ann")
    assert order(world, first)["cancel_requested_at"] is None
    run(world)
    assert counts(world, first) == {"purchased": 1}


def test_a_retry_tells_what_another_purchase_answers_and_keeps_the_lines_metadata(world: World) -> None:
    world.provider.script += [REFUSED, REFUSED]
    first = begin(world, 1, 2, metadata={"whose": "mine"})
    orders.finish(world.runtime, first)
    run(world)
    other = world.accept(number(1), metadata={"whose": "another's"})
    assert retry_order.retry(world.runtime, first) == retry_order.Retried(again=1, found=1)
    with world.runtime.database.read() as conn:
        lines = list(order_results(conn, first))
    assert [line["metadata"] for line in lines] == [{"whose": "mine"}] * 2
    assert lines[0]["purchase_id"] == other["id"]


def test_a_retry_takes_over_what_another_order_only_loads(world: World) -> None:
    world.provider.script += [REFUSED]
    first = submit(world, 1)
    run(world)
    begin(world, 1)
    assert retry_order.retry(world.runtime, first) == retry_order.Retried(again=1)
    assert counts(world, first) == {"queued": 1}
