"""Messages that wait behind others are late, not lost: they are not sent again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.queue import requeue
from tasks.lifecycle import late, release_and_sweep
from tests.tasks.support import World, make_world, number
from workers.database.connections import SqlDatabase

Make = Callable[..., World]


def released(world: World, count: int, provider: str = "acme", first: int = 0) -> list[str]:
    """Purchases that are released now; their messages wait in the queue."""
    sent = [*world.sent]
    rows = [world.queued(number(first + n), provider) for n in range(count)]
    world.sent[:] = sent
    release_and_sweep.release_due(world.runtime, world.runtime.providers[provider])
    return [row["id"] for row in rows]


def sweep(world: World) -> int:
    return release_and_sweep.sweep_all(world.runtime)


def statuses(world: World, ids: list[str]) -> list[str]:
    return [world.row(one)["status"] for one in ids]


def test_what_waits_behind_a_message_that_was_taken_late_is_not_sent_again(world: World) -> None:
    own, others = released(world, 3), released(world, 2, "twin", first=10)
    for _ in range(4):
        world.clock.advance(5)
        world.deliver(world.sent.pop(0))
        assert sweep(world) == 0
        world.clock.advance(2)
        assert sweep(world) == 0
    assert sorted(statuses(world, own + others)) == [Status.DISPATCHED, *[Status.PURCHASED] * 4]
    world.work()
    assert statuses(world, own + others) == [Status.PURCHASED] * 5
    assert len(world.provider.charged) == 5


def test_what_waits_is_left_alone_by_short_transactions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late, "MOST", 2)
    ids = released(world, 6)
    world.clock.advance(5)
    world.deliver(world.sent.pop(0))
    assert sweep(world) == 0
    world.clock.advance(5)
    assert sweep(world) == 0
    assert sorted(statuses(world, ids)) == [*[Status.DISPATCHED] * 5, Status.PURCHASED]


def test_what_was_released_before_it_is_sent_again_in_time(world: World) -> None:
    [lost] = released(world, 1)
    world.sent.clear()
    world.clock.advance(3)
    released(world, 2, first=10)
    world.clock.advance(4.5)
    world.deliver(world.sent.pop(0))
    assert sweep(world) == 0
    world.clock.advance(0.5)
    assert sweep(world) == 1
    assert world.row(lost)["status"] == Status.QUEUED


def test_a_message_that_is_lost_is_sent_again_once_those_behind_it_are_taken(world: World) -> None:
    released(world, 3)
    lost = world.sent.pop(0).kwargs["purchase_id"]
    for _ in range(2):
        world.clock.advance(5)
        world.deliver(world.sent.pop(0))
        assert sweep(world) == 0
    due_at = world.row(lost)["due_at"]
    assert due_at == world.clock.moment + timedelta(seconds=world.binding.policy.take_within)
    released(world, 1, first=10)
    world.clock.advance(3)
    world.work()
    assert sweep(world) == 0
    assert world.row(lost)["due_at"] == due_at
    world.clock.moment = due_at
    assert sweep(world) == 1
    assert world.settle(lost)["status"] == Status.PURCHASED
    assert len(world.provider.charged) == 4


def test_where_messages_are_taken_in_time_a_lost_one_is_due_again_as_ever(world: World) -> None:
    released(world, 2)
    lost = world.sent.pop(0).kwargs["purchase_id"]
    world.clock.advance(3)
    world.deliver(world.sent.pop(0))
    sweep(world)
    due_at = world.row(lost)["due_at"]
    world.clock.moment = due_at
    assert sweep(world) == 1


def test_the_sweep_does_not_wait_for_what_is_being_taken(postgres_url: str) -> None:
    database = SqlDatabase(postgres_url)
    world = make_world(database)
    taken, waits = released(world, 2)
    now = world.clock.moment
    soon, until = now + timedelta(seconds=9), now + timedelta(seconds=20)
    with database.write() as other:
        other.execute(select(PURCHASE).where(PURCHASE.c.id == taken).with_for_update())
        with database.write() as conn:
            assert requeue.keep_late(conn, ["acme"], since=now, soon=soon, until=until, most=2) == 1
    assert [world.row(one)["due_at"] == until for one in (taken, waits)] == [False, True]
    database.close()
