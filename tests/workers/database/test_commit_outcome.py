"""What was committed stays, and what was not is known: on a PostgreSQL that by default does not wait for its disk."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError, OperationalError

from schemas.tables.purchases import PROVIDER
from tasks.transactions import TRIES, Unanswered, met_another
from tests.servers import PostgresServer
from tests.servers.proxy import PostgresProxy
from tests.waiting import PATIENCE
from workers.database import commit_outcome
from workers.database.connections import SqlDatabase

ROOT = Path(__file__).parents[3]

READING = {
    *("clock_timestamp", "coalesce", "count", "current_database", "current_schema", "current_setting", "date_part"),
    *("has_schema_privilege", "has_sequence_privilege", "has_table_privilege", "max", "min", "pg_backend_pid"),
    *("pg_get_serial_sequence", "pg_postmaster_start_time", "quote_ident", "random", "string_agg", "string_to_array"),
    *("sum", "to_regclass", "trim", "unnest", "cast"),
}
"""Functions that change nothing."""

DRIVER = {
    "commit_outcome.py": {"txid_current", "txid_status"},
    "migrating.py": {"pg_try_advisory_xact_lock"},
    "single_read.py": {"raw_connection", "cursor"},
}
"""What one module may call besides."""

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def hasty(_postgres_package: Path) -> Iterator[PostgresServer]:
    """A server whose commits are on their way to the disk when it tells of them."""
    server = PostgresServer(_postgres_package, synchronous_commit="off", wal_writer_delay="10s")
    yield server
    server.close()


def add(alias: str) -> Callable[[Connection], object]:
    return lambda conn: conn.execute(insert(PROVIDER).values(provider=alias, updated_at=NOON))


def aliases(database: SqlDatabase) -> set[str]:
    with database.read() as conn:
        return set(conn.execute(select(PROVIDER.c.provider)).scalars())


def show(conn: Connection) -> str:
    return str(conn.execute(text("SHOW synchronous_commit")).scalar_one())


def test_a_commit_waits_for_the_disk_whatever_the_server_does_by_default(hasty: PostgresServer) -> None:
    with hasty.database() as url:
        database = SqlDatabase(url)
        with database.write() as conn:
            assert show(conn) == "on"
        assert database.run(show) == "on"
        assert database.transact(lambda conn, items: [show(conn) for _ in items], [None]) == ["on"]
        database.close()


def test_it_holds_for_each_transaction_and_not_only_for_the_session(hasty: PostgresServer) -> None:
    with hasty.database() as url:
        database = SqlDatabase(url)
        for _ in range(3):
            # As a pooler does between two transactions: the session is another's meanwhile.
            raw = database.engine.raw_connection()
            raw.driver_connection.execute("DISCARD ALL")  # type: ignore[union-attr]
            raw.close()
            assert database.run(show) == "on"
        database.close()


def test_a_stronger_default_stays(hasty: PostgresServer) -> None:
    with hasty.database() as url:
        hasty._execute(f"ALTER DATABASE {url.split('/')[3].split('?')[0]} SET synchronous_commit = remote_apply")
        database = SqlDatabase(url)
        assert database.run(show) == "remote_apply"
        database.close()


def test_what_was_committed_outlives_the_server(hasty: PostgresServer) -> None:
    with hasty.database() as url:
        database = SqlDatabase(url)
        for n in range(5):
            database.run(add(f"p{n}"))
            hasty.kill()
            hasty.restart()
            assert aliases(database) == {f"p{m}" for m in range(n + 1)}
        database.close()


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[PostgresProxy]:
    proxy = PostgresProxy(postgres_url)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("delivers", [True, False])
def test_a_commit_whose_answer_is_lost_took_place_once(proxy: PostgresProxy, postgres_url: str, delivers: bool) -> None:
    database, ran = SqlDatabase(proxy.url), list[int]()

    def action(conn: Connection) -> int:
        add(f"p{len(ran)}")(conn)
        ran.append(1)
        return len(ran)

    proxy.cut(1, delivers=delivers)
    assert database.run(action) == (1 if delivers else 2)
    database.close()
    straight = SqlDatabase(postgres_url)
    assert len(aliases(straight)) == 1
    straight.close()


def test_a_server_that_cannot_be_asked_leaves_it_open(proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_outcome, "PATIENCE", 0.5)
    database = SqlDatabase(proxy.url)
    proxy.cut(1, leaves=True)
    with pytest.raises(Unanswered):
        database.run(add("a"))
    database.close()


def test_another_timeline_knows_nothing_of_it(proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    database = SqlDatabase(proxy.url)
    monkeypatch.setattr(
        commit_outcome.Commits, "_ask", lambda _, mark: ("committed", "another" if mark.number else mark.timeline)
    )
    proxy.cut(1)
    with pytest.raises(Unanswered):
        database.run(add("a"))
    database.close()


def test_a_commit_that_takes_its_time_is_waited_for(proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    database, said = SqlDatabase(proxy.url), ["in progress", "in progress"]
    ask = commit_outcome.Commits._ask

    def slow(self: commit_outcome.Commits, mark: commit_outcome.Mark) -> tuple[str | None, str]:
        found = ask(self, mark)
        return (said.pop(), found[1]) if mark.number and said else found

    monkeypatch.setattr(commit_outcome.Commits, "_ask", slow)
    proxy.cut(1)
    database.run(add("a"))
    assert said == []
    database.close()


def test_what_reads_and_writes_at_once_is_in_question(proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_outcome, "PATIENCE", 0.5)
    query = "WITH added AS (INSERT INTO provider_state (provider, updated_at) VALUES ('a', now()) RETURNING 1)"
    database = SqlDatabase(proxy.url)
    proxy.cut(1, leaves=True)
    with pytest.raises(Unanswered):
        database.run(lambda conn: conn.execute(text(f"{query} SELECT * FROM added")).scalar())
    database.close()


def test_a_number_goes_for_its_own_transaction_alone(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection is lent again and again: what was written before it is not written now."""
    database, marks = SqlDatabase(postgres_url), list[int | None]()
    mark = commit_outcome.Commits.mark

    def noted(self: commit_outcome.Commits, conn: Connection) -> commit_outcome.Mark:
        found = mark(self, conn)
        own = conn.execute(text("SELECT txid_current()")).scalar_one()
        assert found.number in (None, own)
        marks.append(found.number)
        return found

    monkeypatch.setattr(commit_outcome.Commits, "mark", noted)
    for action in (add("a"), show, add("b"), show):
        database.run(action)
    assert [number is None for number in marks] == [False, True, False, True]
    database.close()


def test_what_is_taken_for_reading_writes_nothing() -> None:
    """A SELECT that called setval or nextval would be taken for reading; and what goes to the driver is not seen."""
    for folder in ("schemas", "tasks", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                assert _called(path.read_text()) <= READING | DRIVER.get(path.name, set()), path


def _called(source: str) -> set[str]:
    """The functions of the database that a module calls, in SQLAlchemy's words or in SQL, and its ways past us."""
    found = set[str]()
    if not re.search(r"func\.|SELECT|SHOW|_connection\b|\.cursor\b", source):
        return found
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="func"), attr=name):
                found.add(name)
            case ast.Attribute(attr="raw_connection" | "driver_connection" | "dbapi_connection" | "cursor" as name):
                found.add(name)
            case ast.Constant(value=str(words)) if re.match(r"\W*(SELECT|SHOW)\b", words):
                found.update(re.findall(r"\b([a-z_]+)\(", words))
    return found


def test_what_was_only_read_is_never_in_question(proxy: PostgresProxy) -> None:
    database = SqlDatabase(proxy.url)
    proxy.cut(1, leaves=True)
    assert database.run(show) == "on"
    database.close()


def test_two_that_wait_for_each_other_both_come_through(postgres_url: str) -> None:
    database, gate = SqlDatabase(postgres_url), threading.Barrier(2)
    for alias in ("a", "b"):
        database.run(add(alias))
    met: list[int] = []

    def crossing(first: str, second: str) -> None:
        tries: list[int] = []

        def action(conn: Connection) -> None:
            tries.append(1)
            conn.execute(select(PROVIDER).where(PROVIDER.c.provider == first).with_for_update())
            if len(tries) == 1:
                gate.wait(PATIENCE)
            conn.execute(select(PROVIDER).where(PROVIDER.c.provider == second).with_for_update())

        database.run(action)
        met.append(len(tries))

    threads = [threading.Thread(target=crossing, args=pair) for pair in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(met) == [1, 2]
    database.close()


def test_an_error_is_told_by_its_code_and_not_by_its_words(postgres_url: str) -> None:
    database, tries = SqlDatabase(postgres_url), list[int]()

    def action(conn: Connection) -> None:
        tries.append(1)
        conn.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '57014'; END $$"))

    with pytest.raises(OperationalError) as caught:
        database.run(action)
    assert (len(tries), met_another(caught.value)) == (1, False)
    tries.clear()

    def collide(conn: Connection) -> None:
        tries.append(1)
        conn.execute(text("DO $$ BEGIN RAISE EXCEPTION 'nichts' USING ERRCODE = '40001'; END $$"))

    with pytest.raises(DBAPIError):
        database.run(collide)
    assert len(tries) == TRIES
    database.close()


def test_a_server_that_marks_nothing_is_written_to_all_the_same(
    proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit_outcome, "_STATUS", text("SELECT no_such_function(:number), ''"))
    database = SqlDatabase(proxy.url)
    database.run(add("a"))
    proxy.cut(1)
    with pytest.raises(Unanswered):
        database.run(add("b"))
    database.close()
