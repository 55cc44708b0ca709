"""Short transactions on both kinds of database, and migrations that anybody may start at any time."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, ExceptionContext, event, insert, inspect, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from schemas.tables.purchases import PROVIDER
from tasks.outages.database_away import DATABASE_AWAY
from tasks.server_errors import database_trouble
from tests import forked
from tests.servers import PostgresServer
from tests.waiting import PATIENCE, at_once
from workers.database.connect_options import CONNECTIONS
from workers.database.connections import SqlDatabase, make_engine, migrate, revisions
from workers.server_urls import SettingsError
from workers.settings import load_settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    found = SqlDatabase(database_url)
    yield found
    found.close()


def add(conn: Connection, names: Sequence[str]) -> list[str]:
    conn.execute(insert(PROVIDER), [{"provider": name, "updated_at": NOON} for name in names])
    return [name.upper() for name in names]


def aliases(database: SqlDatabase) -> set[str]:
    with database.read() as conn:
        return set(conn.execute(select(PROVIDER.c.provider)).scalars())


def test_a_block_that_ends_is_committed_and_one_that_raises_is_not(database: SqlDatabase) -> None:
    with database.write() as conn:
        add(conn, ["kept"])

    def fails() -> None:
        with database.write() as conn:
            add(conn, ["lost"])
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert aliases(database) == {"kept"}


def test_reading_waits_for_no_writer_and_sees_only_what_is_committed(database: SqlDatabase) -> None:
    with database.write() as conn:
        add(conn, ["soon"])
        assert aliases(database) == set()
    assert aliases(database) == {"soon"}


def test_who_asks_one_after_the_other_has_the_same_connection(database: SqlDatabase) -> None:
    with database.read(), database.read(), database.read():
        pass
    used = set()
    for _ in range(3):
        with database.read() as conn:
            used.add(conn.connection.dbapi_connection)
    assert len(used) == 1


def test_times_come_back_in_utc(database: SqlDatabase) -> None:
    with database.write() as conn:
        add(conn, ["a"])
        found = conn.execute(select(PROVIDER.c.updated_at)).scalar_one()
    assert (found, found.utcoffset()) == (NOON, NOON.utcoffset())


def test_two_processes_and_many_threads_write_without_a_locked_database(
    database: SqlDatabase, database_url: str
) -> None:
    other = SqlDatabase(database_url)
    with database.write() as conn:
        conn.execute(insert(PROVIDER).values(provider="count", updated_at=NOON, cooldown=0))

    def count(through: SqlDatabase) -> Callable[[], None]:
        def work() -> None:
            for _ in range(10):
                with through.write() as conn:
                    row = conn.execute(select(PROVIDER.c.cooldown).with_for_update()).scalar_one()
                    conn.execute(PROVIDER.update().values(cooldown=row + 1))

        return work

    assert at_once(*[count(one) for one in (database, other) for _ in range(4)]) == [None] * 8
    other.close()
    with database.read() as conn:
        assert conn.execute(select(PROVIDER.c.cooldown)).scalar_one() == 80


def test_a_shared_transaction_gives_each_thread_its_own_result(database: SqlDatabase) -> None:
    names = [f"p{n}" for n in range(40)]
    results = at_once(*[lambda name=name: database.transact(add, [name, f"{name}-twin"]) for name in names])
    assert results == [[name.upper(), f"{name.upper()}-TWIN"] for name in names]
    assert aliases(database) == {*names, *(f"{name}-twin" for name in names)}


def test_an_action_that_fails_in_a_shared_transaction_fails_alone(database: SqlDatabase) -> None:
    with database.write() as conn:
        add(conn, ["p3"])
    results = at_once(*[lambda name=f"p{n}": database.transact(add, [name]) for n in range(10)])
    assert [n for n, one in enumerate(results) if isinstance(one, IntegrityError)] == [3]
    assert aliases(database) == {f"p{n}" for n in range(10)}


def test_sqlite_is_set_up_for_a_power_cut_and_many_readers(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with engine.connect() as conn:
        settings = [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    engine.dispose()
    assert settings == ["wal", 2]


def test_a_sqlite_file_is_made_with_its_folders(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a' / 'b' / 'new.db'}"
    migrate(url)
    assert (tmp_path / "a" / "b" / "new.db").is_file()


def test_who_met_another_file_in_its_place_writes_into_the_one_that_is_back(sqlite_url: str) -> None:
    database, file = SqlDatabase(sqlite_url), Path(make_url(sqlite_url).database or "")
    aside = file.rename(file.with_suffix(".aside"))
    with pytest.raises(DATABASE_AWAY, match="no such table"):
        database.transact(add, ["in hand"])
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()
    aside.replace(file)
    database.renew()
    database.transact(add, ["in hand"])
    assert aliases(database) == {"in hand"}
    database.close()


def test_migrating_makes_the_tables_and_again_changes_nothing(empty_database_url: str) -> None:
    engine = make_engine(empty_database_url)
    present, needed = revisions(engine)
    assert present is None
    for _ in range(2):
        migrate(empty_database_url)
        assert revisions(engine) == (needed, needed)
    assert {"purchase", "purchase_attempt", "outbox_event"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_processes_that_migrate_at_once_do_not_hinder_each_other(empty_database_url: str) -> None:
    environ = {**os.environ, "DATABASE_URL": empty_database_url}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    command = [*forked.DIALSTOCK, "migrate"]
    processes = [forked.start(command, env=environ, text=True, **pipes) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [("", 0)] * 2
    engine = make_engine(empty_database_url)
    present, needed = revisions(engine)
    assert present == needed
    engine.dispose()


def test_a_new_file_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "dialstock.db"
    engine = make_engine(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=lambda: engine.connect().close())
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        other.execute("COMMIT")
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
    with engine.connect() as conn:
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    engine.dispose()


@pytest.mark.parametrize("write", ["run", "transact"])
def test_a_file_that_another_writes_for_longer_than_sqlite_waits_is_written_after_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """A transaction of a person's own, or a backup: an order that is being loaded then goes on after it."""
    monkeypatch.setattr("workers.database.connections.SQLITE_TIMEOUT", 0.05)
    database = SqlDatabase(sqlite_url)
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        aliases(database)
        other.execute("BEGIN IMMEDIATE")
        refused: list[BaseException] = []

        def end(context: ExceptionContext) -> None:
            refused.append(context.original_exception)
            if other.in_transaction:
                other.execute("COMMIT")

        event.listen(database.engine, "handle_error", end)
        actions = {
            "run": lambda: database.run(lambda conn: add(conn, ["a"])),
            "transact": lambda: database.transact(add, ["a"]),
        }
        assert actions[write]() == ["A"]
    assert (len(refused), aliases(database)) == (1, {"a"})
    database.close()


def test_a_database_of_another_version_is_seen(database: SqlDatabase) -> None:
    with database.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    present, needed = revisions(database.engine)
    assert present == "0000"
    assert needed != present


def test_a_transaction_that_stands_still_gives_its_locks_back(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.database.connections.FROZEN", 0.3)
    touch = update(PROVIDER).values(updated_at=NOON)
    frozen, other = SqlDatabase(postgres_url), SqlDatabase(postgres_url)
    frozen.transact(add, ["acme"])

    def touch_all(conn: Connection, items: Sequence[None]) -> Sequence[None]:
        conn.execute(touch)
        return items

    def stand_still(conn: Connection, items: Sequence[None]) -> Sequence[None]:
        conn.execute(touch)
        other.transact(touch_all, [None])
        return touch_all(conn, items)

    with pytest.raises(DATABASE_AWAY):
        frozen.transact(stand_still, [None])
    frozen.transact(add, ["twin"])
    with other.read() as conn:
        assert conn.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "0"
    for database in (frozen, other):
        database.close()


@pytest.mark.parametrize("reads", [True, False])
def test_who_meets_a_lock_of_others_is_told_and_not_kept(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, reads: bool
) -> None:
    monkeypatch.setattr("workers.database.connections.LOCKED", 0.3)
    holder, database = SqlDatabase(postgres_url), SqlDatabase(postgres_url)
    with holder.write() as conn:
        conn.execute(text("LOCK TABLE provider_state"))
        with pytest.raises(DATABASE_AWAY) as caught:
            aliases(database) if reads else database.run(lambda conn: add(conn, ["a"]))
    assert database_trouble(caught.value).what == "ended what took too long"
    for one in (holder, database):
        one.close()


def test_no_time_out_of_the_role_s_ends_a_commit(postgres_server: PostgresServer, postgres_url: str) -> None:
    """One that waits for a replica would tell of a commit that the replica may not have."""
    name = str(make_url(postgres_url).database)
    postgres_server._execute(f"ALTER DATABASE {name} SET statement_timeout = '9s'")
    database = SqlDatabase(postgres_url)
    with database.write() as conn, database.read() as reading:
        found = [each.execute(text("SHOW statement_timeout")).scalar_one() for each in (conn, reading)]
    assert found == ["0", "9s"]
    database.close()


def test_a_migration_may_stand_still_for_longer(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each of its transactions, and from the first word of each."""
    monkeypatch.setattr("workers.database.connections.FROZEN", 0.001)
    upgrade = command.upgrade

    def stand_still(*arguments: Any) -> None:
        time.sleep(0.1)
        upgrade(*arguments)

    monkeypatch.setattr(command, "upgrade", stand_still)
    with postgres_server.database(empty=True) as url:
        migrate(url)
        engine = make_engine(url)
        present, needed = revisions(engine)
        engine.dispose()
    assert present == needed


def test_threads_share_a_few_connections_to_postgresql(postgres_url: str) -> None:
    database, held = SqlDatabase(postgres_url), []
    event.listen(database.engine, "checkout", lambda *_: held.append(database.engine.pool.checkedout()))  # type: ignore[attr-defined]
    results = at_once(*[lambda: [aliases(database) for _ in range(10)]] * 40)
    assert (results == [[set()] * 10] * 40, max(held)) == (True, CONNECTIONS)
    database.close()


@pytest.mark.parametrize("connections", [2, 3])
def test_their_number_is_a_setting(postgres_url: str, connections: int) -> None:
    settings = load_settings({"DATABASE_URL": postgres_url, "DIALSTOCK_DATABASE_CONNECTIONS": str(connections)})
    assert settings.database_connections == connections
    database = SqlDatabase(postgres_url, connections=connections)
    assert database.engine.pool.size() + database.engine.pool._max_overflow == connections  # type: ignore[attr-defined]
    database.close()


@pytest.mark.parametrize("value", ["1", "0", "-3", "many", "2.5", "٣"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="DIALSTOCK_DATABASE_CONNECTIONS"):
        load_settings({"DIALSTOCK_DATABASE_CONNECTIONS": value})
