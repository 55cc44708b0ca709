"""Release: as much as there is room for, and fair."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update

from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.purchases import ORDER, PURCHASE
from tasks import orders
from tasks.ledger.queue import daily_limit, dispatch, requeue
from tasks.lifecycle import release_and_sweep
from tasks.runtime import Message
from tests.tasks.scripted_provider import THROTTLED
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

Make = Callable[..., World]


def many(world: World, count: int, first: int = 0) -> None:
    """Single purchases that wait for their release."""
    for n in range(first, first + count):
        world.queued(number(n))


def order(world: World, count: int, first: int = 0, *, whole: bool = True) -> str:
    found = orders.begin(world.runtime, name="an order")
    lines = [(n, BuyNumber(number=number(first + n), provider="acme")) for n in range(count)]
    orders.load(world.runtime, found["id"], lines)
    if whole:
        orders.finish(world.runtime, found["id"])
    return str(found["id"])


def owners(world: World, messages: list[Message]) -> Counter[str | None]:
    """How many of the messages are for each order's purchases."""
    return Counter(world.row(message.kwargs["purchase_id"])["order_id"] for message in messages)


def test_no_more_is_released_than_may_be_in_flight(make: Make) -> None:
    world = make(max_in_flight=5)
    many(world, 12)
    assert world.release() == 5
    assert world.release() == 0
    assert len(world.sent) == 5
    world.deliver(world.sent.pop())
    assert world.release() == 1


def test_a_call_under_way_takes_its_room(make: Make) -> None:
    world = make(max_in_flight=2)
    many(world, 3)
    world.release()
    world.claim(world.sent[0].kwargs["purchase_id"])
    assert world.release() == 0


def test_no_more_is_released_than_the_pace_lets_through_soon(make: Make) -> None:
    world = make(rate_limits=["10/second"], rate_guard=0, max_in_flight=100)
    many(world, 20)
    soon = 1 + int(release_and_sweep.LOOKAHEAD * 10)
    assert world.release() == soon
    assert world.release() == 0


def test_nothing_is_released_while_the_pace_is_far_away(world: World) -> None:
    many(world, 1)
    world.pace.all_next_in = lambda lanes: [release_and_sweep.LOOKAHEAD + 1 for _ in lanes]
    assert world.release() == 0


def test_who_is_far_releases_for_the_slots_that_claims_ahead_leave(world: World) -> None:
    """Calls that are claimed a second ahead have their slots by then: the next is no nearer than that."""
    many(world, 1)
    world.pace.all_next_in = lambda lanes: [release_and_sweep.LOOKAHEAD + 0.5 for _ in lanes]
    assert world.release() == 0
    world.runtime.claims.took(0.3)
    assert world.release() == 1


def test_what_is_not_due_waits(world: World) -> None:
    row = world.queued()
    with world.write() as conn:
        later = world.clock.moment + timedelta(seconds=10)
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(due_at=later))
    assert world.release() == 0
    world.clock.advance(10)
    assert world.release() == 1


def test_a_large_order_does_not_keep_a_single_purchase_waiting(make: Make) -> None:
    world = make(max_in_flight=4)
    large = order(world, 50)
    many(world, 1, first=900)
    world.release()
    assert owners(world, world.sent) == {large: 3, None: 1}


def test_orders_share_what_there_is_and_what_one_leaves_goes_to_the_others(make: Make) -> None:
    world = make(max_in_flight=12)
    large, small, middle = order(world, 50), order(world, 1, first=100), order(world, 50, first=200)
    world.release()
    found = owners(world, world.sent)
    assert found[small] == 1
    assert found[large] + found[middle] == 11
    assert abs(found[large] - found[middle]) <= 3


def test_with_less_room_than_orders_each_has_its_turn(make: Make) -> None:
    world = make(max_in_flight=1)
    for n in range(4):
        order(world, 30, first=n * 100)
    for _ in range(60):
        world.release()
        world.work()
    found = Counter(row["order_id"] for row in world.rows(select(PURCHASE)) if row["status"] == Status.PURCHASED)
    assert len(found) == 4


def test_an_order_behind_many_older_ones_has_its_turn(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_DUE_ORDERS", dispatch._DUE_ORDERS.limit(2))
    world = make(max_in_flight=2)
    for n in range(3):
        order(world, 30, first=n * 100)
        world.clock.advance(1)
    served: set[str | None] = set()
    for _ in range(20):
        world.release()
        served |= set(owners(world, world.sent))
        world.work()
    assert len(served) == 3


def test_an_order_is_not_bought_before_it_is_whole(world: World) -> None:
    loading = order(world, 3, whole=False)
    assert world.release() == 0
    orders.finish(world.runtime, loading)
    assert world.release() == 3


def test_what_was_released_and_not_taken_is_due_again(world: World) -> None:
    row = world.accept()
    [lost] = world.sent
    world.sent.clear()
    world.clock.advance(world.binding.policy.take_within)
    assert world.sweep() == 1
    assert world.row(row["id"])["status"] == Status.QUEUED
    assert world.release() == 1
    # the first message turns up again: it buys nothing
    assert world.deliver(lost) is None
    world.work()
    assert len(world.provider.charged) == 1


def test_a_purchase_put_back_is_due_when_told(world: World) -> None:
    row = world.accept()
    until = world.clock.moment + timedelta(seconds=30)
    with world.write() as conn:
        requeue.postpone(conn, row["id"], row["revision"] - 1, until, world.clock())
    assert world.row(row["id"]) == row
    with world.write() as conn:
        requeue.postpone(conn, row["id"], row["revision"], until, world.clock())
    after = world.row(row["id"])
    assert (after["status"], after["due_at"], after["attempts"]) == (Status.QUEUED, until, 0)


def test_throttling_waits_in_the_table(world: World) -> None:
    world.provider.script.append(THROTTLED)
    row = world.accept()
    world.work()
    assert world.release() == 0
    world.clock.advance(7)
    assert world.release() == 1
    assert world.row(row["id"])["attempts"] == 0


def test_workers_that_release_at_once_release_each_purchase_once(make: Make) -> None:
    world = make(max_in_flight=200)
    order(world, 100)
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        for _ in range(5):
            world.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(world.sent) == 100
    assert len({message.kwargs["purchase_id"] for message in world.sent}) == 100


def test_a_single_purchase_goes_at_once_only_where_nobody_waits_and_there_is_room(make: Make) -> None:
    world = make(max_in_flight=1)
    assert world.accept(number(1))["status"] == Status.DISPATCHED
    assert world.accept(number(2))["status"] == Status.QUEUED
    world.work()
    assert world.accept(number(3))["status"] == Status.QUEUED
    world.pause()
    world.release()
    assert world.accept(number(4))["status"] == Status.QUEUED


def test_purchases_of_an_order_that_is_over_do_not_go(world: World) -> None:
    done = order(world, 1)
    with world.write() as conn:
        conn.execute(update(ORDER).where(ORDER.c.id == done).values(status=OrderStatus.ABANDONED))
    assert world.release() == 0


def twins(world: World, count: int) -> None:
    """Single purchases of both aliases of one account, by turns, that wait for their release."""
    for n in range(count):
        world.queued(number(n), provider=("acme", "twin")[n % 2])


def release_of(world: World, alias: str) -> int:
    return release_and_sweep.release_due(world.runtime, world.runtime.providers[alias])


def release_both(world: World) -> int:
    return sum(release_of(world, alias) for alias in world.runtime.providers)


@pytest.mark.parametrize("first", ["acme", "twin"])
def test_aliases_of_one_account_share_what_may_be_in_flight(make: Make, first: str) -> None:
    world = make(max_in_flight=5)
    twins(world, 12)
    assert release_of(world, first) == 5
    assert release_both(world) == 0
    world.work()
    assert release_both(world) == 5


def test_while_one_alias_is_locked_no_other_of_its_account_is_released(postgres_url: str) -> None:
    database = SqlDatabase(postgres_url)
    world = make_world(database)
    twins(world, 2)
    with world.write() as conn:
        assert (
            dispatch.lock_provider(conn, "twin", daily_limit.Account("acme-account", ("twin",)), world.clock())
            is not None
        )
        assert world.release() == 0
    assert world.release() == 1
    database.close()


def test_aliases_of_one_account_that_are_released_at_once_pass_no_limit(make: Make) -> None:
    world = make(max_in_flight=7, daily_limit=7)
    twins(world, 40)
    gate = threading.Barrier(4)

    def work(alias: str) -> None:
        # Another process remembers nothing of what this one counted.
        runtime = replace(world.runtime)
        gate.wait()
        for _ in range(10):
            release_and_sweep.release_due(runtime, runtime.providers[alias])

    threads = [threading.Thread(target=work, args=(alias,)) for alias in ("acme", "twin") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Each may have stood in the other's way to the end.
    release_both(world)
    assert len(world.sent) == 7


def test_one_aliases_calls_do_not_keep_the_others_probe_waiting(world: World) -> None:
    twins(world, 2)
    release_of(world, "twin")
    world.pause(cooldown=1)
    world.clock.advance(1)
    assert world.release() == 1


def counts(world: World) -> list[str]:
    """The counts for a daily limit that the database is asked for, as they come."""
    asked: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "count(*)" in statement and "call_deadline" in statement:
            asked.append(statement)

    event.listen(world.runtime.database.engine, "before_cursor_execute", note)  # type: ignore[attr-defined]
    return asked
