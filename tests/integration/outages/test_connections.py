"""What workers take of PostgreSQL's connections under load, and what they do where there is none left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.integration.commands import statuses, submit
from tests.integration.place import Place
from tests.servers import PostgresServer, RedisServer
from tests.waiting import eventually
from workers.database.connect_options import WORKER

Numbers = Callable[[int], list[str]]
FEW = 3
"""Fewer than two workers take by themselves."""
_EACH = f"SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '{WORKER} %' GROUP BY application_name"
_END = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '{WORKER} %'"


class FewConnections(Place):
    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "DIALSTOCK_DATABASE_CONNECTIONS": str(FEW)}


@pytest.fixture
def server(_postgres_package: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(_postgres_package, max_connections="30")
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path, server: PostgresServer, redis_server: RedisServer) -> Iterator[Place]:
    with server.database() as url, FewConnections(tmp_path, url, redis_server, rate_limits=["500/second"]) as place:
        yield place


@contextmanager
def watched(server: PostgresServer) -> Iterator[list[int]]:
    """How many connections each worker had, at many moments."""
    seen: list[int] = []
    over = threading.Event()

    def watch() -> None:
        with server._connect() as connection:
            while not over.wait(0.02):
                seen.extend(row[0] for row in connection.execute(_EACH).fetchall())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@contextmanager
def full(server: PostgresServer) -> Iterator[None]:
    """Others have all connections, and the workers none."""
    with ExitStack() as stack:
        admin = stack.enter_context(server._connect())
        refused = 0
        # A worker may have taken the last one, and gives it back only then.
        while refused < 2:
            admin.execute(_END)
            try:
                stack.enter_context(server._connect())
                refused = 0
            except psycopg.OperationalError:
                refused = 0 if admin.execute(_EACH).fetchall() else refused + 1
        yield


def test_a_worker_keeps_to_its_number_and_outlives_a_full_house(
    place: Place, server: PostgresServer, numbers: Numbers
) -> None:
    workers = list(place.setup("worker-1", "worker-2").worker_cluster)
    first, second = numbers(300), numbers(40)
    with watched(server) as seen:
        submit(place, *first, provider="signalwire")
        eventually(lambda: statuses(place, first) == {"purchased": 300}, what="the first order is done")
    assert max(seen) == FEW
    submit(place, *second, provider="bird")
    place.database.close()
    with full(server):
        for worker in workers:
            eventually(lambda worker=worker: "has no connection left" in worker.logs(), what="it is told")
    eventually(lambda: statuses(place, second) == {"purchased": 40}, what="they go on")
    assert set(place.charged([*first, *second]).values()) == {1}
    assert "QueuePool" not in "".join(worker.logs() for worker in workers)
