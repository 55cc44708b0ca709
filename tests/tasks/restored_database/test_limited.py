"""A limited order in a database that went back in time: what it bought at one account counts at all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import select

from schemas.requests import BuyNumber
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks import orders
from tasks.ledger.queue import pausing
from tasks.once import Once
from tasks.policies.full_orders import FullOrders
from tasks.policies.pause import Cause, Pause
from tasks.restored_database import detect
from tests.servers.backups import Backup
from tests.tasks.pools.supplying import Supplied, area, supplied
from workers.database.connections import SqlDatabase


@contextmanager
def restored(url: str, *, stopped: bool = False) -> Iterator[Supplied]:
    """Of two numbers, each at an account of its own, one may be bought, and was; the database knows nothing of it.

    *stopped*: nor that the first account went on, which stands there as stopped for another restore.
    """
    database = SqlDatabase(url)
    world = supplied(database)
    order_id = str(orders.begin(world.runtime, max_purchases=1)["id"])
    wanted = [
        BuyNumber(number=one, provider=alias) for alias, [one] in (("first", area(415, 1)), ("second", area(628, 1)))
    ]
    orders.load(world.runtime, order_id, list(enumerate(wanted, 1)))
    orders.finish(world.runtime, order_id)
    if stopped:
        with world.write() as conn:
            pausing.pause(conn, "first", Pause(cause=Cause.BEHIND, reason="it went back", cooldown=None), world.clock())
    database.close()
    with closing(Backup(url)) as copy:
        world.clock.advance(60)
        with world.write() as conn:
            pausing.resume_behind(conn, "first", world.clock(), by="a test", note="an audit took in what is ours")
        world.timers("first")
        world.work()
        assert charged(world) == ["first"]
        database.close()
        copy.restore()
    # As a worker that starts then.
    world.runtime = replace(world.runtime, full_orders=FullOrders(), compared=Once())
    yield world
    database.close()


@pytest.fixture
def world(database_url: str) -> Iterator[Supplied]:
    with restored(database_url) as found:
        yield found


def charged(world: Supplied) -> list[str]:
    return [alias for alias in ("first", "second") for _ in world.shop(alias).charged]


def buy(world: Supplied) -> None:
    """Two minutes of timers and workers."""
    for _ in range(8):
        world.work()
        world.clock.advance(15)
        world.timers("first", "second")


def test_what_was_released_before_it_is_known_waits_again(world: Supplied) -> None:
    world.timers("second")
    [row] = world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.DISPATCHED))
    assert row["provider"] == "second"
    detect.compare(world.runtime)
    buy(world)
    assert charged(world) == ["first"]


def test_nothing_is_released_beside_it(world: Supplied) -> None:
    detect.compare(world.runtime)
    buy(world)
    assert charged(world) == ["first"]


def test_nothing_is_where_the_account_stands_as_stopped_for_another_restore(database_url: str) -> None:
    with restored(database_url, stopped=True) as world:
        detect.compare(world.runtime)
        buy(world)
        assert charged(world) == ["first"]


def test_the_first_call_on_another_server_finds_it_out(postgres_url: str) -> None:
    """Nobody has noticed the restore by then, and no call of this account is lost."""
    with restored(postgres_url) as world:
        world.timers("second")
        world.work()
        assert charged(world) == ["first"]
