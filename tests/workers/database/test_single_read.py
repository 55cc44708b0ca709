"""A question that is asked alone: of what is committed, without a transaction, and never *no* where nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, text

from schemas.tables.purchases import PROVIDER
from tasks import orders
from tasks.lifecycle import give_back, release_and_sweep
from tasks.lifecycle.outbox_relay import Relay
from tasks.pools import stock
from tasks.runtime import Runtime
from tasks.wishes import due
from tests.servers import PgBouncer, PostgresServer, RedisServer
from tests.tasks.support import make_world
from workers.database import connections
from workers.database.connections import SqlDatabase
from workers.redis_access.client import connect_redis

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ANY = select(PROVIDER.c.provider).where(text("provider_state.provider = 'acme'")).order_by(PROVIDER.c.provider).limit(1)
IDLE: dict[str, Callable[[Runtime], object]] = {
    "release": release_and_sweep.release_all,
    "orders": orders.complete_finished,
    "pools": stock.settle_due,
    "wishes": due.look,
    "give-back": give_back.may_be_due,
}


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    found = SqlDatabase(database_url)
    yield found
    found.close()


def add(conn: Connection) -> None:
    conn.execute(insert(PROVIDER).values(provider="acme", updated_at=NOON))


def test_what_is_committed_is_found_and_nothing_else(database: SqlDatabase) -> None:
    assert not database.may_find(ANY)
    with database.write() as conn:
        add(conn)
        assert not database.may_find(ANY)
    # More often than the driver takes to prepare a statement.
    assert [database.may_find(ANY) for _ in range(10)] == [True] * 10


def test_no_transaction_is_left_and_no_connection_kept(database: SqlDatabase) -> None:
    assert not database.may_find(ANY)
    raw = database.engine.raw_connection()
    driver: Any = raw.driver_connection
    assert driver.info.transaction_status.name == "IDLE" if hasattr(driver, "info") else not driver.in_transaction
    raw.close()
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_question_that_fails_is_no_no_and_costs_only_its_connection(database: SqlDatabase) -> None:
    strange = select(text("1")).select_from(text("no_such_table"))
    assert database.may_find(strange)
    assert not database.may_find(ANY)
    database.run(add)
    assert database.may_find(ANY)


def test_a_database_that_is_away_may_have_something(postgres_server: PostgresServer, postgres_url: str) -> None:
    database = SqlDatabase(postgres_url)
    assert not database.may_find(ANY)
    postgres_server.kill()
    assert [database.may_find(ANY) for _ in range(2)] == [True, True]
    postgres_server.restart()
    assert not database.may_find(ANY)
    database.close()


def test_who_locks_a_table_holds_a_question_up_for_no_longer_than_a_transaction(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "LOCKED", 0.2)
    database = SqlDatabase(postgres_url)
    with database.write() as conn:
        conn.execute(text("LOCK TABLE provider_state"))
        assert database.may_find(ANY)
    assert not database.may_find(ANY)
    database.close()


def test_what_another_client_of_a_pooler_set_is_not_ours(pgbouncer: PgBouncer, postgres_url: str) -> None:
    pgbouncer.options["default_pool_size"] = "1"
    pgbouncer.kill()
    pgbouncer.start()
    other, ours = (SqlDatabase(pgbouncer.url(postgres_url)) for _ in range(2))
    ours.run(add)
    raw = other.engine.raw_connection()
    driver: Any = raw.driver_connection
    driver.execute("CREATE SCHEMA theirs")
    driver.execute("CREATE TABLE theirs.provider_state (provider text)")
    driver.execute("SET search_path = theirs")
    assert [ours.may_find(ANY) for _ in range(10)] == [True] * 10
    assert driver.execute("SHOW search_path").fetchone() == ("theirs",)
    assert driver.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    raw.close()
    for one in (other, ours):
        one.close()


@pytest.mark.parametrize("name", IDLE)
def test_a_timer_that_finds_nothing_begins_no_transaction(database: SqlDatabase, name: str) -> None:
    runtime = make_world(database).runtime
    begun = _begun(database)
    assert not IDLE[name](runtime)
    assert begun == []


def test_nor_does_the_relay(database: SqlDatabase, redis_server: RedisServer) -> None:
    runtime = make_world(database).runtime
    object.__setattr__(runtime, "redis", connect_redis(redis_server.url))
    begun = _begun(database)
    assert Relay(runtime, "here").run_once() == 0
    assert begun == []
    runtime.redis.close()


def _begun(database: SqlDatabase) -> list[Connection]:
    found: list[Connection] = []
    event.listen(database.engine, "begin", found.append)
    return found
