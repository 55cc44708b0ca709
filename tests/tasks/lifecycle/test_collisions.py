"""A transaction that the server ends for another's sake is run again, wherever that happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import event, select, update

from schemas.events import EventType
from schemas.requests import BuyNumber
from schemas.status import OrderStatus, Status
from schemas.tables.audits import AUDIT_RUN, FINDING
from schemas.tables.purchases import EVENT, ORDER, PROVIDER, PURCHASE
from tasks import orders, provider_reaction
from tasks.audit import schedule
from tasks.lifecycle.outbox_relay import Relay, Selection, replay
from tasks.operator import retry_order
from tasks.policies.pause import Cause, Pause
from tasks.policies.retry import NOT_BOUGHT
from tests.tasks.clock import START
from tests.tasks.scripted_provider import REFUSED
from tests.tasks.support import World, clear, make_world, number
from workers.database.connections import SqlDatabase

# The server says it in the words of its own language: only the code is the same everywhere.
ENDED = "DO $$ BEGIN RAISE EXCEPTION 'Verklemmung' USING ERRCODE = '{code}'; END $$"


class Collisions:
    """Lets the server end a transaction at one of the statements that write."""

    def __init__(self, database: SqlDatabase) -> None:
        self.code, self.at, self.seen = "40P01", 0, 0
        event.listen(database.engine, "before_cursor_execute", self._meet, retval=True)

    def _meet(
        self, _conn: Any, _cursor: Any, statement: str, values: Any, _context: Any, many: bool
    ) -> tuple[str, Any]:
        if statement.split(maxsplit=1)[0] not in ("UPDATE", "INSERT", "DELETE", "WITH"):
            return statement, values
        self.seen += 1
        return (ENDED.format(code=self.code), [()] if many else ()) if self.seen == self.at else (statement, values)


@pytest.fixture
def world(postgres_url: str, redis: Redis) -> Iterator[World]:
    database = SqlDatabase(postgres_url)
    found = make_world(database)
    object.__setattr__(found.runtime, "redis", redis)
    yield found
    database.close()


@pytest.fixture
def collisions(world: World) -> Collisions:
    return Collisions(world.runtime.database)  # type: ignore[arg-type]


def shared(world: World) -> tuple[str, str]:
    """Two orders for the same numbers, the first with all purchases."""
    first, second = (orders.begin(world.runtime, name=name)["id"] for name in ("first", "second"))
    lines = [(n + 1, BuyNumber(number=number(n), provider="acme")) for n in range(3)]
    for order_id in (first, second):
        orders.load(world.runtime, order_id, lines)
        orders.finish(world.runtime, order_id)
    return first, second


def new_order(world: World) -> str:
    order_id = orders.begin(world.runtime, name="new")["id"]
    orders.load(world.runtime, order_id, [(1, BuyNumber(number=number(9), provider="acme"))])
    orders.finish(world.runtime, order_id)
    return str(order_id)


def status(world: World, order_id: str) -> tuple[str, bool]:
    [row] = world.rows(select(ORDER).where(ORDER.c.id == order_id))
    return row["status"], row["cancel_requested_at"] is not None


def load(world: World) -> Callable[[], object]:
    def act() -> None:
        order_id = new_order(world)
        assert status(world, order_id) == (OrderStatus.OPEN, False)
        accepted = world.rows(select(EVENT).where(EVENT.c.type == EventType.ACCEPTED, EVENT.c.subject == order_id))
        assert [row["data"]["repeat"] for row in accepted] == [False]

    return act


def cancel(world: World) -> Callable[[], object]:
    order_id = new_order(world)

    def act() -> None:
        assert orders.cancel(world.runtime, order_id) == 1
        assert status(world, order_id) == (OrderStatus.OPEN, True)
        assert orders.complete_finished(world.runtime) == 1

    return act


def hand_over(world: World) -> Callable[[], object]:
    first, second = shared(world)

    def act() -> None:
        assert orders.cancel(world.runtime, first) == 0
        assert {row["order_id"] for row in world.rows(select(PURCHASE))} == {second}

    return act


def wait_again(world: World) -> Callable[[], object]:
    first, _ = shared(world)
    orders.cancel(world.runtime, first)

    def act() -> None:
        assert retry_order.retry(world.runtime, first).found == 3
        assert status(world, first) == (OrderStatus.OPEN, False)

    return act


def buy_again(world: World) -> Callable[[], object]:
    order_id = new_order(world)
    orders.cancel(world.runtime, order_id)

    def act() -> None:
        assert retry_order.retry(world.runtime, order_id).again == 1

    return act


def abandon(world: World) -> Callable[[], object]:
    order_id = orders.begin(world.runtime, name="half")["id"]
    orders.load(world.runtime, order_id, [(1, BuyNumber(number=number(9), provider="acme"))])

    def act() -> None:
        orders.abandon(world.runtime, order_id)
        assert status(world, order_id) == (OrderStatus.ABANDONED, True)

    return act


def pause(world: World) -> Callable[[], object]:
    def act() -> None:
        provider_reaction.pause_provider(
            world.runtime, "acme", Pause(cause=Cause.ACCOUNT, reason="denied", cooldown=60.0)
        )
        [row] = world.rows(select(PROVIDER))
        assert row["reason"] == "denied"

    return act


def purchase(world: World) -> Callable[[], object]:
    row = world.queued()

    def act() -> None:
        assert world.release() == 1
        world.work()
        assert (world.row(row["id"])["status"], len(world.provider.charged)) == (Status.PURCHASED, 1)

    return act


def refusal(world: World) -> Callable[[], object]:
    row = world.queued()
    world.provider.script.append(REFUSED)

    def act() -> None:
        world.release()
        world.work()
        assert world.row(row["id"])["status"] == Status.FAILED

    return act


def lost_call(world: World) -> Callable[[], object]:
    claim = world.claimed()
    with world.write() as conn:
        conn.execute(update(PURCHASE).values(due_at=world.clock.moment))
    world.provider.charge(claim.row["number"])

    def act() -> None:
        assert world.sweep() == 1
        world.clock.advance(3600)
        assert world.look() == 1
        world.work()
        assert world.row(claim.row["id"])["status"] == Status.PURCHASED

    return act


def send_again(world: World) -> Callable[[], object]:
    world.accept()
    relay = Relay(world.runtime, "relay")
    while relay.run_once():
        pass

    def act() -> None:
        assert sum(replay(world.runtime, relay, Selection(since=START))) == 1

    return act


def audit(world: World) -> Callable[[], object]:
    """One that settles evidence and absence, tells of an orphan, and forgets the one that it told of before."""
    gone, orphan, ours, absent = (number(n) for n in range(4))
    world.provider.charge(gone)
    assert schedule.scheduled(world.runtime, "acme") == 1
    world.provider.charged.clear()
    held = world.claimed(absent).row
    world.provider.charge(orphan)
    world.provider.charge(ours)
    row = world.queued(ours)
    world.clock.advance(3 * 24 * 3600)
    doubtful = {"status": Status.HELD, "doubt": True, "error_code": NOT_BOUGHT[0], "due_at": None}
    with world.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == held["id"]).values(**doubtful))

    def act() -> None:
        assert schedule.scheduled(world.runtime, "acme") == 3
        assert world.row(row["id"])["status"] == Status.PURCHASED
        assert world.row(held["id"])["status"] == Status.FAILED
        found = {row["number"]: row["resolved_at"] is not None for row in world.rows(select(FINDING))}
        assert found == {gone: True, orphan: False, ours: True, absent: True}
        [run] = world.rows(select(AUDIT_RUN))
        assert (run["error"], run["ended_at"]) == (None, world.clock.moment)

    return act


_PURCHASES = (purchase, refusal, lost_call)
SITES = (load, cancel, hand_over, wait_again, buy_again, abandon, pause, *_PURCHASES, send_again, audit)


@pytest.mark.parametrize("code", ["40P01", "40001"])
@pytest.mark.parametrize("site", SITES)
def test_what_was_ended_for_another_is_done_again(
    world: World, collisions: Collisions, site: Callable[[World], Callable[[], object]], code: str
) -> None:

    collisions.code = code
    for at in range(1, 40):
        clear(world.runtime.database)  # type: ignore[arg-type]
        world.provider.charged.clear()
        world.sent.clear()
        collisions.at = 0
        act = site(world)
        collisions.seen, collisions.at = 0, at
        act()
        if collisions.seen < at:
            assert at > 1
            return
    raise AssertionError("more statements than expected")
