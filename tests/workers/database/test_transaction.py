"""A transaction asks PostgreSQL no more than it has to, and begins on a connection that works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tests.servers import PostgresServer
from tests.waiting import PATIENCE
from workers.database import answering
from workers.database.answering import AnsweringConnection
from workers.database.connections import SqlDatabase


@pytest.fixture
def database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlDatabase]:
    """Whose connections count as in use however slow the machine is."""
    monkeypatch.setattr(answering, "IN_USE", PATIENCE)
    found = SqlDatabase(postgres_url)
    yield found
    found.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One for each time that a connection waits for an answer of the server."""
    found: list[Any] = []
    wait = AnsweringConnection.wait

    def counted(self: AnsweringConnection, *args: Any, **kwargs: Any) -> Any:
        before = self.heard
        try:
            return wait(self, *args, **kwargs)
        finally:
            if self.heard != before:
                found.append(self)

    monkeypatch.setattr(AnsweringConnection, "wait", counted)
    return found


def ask(database: SqlDatabase) -> int:
    """The number of the session that a transaction has."""
    with database.read() as conn:
        return int(conn.execute(text("SELECT pg_backend_pid()")).scalar_one())


def write(database: SqlDatabase) -> int:
    return int(database.run(lambda conn: conn.execute(text("SELECT pg_backend_pid()")).scalar_one()))


@pytest.mark.parametrize("use", [ask, write])
def test_one_after_the_other_each_begins_asks_and_ends_and_nothing_else(
    database: SqlDatabase, waits: list[Any], use: Callable[[SqlDatabase], int]
) -> None:
    for _ in range(2):
        use(database)
    waits.clear()
    use(database)
    assert len(waits) == 3


def test_a_connection_that_lay_idle_is_asked_whether_it_works(
    database: SqlDatabase, waits: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(database)
    monkeypatch.setattr(answering, "IN_USE", 0.0)
    waits.clear()
    ask(database)
    assert len(waits) == 4


@pytest.mark.parametrize("use", [ask, write])
def test_one_that_was_ended_in_the_pool_is_exchanged_before_anybody_hears_of_it(
    database: SqlDatabase, postgres_url: str, use: Callable[[SqlDatabase], int]
) -> None:
    before = use(database)
    end_session(postgres_url, before)
    assert use(database) != before


def test_who_finds_no_server_hears_of_it(postgres_server: PostgresServer, database: SqlDatabase) -> None:
    ask(database)
    postgres_server.kill()
    try:
        with pytest.raises(DBAPIError):
            ask(database)
    finally:
        postgres_server.restart()
    assert ask(database)


def test_what_fails_in_a_transaction_that_began_is_not_done_again(database: SqlDatabase, postgres_url: str) -> None:
    begun = []

    def lose(conn: Connection) -> None:
        begun.append(conn.execute(text("SELECT pg_backend_pid()")).scalar_one())
        end_session(postgres_url, begun[0])
        conn.execute(text("SELECT 1"))

    with pytest.raises(DBAPIError):
        database.run(lose)
    assert len(begun) == 1


def end_session(url: str, pid: int) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as conn:
        assert conn.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone() == (True,)
