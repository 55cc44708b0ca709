"""What the database refuses whoever asks is done once it is allowed: no message is answered with a fault of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from schemas.status import Status
from schemas.tables.purchases import PURCHASE, REJECTED
from tasks.lifecycle import accept
from tasks.messages import celery_tasks
from tasks.outages import database_away, waits
from tasks.outages.database_away import is_away
from tasks.runtime import install
from tests.servers import PostgresServer
from tests.tasks.messages.test_last_resort import deliver
from tests.tasks.pools.stocking import POOL, fill
from tests.tasks.support import World, make_world, number
from tests.waiting import eventually
from workers.database.connections import SqlDatabase

RIGHT = "the database does not give its user a right that is needed"
HIDDEN = "CREATE SCHEMA other; CREATE TABLE other.purchase (x int); GRANT ALL ON SCHEMA other TO app"


class Owner:
    """The owner of the tables, who takes rights from those who run as `app`, and gives them back."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, isolation_level="AUTOCOMMIT")
        self("DROP OWNED BY app; DROP ROLE app", fails=True)
        self("CREATE ROLE app")
        self("GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app")

    def __call__(self, statements: str, *, fails: bool = False) -> None:
        try:
            with self._engine.connect() as conn:
                conn.execute(text(statements))
        except SQLAlchemyError:
            if not fails:
                raise

    def close(self) -> None:
        self("DROP OWNED BY app; DROP ROLE app")
        self._engine.dispose()


@pytest.fixture
def owner(postgres_url: str) -> Iterator[Owner]:
    found = Owner(postgres_url)
    yield found
    found.close()


@pytest.fixture
def world(owner: Owner, postgres_url: str, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    """A world that runs as `app`."""
    caplog.set_level("INFO")
    database = SqlDatabase(f"{postgres_url}&options=-crole%3Dapp%20-csearch_path%3Dother,public")
    world = make_world(database)
    config = world.runtime.config.model_copy(update={"pools": {POOL: None}})
    object.__setattr__(world.runtime, "config", config)
    app = Celery("test", set_as_current=True)
    install(world.runtime)
    yield world
    install(None)
    app.close()
    database.close()


def begun(do: Callable[[], object], count: int = 3) -> list[threading.Thread]:
    threads = [threading.Thread(target=do) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


def about(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [line for line in caplog.messages if name in line]


@pytest.mark.parametrize(
    ("taken", "given", "why"),
    [
        ("REVOKE INSERT ON purchase FROM app", "GRANT INSERT ON purchase TO app", RIGHT),
        ("ALTER TABLE purchase RENAME TO p", "ALTER TABLE p RENAME TO purchase", "purchase"),
        ("ALTER TABLE purchase RENAME status TO s", "ALTER TABLE purchase RENAME s TO status", "status"),
        (HIDDEN, "DROP SCHEMA other CASCADE", "purchase"),
        ("ALTER SCHEMA public RENAME TO away", "ALTER SCHEMA away RENAME TO public", "does not exist"),
    ],
)
def test_a_public_task_waits_for_what_is_missing(
    world: World, owner: Owner, caplog: pytest.LogCaptureFixture, taken: str, given: str, why: str
) -> None:
    owner(taken)
    message = {"number": number(1), "provider": "acme", "idempotency_key": "k"}
    threads = begun(lambda: deliver(celery_tasks.buy_number, message, again=True))
    try:
        eventually(lambda: caplog.messages)
    finally:
        owner(given)
    for thread in threads:
        thread.join()
    assert [row["number"] for row in world.rows(select(PURCHASE))] == [number(1)]
    assert world.rows(select(REJECTED)) == []
    first, last = about(caplog, "dialstock.buy_number")
    assert why in first
    assert last == "dialstock.buy_number works again"
    assert "Traceback" not in caplog.text


def test_a_take_goes_back_to_the_queue_where_that_lasts(
    world: World, owner: Owner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_away, "PATIENCE", 0.0)
    fill(world, 1)
    owner("REVOKE UPDATE ON pool_number FROM app")
    given_back = [deliver(celery_tasks.take_number, {"pool": POOL}) for _ in range(2)]
    assert [isinstance(one, Reject) and one.requeue for one in given_back] == [True, True]
    assert world.rows(select(REJECTED)) == []
    assert len(about(caplog, RIGHT)) == 1
    owner("REVOKE INSERT ON rejected_request FROM app")
    [bad] = [deliver(celery_tasks.take_number, {"pool": POOL, "strange": 1})]
    assert isinstance(bad, Reject)
    assert "Traceback" not in caplog.text


def test_a_purchase_and_an_audit_wait_for_a_right(
    world: World, owner: Owner, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = world.accept()
    [message] = world.sent
    owner("REVOKE INSERT ON purchase_attempt FROM app; REVOKE UPDATE, INSERT ON audit_run FROM app")
    for _ in range(2):
        celery_tasks.buy.run(**message.kwargs)
        celery_tasks.audit.run("acme")
    [line] = about(caplog, f"{row['number']} waits: ")
    assert RIGHT in line
    assert len(about(caplog, "the audit of acme waits: ")) == 1
    assert (world.provider.charged, world.row(row["id"])["status"]) == ([], Status.DISPATCHED)
    monkeypatch.setattr(waits, "QUIET", 0.0)
    owner("GRANT INSERT ON purchase_attempt TO app")
    celery_tasks.buy.run(**message.kwargs)
    assert len(world.provider.charged) == 1
    assert len(about(caplog, "dialstock.internal.buy works again")) == 1


def test_a_statement_of_ours_that_is_wrong_is_kept_and_answered(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        with world.runtime.database.read() as conn:
            conn.execute(text("SELEC 1"))

    monkeypatch.setattr(accept, "buy_number", wrong)
    deliver(celery_tasks.buy_number, {"number": number(1), "provider": "acme"})
    assert [row["error_code"] for row in world.rows(select(REJECTED))] == ["internal_error"]
    monkeypatch.setattr(celery_tasks.purchase, "buy", wrong)
    with pytest.raises(SQLAlchemyError):
        celery_tasks.buy.run("id", 0, "acme")


def raised(url: str, statement: str) -> SQLAlchemyError:
    engine = create_engine(url)
    try:
        with engine.connect() as conn:
            conn.execute(text(statement))
    except SQLAlchemyError as exc:
        return exc
    finally:
        engine.dispose()
    raise AssertionError("nothing was refused")


AWAY = {
    "42501": "SET ROLE app; CREATE TABLE public.t ()",
    "25006": "SET TRANSACTION READ ONLY; CREATE TABLE t ()",
    "42P10": "CREATE TEMP TABLE t (x int); INSERT INTO t VALUES (1) ON CONFLICT (x) DO NOTHING",
    "42704": "SET ROLE app; SELECT 1::nothing",
    "3F000": "CREATE TABLE nowhere.t ()",
    "3D000": "ALTER DATABASE nowhere RESET ALL",
    "57P01": "SELECT pg_terminate_backend(pg_backend_pid())",
    "57014": "SET statement_timeout = 1; SELECT pg_sleep(5)",
    "53200": "DO $$ BEGIN RAISE SQLSTATE '53200'; END $$",
    "28000": "DO $$ BEGIN RAISE SQLSTATE '28000'; END $$",
}
OURS = {"42601": "SELEC 1", "42883": "SELECT 'a'::text = 1", "22012": "SELECT 1/0", "42804": "SELECT 1 WHERE 2"}


@pytest.mark.parametrize("state", [*AWAY, *OURS])
def test_what_is_the_database_s_own_and_what_is_ours(owner: Owner, postgres_url: str, state: str) -> None:
    exc: Any = raised(postgres_url, {**AWAY, **OURS}[state])
    assert (exc.orig.sqlstate, is_away(exc)) == (state, state in AWAY)


def test_a_database_that_cannot_be_reached_and_a_file_that_is_none(
    postgres_server: PostgresServer, tmp_path: Any
) -> None:
    (tmp_path / "text").write_text("no database at all, and long enough to be looked at\n" * 50)
    for url in (postgres_server.url_of("nowhere"), f"sqlite:///{tmp_path}/text"):
        assert is_away(raised(url, "SELECT 1 FROM nothing"))
    assert not is_away(ValueError())
