"""The servers that other tests rely on do what they promise."""

import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError

from tests.servers import PostgresServer, RedisServer, interfaces, once, unavailable
from tests.servers.redis import free_port
from tests.waiting import at_once


def test_redis_is_empty_for_each_test_and_keeps_its_data_over_a_kill(redis_server: RedisServer) -> None:
    with Redis.from_url(redis_server.url) as client:
        assert client.dbsize() == 0
        client.set("paid", "1")
        redis_server.kill()
        with pytest.raises(RedisConnectionError):
            client.ping()
        redis_server.restart()
        assert client.get("paid") == b"1"


def test_a_port_is_one_process_s_alone_before_anybody_listens_there() -> None:
    dice = random.getstate()
    try:
        random.seed(5)
        ours = free_port()
    finally:
        random.setstate(dice)
    script = "import random; random.seed(5); from tests.servers.redis import free_port; print(free_port())"
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(theirs) != ours


def test_no_network_interface_comes_or_goes_while_a_browser_is_there() -> None:
    changed = threading.Event()

    def change() -> None:
        with interfaces.change():
            changed.set()

    thread = threading.Thread(target=change)
    with interfaces.stand_still(), interfaces.stand_still():
        thread.start()
        assert not changed.wait(0.2)
    assert changed.wait(60)
    thread.join()


def test_redis_runs_again_after_a_test_that_left_it_dead(redis_server: RedisServer) -> None:
    redis_server.kill()
    redis_server.ensure_running()
    redis_server.flushall()
    with Redis.from_url(redis_server.url) as client:
        assert client.dbsize() == 0


def test_postgres_keeps_what_was_committed_over_a_kill(postgres_server: PostgresServer) -> None:
    with postgres_server.database(empty=True) as url:
        engine = create_engine(url, pool_pre_ping=True)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE paid (number text)"))
            connection.execute(text("INSERT INTO paid VALUES ('+4930123456')"))
        postgres_server.kill()
        with pytest.raises(OperationalError):
            engine.connect()
        postgres_server.restart()
        with engine.connect() as connection:
            assert connection.execute(text("SELECT number FROM paid")).scalar_one() == "+4930123456"
        engine.dispose()


@pytest.fixture
def a_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run of its own."""
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", run := uuid.uuid4().hex)
    yield
    once.forget(run)


@pytest.mark.usefixtures("a_run")
def test_what_is_made_once_in_a_run_is_made_by_one_and_whole_for_all() -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.05)
        (folder / "last").touch()

    [place] = set(at_once(*[lambda: once.made_once("thing", make)] * 4))
    assert isinstance(place, Path)
    assert [path.name for path in place.iterdir()] == ["last"]
    assert len(made) == 1


@pytest.mark.usefixtures("a_run")
def test_what_somebody_failed_to_make_the_next_one_makes() -> None:
    def fail(folder: Path) -> None:
        (folder / "first").touch()
        raise OSError

    with pytest.raises(OSError):
        once.made_once("thing", fail)
    place = once.made_once("thing", lambda folder: (folder / "all").touch())
    assert [path.name for path in place.iterdir()] == ["all"]


def test_each_database_is_fresh(postgres_server: PostgresServer) -> None:
    with postgres_server.database(empty=True) as first, postgres_server.database(empty=True) as second:
        assert first != second


def test_a_database_of_each_kind_has_our_tables(database_url: str) -> None:
    engine = create_engine(database_url)
    assert {"purchase", "purchase_attempt"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_an_empty_database_of_each_kind_has_none(empty_database_url: str) -> None:
    engine = create_engine(empty_database_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_missing_server_skips_on_a_laptop_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="elephant cannot be had here: buy one"):
        unavailable("an elephant", "buy one")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="elephant cannot be had here: buy one"):
        unavailable("an elephant", "buy one")
