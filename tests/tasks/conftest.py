"""One database of each kind for the whole session, emptied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tasks.outages.waits import WAITS
from tasks.policies import watched_time as watch
from tasks.sandbox import SandboxServer
from tests.servers import PostgresServer, RedisServer
from tests.tasks.past import Past, started
from tests.tasks.shops import LISTS, Shop, bind
from tests.tasks.support import World, clear, make_world
from workers.database.connections import SqlDatabase


@pytest.fixture(autouse=True)
def _nothing_waits() -> None:
    WAITS.forget()


class _Standing:
    """In place of the module `time`: since any moment, no time has passed."""

    @staticmethod
    def monotonic() -> float:
        return 0.0


@pytest.fixture(autouse=True)
def _machine_has_time(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes between an intent and its call is told by the world's clock alone: a machine that stood still for
    seconds made the call too late. With the fixture `own_clock` it is told by the machine's own, too."""
    if "own_clock" not in request.fixturenames:
        monkeypatch.setattr(watch, "time", _Standing)


@pytest.fixture
def own_clock() -> None:
    """Has the process's own clock count."""


@pytest.fixture(scope="session")
def _sqlite_of_the_session(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[SqlDatabase]:
    database = SqlDatabase(
        f"sqlite:///{shutil.copy(_sqlite_template, tmp_path_factory.mktemp('ledger') / 'ledger.db')}"
    )
    yield database
    database.close()


@pytest.fixture(scope="session")
def _postgres_database_of_the_session(_postgres_of_the_session: PostgresServer) -> Iterator[SqlDatabase]:
    _postgres_of_the_session.ensure_running()
    with _postgres_of_the_session.database() as url:
        database = SqlDatabase(url)
        yield database
        database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> SqlDatabase:
    """An empty database with our tables, of each kind in turn."""
    if request.param == "sqlite":
        name = "_sqlite_of_the_session"
    else:
        request.getfixturevalue("postgres_server")
        name = "_postgres_database_of_the_session"
    found: SqlDatabase = request.getfixturevalue(name)
    clear(found)
    return found


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def file_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A fresh database with our tables for all tests of a file, of each kind in turn."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("_sqlite_template")
        yield f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('file') / 'file.db')}"
        return
    server: PostgresServer = request.getfixturevalue("_postgres_of_the_session")
    server.ensure_running()
    with server.database() as url:
        yield url


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    """A client of a real, empty server."""
    with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def make(database: SqlDatabase) -> Callable[..., World]:
    """Builds a world with a policy of its own."""

    def build(redis: Any = None, **overrides: Any) -> World:
        return make_world(database, redis, **overrides)

    return build


@pytest.fixture
def world(database: SqlDatabase) -> World:
    """A world on each kind of database."""
    return make_world(database)


@pytest.fixture
def postgres(postgres_server: PostgresServer, _postgres_database_of_the_session: SqlDatabase) -> World:
    """A world on PostgreSQL, where transactions run side by side."""
    clear(_postgres_database_of_the_session)
    return make_world(_postgres_database_of_the_session)


@pytest.fixture(scope="session")
def _sandbox_of_the_session() -> Iterator[SandboxServer]:
    with SandboxServer(port=0) as server:
        yield server


@pytest.fixture
def sandbox(_sandbox_of_the_session: SandboxServer) -> SandboxServer:
    """All providers on a socket, as new."""
    _sandbox_of_the_session.control.reset()
    _sandbox_of_the_session.control.provisioning(0)
    return _sandbox_of_the_session


@pytest.fixture
def open_shop(world: World, sandbox: SandboxServer) -> Callable[..., Shop]:
    """Opens a shop of one kind with a policy of its own."""

    def open_one(kind: str, **policy: Any) -> Shop:
        binding = bind(sandbox.url, kind, **policy)
        runtime = replace(world.runtime, providers={kind: binding}, kinds={kind: binding.kind})
        return Shop(world, sandbox, kind, runtime, binding)

    return open_one


@pytest.fixture(params=LISTS)
def shop(request: pytest.FixtureRequest, open_shop: Callable[..., Shop]) -> Shop:
    """Each provider that has a list of owned numbers, in turn."""
    return open_shop(request.param)


@pytest.fixture
def fluents(open_shop: Callable[..., Shop]) -> Shop:
    """One of them."""
    return open_shop("fluents")


@pytest.fixture
def past(database_url: str, redis_server: RedisServer) -> Iterator[Past]:
    """A world whose database can go back in time, on each kind of database."""
    with started(database_url, redis_server) as found:
        yield found
