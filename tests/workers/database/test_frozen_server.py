"""A PostgreSQL that stands still, while its machine acknowledges all that is sent: who waits for it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import OperationalError

from schemas.tables.purchases import PROVIDER
from tasks.server_errors import database_trouble
from tests.servers import PgBouncer, PostgresServer
from tests.waiting import fair_clock
from workers.database import answering
from workers.database.connections import SqlDatabase
from workers.processes.signs import Signs

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def signs(monkeypatch: pytest.MonkeyPatch) -> Signs:
    mine = Signs()
    monkeypatch.setattr(answering, "SILENT", 1.0)
    monkeypatch.setattr(answering, "ANSWERS", 2.0)
    monkeypatch.setattr(answering, "SIGNS", mine)
    return mine


@pytest.fixture
def database(postgres_url: str) -> Iterator[SqlDatabase]:
    database = SqlDatabase(postgres_url)
    yield database
    database.close()


def ask(conn: Connection) -> int:
    return int(conn.execute(text("SELECT 1")).scalar_one())


def is_given_up(action: Callable[[], object]) -> None:
    with fair_clock() as clock:
        with pytest.raises(OperationalError) as caught:
            action()
        assert database_trouble(caught.value).what == "does not answer", caught.value
        assert clock() < 15


def read_while_it_freezes(database: SqlDatabase, server: PostgresServer, stack: ExitStack) -> None:
    with database.read() as conn:
        ask(conn)
        stack.enter_context(server.frozen())
        ask(conn)


def test_who_waits_for_it_is_told_and_goes_on_with_it(database: SqlDatabase, postgres_server: PostgresServer) -> None:
    with ExitStack() as stack:
        is_given_up(lambda: read_while_it_freezes(database, postgres_server, stack))
        is_given_up(lambda: database.run(ask))
        is_given_up(lambda: database.transact(lambda conn, items: [ask(conn) for _ in items], [1]))
    assert database.run(ask) == 1


def test_behind_a_pooler_that_still_lets_everybody_in_too(
    pgbouncer: PgBouncer, postgres_url: str, postgres_server: PostgresServer
) -> None:
    database = SqlDatabase(pgbouncer.url(postgres_url))
    with ExitStack() as stack:
        is_given_up(lambda: read_while_it_freezes(database, postgres_server, stack))
    assert database.run(ask) == 1
    database.close()


def test_a_pooler_whose_connections_are_all_at_work_is_no_server_that_is_away(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    """It lets in, and has wait, as where its server stands still: both are named."""
    pooler = PgBouncer(postgres_server, default_pool_size="1", query_wait_timeout="30")
    holder, database = (SqlDatabase(pooler.url(postgres_url)) for _ in range(2))
    database.run(ask)
    with holder.read() as conn:
        ask(conn)
        is_given_up(lambda: database.run(ask))
    assert database.run(ask) == 1
    for one in (holder, database):
        one.close()
    pooler.close()


@pytest.mark.parametrize("pooled", [False, True])
def test_what_takes_its_time_has_it_and_the_part_that_waits_gives_signs(
    pgbouncer: PgBouncer, postgres_url: str, signs: Signs, pooled: bool
) -> None:
    database = SqlDatabase(pgbouncer.url(postgres_url) if pooled else postgres_url)
    began = time.monotonic()
    signs.give("timer relay")
    with database.write() as conn:
        conn.execute(text("SELECT pg_sleep(3)"))
    given, part = signs.oldest()
    assert part == "timer relay"
    assert given - began >= answering.SILENT
    signs.end(part)
    signs.waits()
    assert signs.oldest()[1] == "process"
    database.close()


def test_a_full_server_still_answers(postgres_server: PostgresServer, postgres_url: str) -> None:
    role = "dialstock_one"
    url = postgres_url.replace("postgres@", f"{role}@")
    postgres_server._execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    one = SqlDatabase(url, connections=1)
    with one.read() as conn:
        conn.execute(text("SELECT pg_sleep(3)"))
    one.close()
    postgres_server._execute(f"DROP ROLE {role}")


def test_a_server_that_does_not_know_the_connection_answers_nothing(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has taken over behind the same address."""
    monkeypatch.setattr(answering, "_AT_IT", answering._AT_IT.replace("pid = %s", "pid = -%s"))
    is_given_up(lambda: database.run(lambda conn: conn.execute(text("SELECT pg_sleep(30)"))))


def test_a_commit_on_which_it_froze_is_asked_for_and_made_once(
    database: SqlDatabase,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    database.run(ask)
    mark, took_place, frozen = database._commits.mark, database._commits.took_place, list[None]()
    with ExitStack() as stack:

        def mark_and_freeze(conn: Connection) -> object:
            marked = mark(conn)
            if not frozen:
                frozen.append(stack.enter_context(postgres_server.frozen()))
            return marked

        def ask_while_it_thaws(*lost: Any) -> bool:
            threading.Timer(1, stack.close).start()
            return took_place(*lost)

        def add(conn: Connection) -> None:
            conn.execute(insert(PROVIDER).values(provider="acme", updated_at=NOON))

        monkeypatch.setattr(database._commits, "mark", mark_and_freeze)
        monkeypatch.setattr(database._commits, "took_place", ask_while_it_thaws)
        database.run(add)
    assert "the answer to a commit was lost" in caplog.text
    with database.read() as conn:
        assert conn.execute(select(PROVIDER.c.provider)).scalars().all() == ["acme"]
