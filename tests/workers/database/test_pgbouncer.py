"""Behind a pooler that gives each transaction another session: nothing is lost in it, and nothing is left in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from schemas.tables.purchases import PROVIDER
from tasks.outages.database_away import DATABASE_AWAY
from tasks.server_errors import database_trouble
from tests.servers import PgBouncer, PostgresServer
from tests.waiting import at_once, eventually
from workers.database import connections
from workers.database.connections import SqlDatabase, migrate, revisions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
# The pooler gives each of its clients the name of its own.
LEFT = text(
    "SELECT name, setting FROM pg_settings"
    " WHERE setting <> reset_val AND source = 'session' AND name <> 'application_name'"
)
PREPARED = text("SELECT statement FROM pg_prepared_statements")


@pytest.fixture
def database(pgbouncer: PgBouncer, postgres_url: str) -> Iterator[SqlDatabase]:
    found = SqlDatabase(pgbouncer.url(postgres_url))
    yield found
    found.close()


def ask(conn: Connection) -> int:
    return len(conn.execute(select(PROVIDER.c.provider).where(PROVIDER.c.provider == "acme")).all())


def count(database: SqlDatabase, times: int) -> Callable[[], None]:
    def work() -> None:
        for _ in range(times):
            database.run(ask)
            with database.read() as conn:
                ask(conn)

    return work


def test_statements_are_prepared_on_no_session_of_others(database: SqlDatabase, postgres_url: str) -> None:
    work = count(database, 20)
    assert at_once(*[work] * 8) == [None] * 8
    with database.read() as conn:
        assert conn.execute(PREPARED).all() == []
    direct = SqlDatabase(postgres_url)
    count(direct, 20)()
    with direct.read() as conn:
        assert conn.execute(PREPARED).all() != []
    direct.close()


def test_settings_hold_in_each_transaction_and_stay_in_none(database: SqlDatabase, pgbouncer: PgBouncer) -> None:
    """Another client of the pool finds the sessions as they were, and what it sets is not ours."""
    pgbouncer.tell("RECONNECT")
    seen = set()
    for _ in range(5):
        with database.write() as conn:
            found = [conn.execute(text(f"SHOW {name}")).scalar_one() for name in ("timezone", "synchronous_commit")]
            seen.add((*found, conn.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()))
    assert seen == {("UTC", "on", f"{connections.FROZEN:g}s")}
    raw = database.engine.raw_connection()
    driver: Any = raw.driver_connection
    assert driver.execute(LEFT.text).fetchall() == []
    raw.close()


def test_what_another_client_of_the_pool_set_is_not_ours(pgbouncer: PgBouncer, postgres_url: str) -> None:
    pgbouncer.options["default_pool_size"] = "1"
    pgbouncer.kill()
    pgbouncer.start()
    other, ours = (SqlDatabase(pgbouncer.url(postgres_url)) for _ in range(2))
    raw = other.engine.raw_connection()
    driver: Any = raw.driver_connection
    for statement in ("SET search_path = ''", "SET synchronous_commit = off", "SET default_transaction_read_only = on"):
        driver.execute(statement)
    ours.run(lambda conn: conn.execute(insert(PROVIDER).values(provider="acme", updated_at=NOON)))
    with ours.write() as conn:
        assert (ask(conn), conn.execute(text("SHOW synchronous_commit")).scalar_one()) == (1, "on")
    raw.close()
    for one in (other, ours):
        one.close()


def test_migrations_go_through_it_one_by_one(pgbouncer: PgBouncer, postgres_server: PostgresServer) -> None:
    with postgres_server.database(empty=True) as direct:
        url = pgbouncer.url(direct)
        assert at_once(*[lambda: migrate(url)] * 2) == [None] * 2
        database = SqlDatabase(url)
        present, needed = revisions(database.engine)
        assert present == needed
        with database.read() as conn:
            assert conn.execute(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).scalar_one() == 0
        database.close()


def refusal(database: SqlDatabase) -> SQLAlchemyError:
    with pytest.raises(DATABASE_AWAY) as caught:
        database.run(ask)
    return caught.value


def test_its_own_words_are_told_and_waited_out(
    database: SqlDatabase, pgbouncer: PgBouncer, postgres_server: PostgresServer, postgres_url: str
) -> None:
    database.run(ask)
    postgres_server.kill()
    pgbouncer.tell("SET query_wait_timeout = 1")
    seen = {database_trouble(refusal(database)).what for _ in range(4)}
    assert seen <= {"does not answer through its pooler", "is away from its pooler", "was stopped"}
    assert "is away from its pooler" in seen
    postgres_server.restart()
    eventually(lambda: works(database), what="it is there again")
    pgbouncer.tell("PAUSE")
    assert database_trouble(refusal(database)).what == "does not answer through its pooler"
    pgbouncer.tell("RESUME")
    eventually(lambda: works(database), what="it goes on")
    pgbouncer.kill()
    assert database_trouble(refusal(database)).what == "is away"
    pgbouncer.start()
    database.run(ask)
    option = SqlDatabase(f"{pgbouncer.url(postgres_url)}?options=-csearch_path%3Dours")
    assert "take that out of DATABASE_URL" in database_trouble(refusal(option)).mend


def works(database: SqlDatabase) -> bool:
    try:
        database.run(ask)
    except DATABASE_AWAY:
        return False
    return True


def test_more_clients_than_it_takes_are_told(pgbouncer: PgBouncer, postgres_url: str) -> None:
    pgbouncer.tell("SET max_client_conn = 2")
    first, second = (SqlDatabase(pgbouncer.url(postgres_url)) for _ in range(2))
    with first.read() as conn, first.read():
        ask(conn)
        trouble = database_trouble(refusal(second))
    assert (trouble.what, "max_client_conn" in trouble.mend) == ("has no connection left", True)
    first.close()
    second.run(ask)
    second.close()
