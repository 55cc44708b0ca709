"""Transactions of which one waits for another: PostgreSQL runs them side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Connection, text

from tests.tasks.support import World
from tests.waiting import PATIENCE, eventually


def nothing(_: Connection) -> None:
    pass


@contextmanager
def beside(
    world: World, action: Callable[[], object], meanwhile: Callable[[Connection], object] = nothing
) -> Iterator[Connection]:
    """A transaction that *action*, in a thread of its own, has to wait for; it does *meanwhile* when that waits."""
    with ThreadPoolExecutor(1) as executor:
        with world.write() as conn:
            conn.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            yield conn
            waiting = executor.submit(action)
            eventually(lambda: _one_waits(world), what="a transaction waits for another")
            meanwhile(conn)
        waiting.result(PATIENCE)


def _one_waits(world: World) -> bool:
    query = text("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    with world.runtime.database.read() as conn:
        return conn.execute(query).first() is not None
