"""A daily limit that is used up: what it counts already goes on, and costs nothing where there is none of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, update

from schemas.status import OrderStatus
from schemas.tables.purchases import ORDER, PURCHASE
from tests.tasks.ledger.queue.test_dispatch import many, order, release_of
from tests.tasks.support import World, number

Make = Callable[..., World]


def doubt(world: World, wanted: str, **values: Any) -> None:
    """Have the purchase of *wanted* wait to be bought again: its call of this moment may have been charged."""
    with world.write() as conn:
        found = update(PURCHASE).where(PURCHASE.c.number == wanted)
        conn.execute(found.values(doubt=True, call_deadline=world.clock.moment, **values))


@contextmanager
def locks(world: World) -> Iterator[list[Connection]]:
    """The transactions that are begun to write."""
    begun: list[Connection] = []

    def note(conn: Connection) -> None:
        if not conn.get_execution_options().get("dialstock_read", False):
            begun.append(conn)

    engine = world.runtime.database.engine  # type: ignore[attr-defined]
    event.listen(engine, "begin", note)
    yield begun
    event.remove(engine, "begin", note)


@pytest.mark.parametrize("state", ["cancelled", OrderStatus.LOADING, OrderStatus.ABANDONED])
def test_an_order_that_buys_nothing_buys_nothing_that_the_limit_counts(make: Make, state: str) -> None:
    world = make(daily_limit=1)
    mine = order(world, 1)
    doubt(world, number(0))
    many(world, 1, first=1)
    values = {"cancel_requested_at": world.clock.moment} if state == "cancelled" else {"status": state}
    with world.write() as conn:
        conn.execute(update(ORDER).where(ORDER.c.id == mine).values(**values))
    assert world.release() == 0
    world.tick()
    assert world.provider.charged == []


@pytest.mark.parametrize("elsewhere", [{"provider": "twin"}, {"account": "former-account"}], ids=["alias", "account"])
def test_what_the_limit_counts_elsewhere_has_no_lock_taken_here(make: Make, elsewhere: dict[str, str]) -> None:
    """Ten times a second, by every worker: on SQLite that is the only lock there is."""
    world = make(daily_limit=1)
    many(world, 2)
    doubt(world, number(0), **elsewhere)
    world.release()
    with locks(world) as taken:
        assert world.release() == 0
    assert taken == []
    # The same at home.
    doubt(world, number(0), provider="acme", account=world.binding.account)
    assert release_of(world, "acme") == 1
