"""A database host that vanishes, with packets that go nowhere: who waits for it goes on within seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from tasks.outages.database_away import DATABASE_AWAY
from tasks.server_errors import database_trouble
from tests.servers import PostgresServer
from tests.servers.far_host import FarHost
from tests.waiting import at_once, fair_clock
from tests.workers.cli.commands import choose_sandbox, execute
from workers.database.connections import SqlDatabase

WITHIN = 20.0
"""Seconds of a machine that has the time: a promise to who runs workers."""


@pytest.fixture
def host(postgres_server: PostgresServer) -> Iterator[FarHost]:
    with FarHost(postgres_server) as host:
        yield host


def ask(conn: Connection) -> int:
    return int(conn.execute(text("SELECT 1")).scalar_one())


def seconds_until_away(clock: Callable[[], float], action: Callable[[], object]) -> float:
    began = clock()
    with pytest.raises(DATABASE_AWAY) as caught:
        action()
    assert database_trouble(caught.value).what == "does not answer", caught.value
    return clock() - began


def test_who_waits_and_who_begins_goes_on_within_seconds(host: FarHost, postgres_url: str) -> None:
    waiting, idle, new = (SqlDatabase(host.url(postgres_url)) for _ in range(3))
    inside = threading.Event()

    def wait(conn: Connection) -> None:
        ask(conn)
        inside.set()
        conn.execute(text("SELECT pg_sleep(120)"))

    def waits() -> object:
        return waiting.run(wait)

    def shares() -> object:
        """Many threads of one group: the last waits no longer than the first."""

        def action(conn: Connection, items: Sequence[int]) -> list[int]:
            return [ask(conn) for _ in items]

        return at_once(*[lambda: seconds_until_away(clock, lambda: idle.transact(action, [1]))] * 12)

    def begins() -> object:
        inside.wait()
        time.sleep(0.5)  # the question is out
        host.vanish()
        return at_once(lambda: seconds_until_away(clock, lambda: new.run(ask)), shares)

    waiting.run(ask)
    idle.run(ask)
    # One clock for all: each works, and fourteen would hold up what they measure.
    with fair_clock() as clock:
        took, (first, shared) = at_once(lambda: seconds_until_away(clock, waits), begins)  # type: ignore[misc]
    assert max(took, first) < WITHIN, (took, first)
    # The first group finds the connection dead and no other, the second finds no other.
    assert max(shared) < 1.5 * WITHIN, shared
    host.come_back()
    with fair_clock() as clock:
        assert at_once(*[lambda one=one: one.run(ask) for one in (waiting, idle, new)]) == [1, 1, 1]
        assert clock() < WITHIN
    for one in (waiting, idle, new):
        one.close()


def test_another_host_of_the_url_is_taken(host: FarHost, postgres_server: PostgresServer, postgres_url: str) -> None:
    url = host.url(postgres_url).replace(f"@{host.address}:5432", "@")
    both = SqlDatabase(f"{url}?host={host.address},{postgres_server.folder}&target_session_attrs=read-write")
    assert both.run(ask) == 1
    host.vanish()
    with fair_clock() as clock:
        assert both.run(ask) == 1
        assert clock() < WITHIN
    both.close()


@pytest.mark.parametrize("arguments", [("doctor", "--json"), ("order", "show", "0190a6f2-7c1e-7000-8000-000000000000")])
def test_commands_say_so_within_seconds(
    host: FarHost, postgres_url: str, tmp_path: Path, arguments: Sequence[str]
) -> None:
    choose_sandbox(tmp_path)
    host.vanish()
    with fair_clock() as clock:
        done = execute(*arguments, home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=host.url(postgres_url))
        assert clock() < WITHIN
    assert done.returncode == 3, done.stderr
    told = done.stderr if arguments[0] == "order" else json.dumps(json.loads(done.stdout))
    assert "does not answer (" in told
    assert "start it again, or mend DATABASE_URL" in told
