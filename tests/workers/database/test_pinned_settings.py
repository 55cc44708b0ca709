"""What we depend on holds in each transaction, whatever the server, the database, the role or another client set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import DBAPIError

from schemas.tables.purchases import PROVIDER
from tasks.outages.database_away import DATABASE_AWAY
from tasks.server_errors import database_trouble
from tests.servers import PostgresServer
from tests.workers.cli.commands import choose_sandbox, execute
from workers.database.connections import SqlDatabase, migrate
from workers.server_urls import SettingsError
from workers.settings import load_settings

NOON = datetime(2026, 1, 2, 12, 30, 15, 123456, tzinfo=UTC)

OTHERS = {
    "datestyle": "'German, DMY'",
    "timezone": "'Asia/Kathmandu'",
    "default_transaction_isolation": "'serializable'",
    "default_transaction_read_only": "on",
    "standard_conforming_strings": "off",
    "client_encoding": "'LATIN1'",
    "synchronous_commit": "off",
}
WORDS = "Zażółć \\n gęślą 'jaźń' 漢字"


def set_for(server: PostgresServer, url: str, name: str) -> None:
    """Have *name* be another's choice for the database of *url*."""
    database = url.split("/")[3].split("?", maxsplit=1)[0]
    server._execute(f"ALTER DATABASE {database} SET {name} = {OTHERS[name]}")


def write(conn: Connection) -> None:
    conn.execute(insert(PROVIDER).values(provider="acme", paused_at=NOON, reason=WORDS, updated_at=NOON))


def read(database: SqlDatabase) -> tuple[datetime, datetime, str]:
    with database.read() as conn:
        row = conn.execute(select(PROVIDER.c.updated_at, PROVIDER.c.paused_at, PROVIDER.c.reason)).one()
        return row[0], row[1], row[2]


@pytest.fixture
def database(postgres_url: str) -> Iterator[SqlDatabase]:
    found = SqlDatabase(postgres_url)
    yield found
    found.close()


@pytest.fixture(scope="module")
def own_server(_postgres_package: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(_postgres_package)
    yield server
    server.close()


@pytest.mark.parametrize("name", OTHERS)
def test_another_default_of_the_database_s_changes_nothing(
    postgres_server: PostgresServer, name: str, tmp_path: Path
) -> None:
    with postgres_server.database(empty=True) as url:
        set_for(postgres_server, url, name)
        migrate(url)
        database = SqlDatabase(url)
        database.run(write)
        assert read(database) == (NOON, NOON, WORDS)
        database.close()
        choose_sandbox(tmp_path)
        done = execute("purchase", "list", home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=url)
        assert done.returncode == 0, done.stderr


def test_what_another_client_of_a_pooler_left_in_the_session_changes_nothing(database: SqlDatabase) -> None:
    database.run(write)
    # A pooler gives each client its own encoding.
    others = {"search_path": "''", **OTHERS, "client_encoding": "UTF8"}
    for statement in [f"SET {name} = {value}" for name, value in others.items()]:
        raw = database.engine.raw_connection()
        raw.driver_connection.execute(statement)  # type: ignore[union-attr]
        raw.close()
        assert read(database) == (NOON, NOON, WORDS)
        with database.write() as conn:
            conn.execute(PROVIDER.update().values(reason=WORDS))


@pytest.mark.parametrize("reads", [True, False])
def test_in_a_transaction_all_is_as_we_need_it(postgres_server: PostgresServer, postgres_url: str, reads: bool) -> None:
    for name in OTHERS:
        set_for(postgres_server, postgres_url, name)
    database = SqlDatabase(postgres_url)
    with database.read() if reads else database.write() as conn:
        names = ("timezone", "standard_conforming_strings", "transaction_isolation", "client_encoding", "search_path")
        found = [conn.execute(text(f"SHOW {name}")).scalar_one() for name in names]
        style = conn.execute(text("SHOW datestyle")).scalar_one()
    database.close()
    assert (found, style[:4]) == (["UTC", "on", "read committed", "UTF8", '"$user", public'], "ISO,")


def test_no_transaction_is_ended_for_its_length(postgres_server: PostgresServer, postgres_url: str) -> None:
    name = postgres_url.split("/")[3].split("?", maxsplit=1)[0]
    try:
        postgres_server._execute(f"ALTER DATABASE {name} SET transaction_timeout = 200")
    except psycopg.errors.UndefinedObject:
        pytest.skip("PostgreSQL has it from version 17 on")
    database = SqlDatabase(postgres_url)
    for begin in (database.read, database.write):
        with begin() as conn:
            conn.execute(text("SELECT pg_sleep(1)"))
    database.close()


def test_a_search_path_of_the_role_s_own_is_kept(postgres_server: PostgresServer, database: SqlDatabase) -> None:
    with database.write() as conn:
        conn.execute(text("CREATE SCHEMA ours"))
    url = f"{database.engine.url.render_as_string(hide_password=False)}&options=-csearch_path%3Dours"
    migrate(url, beside=True)
    own = SqlDatabase(url)
    own.run(write)
    assert read(own) == (NOON, NOON, WORDS)
    with database.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM ours.provider_state")).scalar_one() == 1
        assert conn.execute(text("SELECT count(*) FROM public.provider_state")).scalar_one() == 0
    own.close()


def test_nothing_of_it_stays_in_the_session(database: SqlDatabase) -> None:
    database.run(write)
    raw = database.engine.raw_connection()
    shown = "SELECT name FROM pg_settings WHERE setting <> reset_val AND source = 'session'"
    assert raw.driver_connection.execute(shown).fetchall() == []  # type: ignore[union-attr]
    raw.close()


def test_it_costs_no_round_trip(database: SqlDatabase) -> None:
    database.run(write)
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    read(database)
    with database.write() as conn:
        conn.execute(PROVIDER.update().values(reason=WORDS))
    assert [statement.split()[0] for statement in seen] == ["BEGIN", "SELECT", "BEGIN", "UPDATE"]


@pytest.fixture
def replica(own_server: PostgresServer) -> Iterator[SqlDatabase]:
    with own_server.database() as url:
        database = SqlDatabase(url)
        database.run(write)
        database.close()
        own_server.follow_nobody()
        yield database
        database.close()
        own_server.lead()


@pytest.mark.parametrize("how", ["run", "transact", "write"])
def test_a_replica_is_read_and_waited_for_and_named(replica: SqlDatabase, how: str) -> None:
    assert read(replica) == (NOON, NOON, WORDS)
    ways: dict[str, Callable[[], object]] = {
        "run": lambda: replica.run(write),
        "transact": lambda: replica.transact(lambda conn, items: [write(conn) for _ in items], [None]),
        "write": lambda: replica.write().__enter__(),
    }
    with pytest.raises(DATABASE_AWAY) as caught:
        ways[how]()
    assert database_trouble(caught.value).what == "takes no writes: it is a replica, or set to read only"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("foo=bar", "only libpq's options may stand in it"),
        ("autocommit=1", "only libpq's options"),
        ("prepare_threshold=0", "only libpq's options"),
        ("plugin=x", "only libpq's options"),
        ("replication=database", "only libpq's options"),
        ("sslmode=s3cret", "the option sslmode has a value that the driver does not know"),
        ("target_session_attrs=s3cret", "the option target_session_attrs has a value"),
        ("connect_timeout=s3cret", "the option connect_timeout is no whole number"),
        ("tcp_user_timeout=1.5", "the option tcp_user_timeout is no whole number"),
        ("host=a&port=s3cret", "the option port is no whole number"),
        ("sslmode=require&sslmode=disable", "the option sslmode stands in it twice"),
    ],
)
def test_options_that_the_driver_cannot_use_are_told_by_the_settings(options: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"DATABASE_URL": f"postgresql://u:p@h/x?{options}"})
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("options", ["timeout=9", "foo=bar", "mode=ro&uri=true"])
def test_sqlite_takes_no_options(options: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SQLite takes no options"):
        load_settings({"DATABASE_URL": f"sqlite:///{tmp_path}/d.db?{options}"})


@pytest.mark.parametrize(
    "options",
    [
        "sslmode=verify-full&sslrootcert=system",
        "connect_timeout=3&application_name=a%20b",
        "host=a:1&host=b:2",
        "host=a,b&port=1,2",
    ],
)
def test_options_that_it_can_use_are_taken(options: str) -> None:
    url = load_settings({"DATABASE_URL": f"postgresql://u:p@/x?{options}"}).database_url
    with suppress(DBAPIError):
        SqlDatabase(url).close()
