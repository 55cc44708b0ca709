"""Commands on orders that die at any of their commits: the sweep goes on with them, and nothing waits for ever."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from schemas.events import EventType
from schemas.requests import BuyNumber, RequestError
from schemas.settling import Verdict
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import EVENT, LINE, ORDER, PURCHASE
from tasks import orders
from tasks.ledger.orders import cancelled
from tasks.ledger.resolve import Resolution
from tasks.ledger.rows import Row
from tasks.ledger.waiting import stuck
from tasks.operator import resolve as resolving
from tasks.operator import retry_order
from tests.tasks.killing import DeadlyDatabase, killed_at, make_deadly
from tests.tasks.orders.test_orders import begin, counts, order, run, submit
from tests.tasks.orders.test_sharing import limited, purchase
from tests.tasks.scripted_provider import REFUSED, UNKNOWN
from tests.tasks.support import World, number


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (orders, retry_order, resolving):
        monkeypatch.setattr(module, "CHUNK", 2)


@pytest.fixture
def deadly(world: World) -> DeadlyDatabase:
    return make_deadly(world)


def at_each_commit(deadly: DeadlyDatabase, work: Callable[[int], Any]) -> Iterator[int]:
    """Do *work* anew, dying at its first commit, its second, and so on, until it comes to its end."""
    for commit in range(1, 50):
        died = killed_at(deadly, commit, lambda commit=commit: work(commit))  # type: ignore[misc]
        yield commit
        if not died:
            return
    raise AssertionError("it never ends")


def resolve(world: World, purchase_id: str, verdict: Verdict) -> None:
    resolving.resolve(world.runtime, [Resolution(purchase_id=purchase_id, verdict=verdict)], "ann")


def sweep_after(world: World, seconds: float) -> None:
    world.clock.advance(seconds)
    orders.complete_finished(world.runtime)


def nothing_is_stuck(world: World) -> bool:
    with world.runtime.database.read() as conn:
        return stuck(conn, world.clock()) == []


def test_a_cancel_that_died_is_gone_on_with(world: World, deadly: DeadlyDatabase) -> None:
    ids = [submit(world, *range(10 * n, 10 * n + 5)) for n in range(9)]
    for commit in at_each_commit(deadly, lambda commit: orders.cancel(world.runtime, ids[commit])):
        sweep_after(world, 10)
        sweep_after(world, 1)
        assert counts(world, ids[commit]) == {"cancelled": 5}
        assert order(world, ids[commit])["status"] == OrderStatus.COMPLETED
        last = commit
    assert last > 4


def test_the_sweep_leaves_a_cancel_that_is_alive_alone(world: World, deadly: DeadlyDatabase) -> None:
    first = submit(world, *range(9))
    assert killed_at(deadly, 2, lambda: orders.cancel(world.runtime, first))
    for _ in range(2):
        sweep_after(world, 9)
        with deadly.write() as conn:
            assert cancelled.still_cancelled(conn, first, world.clock())
    assert counts(world, first) == {"cancelled": 2, "queued": 7}
    assert nothing_is_stuck(world)
    world.clock.advance(61)
    assert not nothing_is_stuck(world)
    sweep_after(world, 0)
    assert counts(world, first) == {"cancelled": 9}
    assert nothing_is_stuck(world)


def test_a_sweep_that_comes_late_does_not_cancel_what_a_retry_brought_back(
    world: World, deadly: DeadlyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(world, *range(4))
    killed_at(deadly, 2, lambda: orders.cancel(world.runtime, first))
    world.clock.advance(10)
    find = cancelled.half_cancelled

    def found_just_before_the_retry(conn: Any, now: Any) -> list[str]:
        found = find(conn, now)
        monkeypatch.setattr(orders, "half_cancelled", find)
        retry_order.retry(world.runtime, first)
        return found

    monkeypatch.setattr(orders, "half_cancelled", found_just_before_the_retry)
    orders.complete_finished(world.runtime)
    assert counts(world, first) == {"queued": 4}
    run(world)
    assert counts(world, first) == {"purchased": 4}


@pytest.mark.parametrize("by_order", [False, True])
@pytest.mark.parametrize("gone_on", [False, True])
def test_a_number_of_a_cancel_that_died_is_bought_for_whoever_wants_it_then(
    world: World, deadly: DeadlyDatabase, by_order: bool, gone_on: bool
) -> None:
    first = submit(world, 1, 2)
    killed_at(deadly, 1, lambda: orders.cancel(world.runtime, first))
    second = submit(world, 1) if by_order else world.accept(number(1))["id"]
    assert purchase(world, 1)["order_id"] == (second if by_order else None)
    if gone_on:
        sweep_after(world, 10)
    run(world)
    sweep_after(world, 10)
    assert counts(world, first) == {"purchased": 1, "cancelled": 1}
    assert [sold for sold, _ in world.provider.charged] == [number(1)]


def test_no_more_of_a_cancel_that_died_goes_to_another_order_than_that_may_buy(
    world: World, deadly: DeadlyDatabase
) -> None:
    world.provider.script += [UNKNOWN] * 3
    first = submit(world, 1, 2, 3)
    world.tick()
    killed_at(deadly, 1, lambda: orders.cancel(world.runtime, first))
    second = limited(world, 2, 1, 2, 3)
    owners = [row["order_id"] for row in world.rows(select(PURCHASE))]
    assert sorted(owners) == sorted([first, second, second])


def test_what_is_bought_already_stays_with_the_order_whose_cancel_died(world: World, deadly: DeadlyDatabase) -> None:
    first = submit(world, 1, 2)
    with deadly.write() as conn:
        accepted = {"status": Status.PROCESSING, "due_at": world.clock()}
        conn.execute(update(PURCHASE).where(PURCHASE.c.number == number(1)).values(accepted))
    killed_at(deadly, 1, lambda: orders.cancel(world.runtime, first))
    second = submit(world, 1, 2)
    assert (purchase(world, 1)["order_id"], purchase(world, 2)["order_id"]) == (first, second)


def held_of(world: World, order_id: str, index: int) -> str:
    """The order's purchase as held, with a doubt."""
    with world.write() as conn:
        here = (PURCHASE.c.order_id == order_id, PURCHASE.c.number == number(index))
        conn.execute(update(PURCHASE).where(*here).values(status=Status.HELD, doubt=True, due_at=None))
    return str(purchase(world, index)["id"])


def test_a_line_of_an_order_that_was_given_up_is_bought_where_a_person_says_so(
    world: World, deadly: DeadlyDatabase
) -> None:
    first = begin(world, 1, 2)
    held = held_of(world, first, 1)
    orders.abandon(world.runtime, first)
    resolve(world, held, Verdict.RETRY)
    assert world.row(held)["order_id"] is None
    run(world)
    assert counts(world, first) == {"purchased": 1, "cancelled": 1}
    assert {row["shared"] for row in world.rows(select(LINE).where(LINE.c.purchase_id == held))} == {True}


def test_the_same_while_the_order_is_being_given_up(world: World, deadly: DeadlyDatabase) -> None:
    first = begin(world, 1, 2)
    held = held_of(world, first, 1)
    # All of it is cancelled, and only its end is not written down.
    killed_at(deadly, 3, lambda: orders.abandon(world.runtime, first))
    assert order(world, first)["status"] == OrderStatus.LOADING
    resolve(world, held, Verdict.RETRY)
    sweep_after(world, 1)
    run(world)
    assert world.row(held)["status"] == Status.PURCHASED


def test_a_line_of_an_order_that_still_loads_waits_for_it(world: World) -> None:
    first = begin(world, 1, 2)
    held = held_of(world, first, 1)
    resolve(world, held, Verdict.RETRY)
    assert world.row(held)["order_id"] == first
    orders.finish(world.runtime, first)
    run(world)
    assert counts(world, first) == {"purchased": 2}


def test_a_retry_by_a_person_does_not_take_back_a_cancel_that_died(world: World, deadly: DeadlyDatabase) -> None:
    first = submit(world, *range(5))
    held = held_of(world, first, 4)
    killed_at(deadly, 2, lambda: orders.cancel(world.runtime, first))
    resolve(world, held, Verdict.RETRY)
    assert order(world, first)["cancel_requested_at"] is not None
    world.tick()
    sweep_after(world, 10)
    assert counts(world, first) == {"cancelled": 4, "held": 1}
    assert world.provider.charged == []
    # The cancel is done: now it is heard.
    resolve(world, held, Verdict.RETRY)
    run(world)
    assert counts(world, first) == {"cancelled": 4, "purchased": 1}


def test_a_retry_that_died_is_done_by_the_next(world: World, deadly: DeadlyDatabase) -> None:
    world.provider.script += [REFUSED] * 5
    first = submit(world, *range(5))
    run(world)
    for _ in at_each_commit(deadly, lambda _: retry_order.retry(world.runtime, first)):
        pass
    run(world)
    assert counts(world, first) == {"purchased": 5}


@pytest.mark.parametrize("status", [OrderStatus.ABANDONED, OrderStatus.COMPLETED])
def test_what_waits_in_an_order_that_ended_is_told_and_a_cancel_mends_it(world: World, status: OrderStatus) -> None:
    first = submit(world, 1)
    assert nothing_is_stuck(world)
    with world.write() as conn:
        conn.execute(update(ORDER).values(status=status))
        [found] = stuck(conn, world.clock())
    assert (found["id"], found["order_id"]) == (purchase(world, 1)["id"], first)
    assert (found["order_status"]) == status
    assert orders.cancel(world.runtime, first) == 1
    assert nothing_is_stuck(world)


@pytest.mark.parametrize("status", [Status.QUEUED, Status.DISPATCHED, Status.PURCHASING, Status.UNKNOWN])
def test_what_is_never_due_is_told(world: World, status: Status) -> None:
    row = world.accept()
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(status=status, due_at=None))
        assert stuck(conn, world.clock()) == [{"id": row["id"], "order_id": None, "order_status": None}]


def test_an_order_that_should_have_been_given_up_is_told(world: World) -> None:
    order_id = begin(world, 1)
    world.clock.advance(24 * 3600 + 61)
    with world.write() as conn:
        assert [row["order_id"] for row in stuck(conn, world.clock())] == [order_id]
    orders.complete_finished(world.runtime)
    assert nothing_is_stuck(world)


def lend(world: World, taker: dict[str, Any] | None, key: str | None = "k1") -> tuple[str, Row]:
    """An order of *key* whose load dies, and its purchase, which *taker* took over: a request, or None for an order."""
    given = begin(world)
    request = BuyNumber(number=number(1), provider="acme", idempotency_key=key, metadata={"who": "A"})
    orders.load(world.runtime, given, [(1, request)])
    if taker is not None:
        world.accept(number(1), **taker)
    else:
        heir = begin(world)
        other = BuyNumber(number=number(1), provider="acme", metadata={"who": "B"})
        orders.load(world.runtime, heir, [(1, other)])
        orders.finish(world.runtime, heir)
    [row] = world.rows(select(PURCHASE))
    return given, row


@pytest.mark.parametrize("former", ["k1", None])
@pytest.mark.parametrize(
    ("taker", "key"), [({"idempotency_key": "k2", "metadata": {"who": "B"}}, "k2"), (None, None)], ids=["one", "order"]
)
def test_what_was_taken_over_goes_on_as_the_takers_where_its_order_is_given_up(
    world: World, taker: dict[str, Any] | None, key: str | None, former: str | None
) -> None:
    given, row = lend(world, taker, former)
    orders.abandon(world.runtime, given)
    world.settle(row["id"])
    [told] = world.rows(select(EVENT).where(EVENT.c.type == EventType.PURCHASED))
    assert (told["data"]["idempotency_key"], told["data"]["metadata"]) == (key, {"who": "B"})
    assert told["data"]["order_id"] == row["order_id"] != given
    assert world.accept(number(2), idempotency_key="k1")["number"] == number(2)


def test_what_was_taken_over_is_told_under_both_keys_where_its_order_stands(world: World) -> None:
    given, row = lend(world, {"idempotency_key": "k2", "metadata": {"who": "B"}})
    orders.finish(world.runtime, given)
    world.settle(row["id"])
    query = select(EVENT).where(EVENT.c.type == EventType.PURCHASED).order_by(EVENT.c.seq)
    told = [event["data"] for event in world.rows(query)]
    assert [(data["idempotency_key"], data["metadata"]) for data in told] == [
        ("k1", {"who": "A"}),
        ("k2", {"who": "B"}),
    ]


def test_a_key_that_was_called_for_stays_used_where_its_order_is_given_up(world: World) -> None:
    given, row = lend(world, {"idempotency_key": "k2"})
    world.settle(row["id"])
    orders.abandon(world.runtime, given)
    assert world.row(row["id"])["idempotency_key"] == "k1"
    with pytest.raises(RequestError, match="came before with another request"):
        world.accept(number(2), idempotency_key="k1")


def test_who_was_first_keeps_the_key_where_another_order_is_given_up(world: World) -> None:
    row = world.accept(number(1), idempotency_key="k1", metadata={"who": "A"})
    given = begin(world)
    orders.load(world.runtime, given, [(1, BuyNumber(number=number(1), provider="acme", idempotency_key="k2"))])
    orders.abandon(world.runtime, given)
    after = world.settle(row["id"])
    assert (after["idempotency_key"], after["metadata"]) == ("k1", {"who": "A"})
    assert world.accept(number(2), idempotency_key="k2")["number"] == number(2)
