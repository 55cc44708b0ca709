"""Real worker processes: pytest-celery's fixtures, on processes of this machine instead of containers.

`place` and `celery_setup` are shared by the tests of this folder, one for each kind of database; each test takes
numbers of its own. A test that kills workers or needs another policy asks for `fresh_place`.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_celery import CeleryTestSetup

from tests.bench.measuring.windows import largest
from tests.integration.place import POOLS, Place
from tests.integration.results import Results
from tests.servers import RedisServer, unavailable
from tests.waiting import lateness
from workers.processes.embedded_redis import EmbeddedError, find_server

_numbers = (f"+1415555{number:04d}" for number in itertools.count(100))


@pytest.fixture
def numbers() -> Callable[[int], list[str]]:
    """Gives numbers that no other test has."""
    return lambda count: list(itertools.islice(_numbers, count))


@pytest.fixture
def number() -> str:
    """A number that no other test has."""
    return next(_numbers)


@pytest.fixture(scope="package")
def _broker() -> Iterator[RedisServer]:
    """A server of our own: the session's is emptied for each test that asks for it."""
    try:
        server = RedisServer(find_server(os.environ))
    except EmbeddedError as exc:
        unavailable("a Redis-compatible server", str(exc))
    yield server
    server.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the shared deployment after its last test in a row: its workers would compute beside all others."""
    yield
    if _shares(item) and not _shares(nextitem):
        request = item._request  # type: ignore[attr-defined]
        # With it goes what was set up on it.
        request._get_active_fixturedef("_broker").finish(request)


def _shares(item: pytest.Item | None) -> bool:
    return "_broker" in getattr(item, "fixturenames", ())


@pytest.fixture(scope="package", params=["sqlite", "postgresql"], ids=["shared-sqlite", "shared-postgresql"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, _broker: RedisServer
) -> Iterator[Place]:
    """A deployment on each kind of database, shared."""
    home = tmp_path_factory.mktemp("place")
    _broker.flushall()
    with ExitStack() as stack:
        if request.param == "sqlite":
            template: Path = request.getfixturevalue("_sqlite_template")
            url = f"sqlite:///{shutil.copy(template, home / 'shared.db')}"
        else:
            server = request.getfixturevalue("_postgres_of_the_session")
            server.ensure_running()
            url = stack.enter_context(server.database())
        yield stack.enter_context(Place(home, url, _broker, pools=POOLS))


@pytest.fixture(scope="package")
def celery_setup(place: Place) -> CeleryTestSetup:
    """Two workers of the shared deployment, ready."""
    return place.setup("worker-1", "worker-2")


@pytest.fixture
def results(place: Place) -> Iterator[Results]:
    """A reader of the shared deployment's results, from now on."""
    with place.results() as reader:
        yield reader


@pytest.fixture
def fresh_place(tmp_path: Path, database_url: str, redis_server: RedisServer) -> Iterator[Callable[..., Place]]:
    """Makes a deployment of the test's own, on each kind of database, with a policy of its own."""
    with ExitStack() as stack:
        yield lambda **policy: stack.enter_context(Place(tmp_path, database_url, redis_server, **policy))


@pytest.fixture
def most_in_a_second() -> Iterator[Callable[[Sequence[float]], int]]:
    """Tells the most of the times of calls, in order, in any second.

    It is shortened by what the way to the provider takes at one time and not at another: 50 ms, or as much as this
    machine woke a thread late since the test began, but no more than half of it.
    """
    with lateness() as late:
        yield lambda times: largest(times, 1.0 - min(0.5, max(0.05, late())))
