"""The rights that deploy/README.md names are enough for everything, and what is missing is named."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.integration.commands import dialstock, statuses, submit
from tests.integration.containers import LocalProcess
from tests.integration.place import POOLS, Place
from tests.servers import PostgresServer, RedisServer
from tests.servers.redis import free_port
from tests.waiting import eventually
from workers.cli.terminal.context import NO_BEAT

Numbers = Callable[[int], list[str]]
README = Path(__file__).parents[3] / "deploy" / "README.md"
COMMANDS = (
    "order list",
    "purchase list",
    "provider list",
    "provider resume bird",
    "pool list",
    "events replay --since 1h",
)


def written(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    return str(found).replace("PASSWORD'", "s3cret'").replace(">PASSWORD", ">s3cret")


class LeastRights(Place):
    """Its processes run as the two users that have what is written down; the tests themselves as they like."""

    role = "dialstock"

    @property
    def environ(self) -> dict[str, str]:
        url = make_url(self.database_url).set(username=self.role, password="s3cret")
        redis = self.redis.url.replace("redis://", "redis://dialstock:s3cret@")
        rendered = url.render_as_string(hide_password=False)
        return {**super().environ, "DATABASE_URL": rendered, "REDIS_URL": redis}

    def execute(self, *statements: str) -> None:
        engine = create_engine(self.database_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            for statement in statements:
                conn.execute(text(statement))
        engine.dispose()

    def run(self, *arguments: str, role: str = "dialstock") -> str:
        self.role = role
        done = dialstock(self, *arguments)
        self.role = "dialstock"
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout


@contextmanager
def least_redis(program: str) -> Iterator[RedisServer]:
    server = RedisServer(program)
    with closing(Redis.from_url(server.url)) as admin:
        admin.execute_command("ACL", "SETUSER", "dialstock", *written("acl").split())
    yield server
    server.close()


@pytest.fixture
def redis(_redis_program: str) -> Iterator[RedisServer]:
    with least_redis(_redis_program) as server:
        yield server


@pytest.fixture(scope="module")
def server(_postgres_package: Path) -> Iterator[PostgresServer]:
    """The roles are the server's, so that each run has one of its own."""
    server = PostgresServer(_postgres_package, fsync="on")
    yield server
    server.close()


@pytest.fixture(scope="module")
def migrated(server: PostgresServer, _redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a database that the one role migrated, and in which the other has what is written down."""
    with server.database(empty=True) as url, least_redis(_redis_program) as redis:
        with LeastRights(tmp_path_factory.mktemp("migrated"), url, redis) as place:
            place.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC", *written("sql").strip().split(";\n"))
            place.run("migrate", role="dialstock_migrate")
            place.execute("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM dialstock")
        yield url


@pytest.fixture
def place(tmp_path: Path, server: PostgresServer, migrated: str, redis: RedisServer) -> Iterator[LeastRights]:
    with server.database(like=migrated) as url, LeastRights(tmp_path, url, redis, pools=POOLS) as place:
        yield place


def test_they_are_enough_for_everything(place: LeastRights, numbers: Numbers) -> None:
    workers = list(place.setup("worker-1", "worker-2").worker_cluster)
    beat, port = place.start_beat("beat"), free_port()
    flower = LocalProcess(
        "flower", ["dialstock", "flower", "--port", str(port)], place.environ, place.home / "flower.log"
    )
    wanted = numbers(30)
    try:
        submit(place, *wanted, provider="signalwire")
        eventually(lambda: statuses(place, wanted) == {"purchased": 30}, what="all are bought")
        for command in COMMANDS:
            place.run(*command.split())
        for page in ("", "workers", "tasks", "broker"):
            eventually(lambda page=page: opens(f"http://127.0.0.1:{port}/{page}"), what=page)
        eventually(lambda: NO_BEAT not in dialstock(place, "doctor").stdout, what="beat runs")
        place.run("doctor")
        for worker in workers:
            worker.teardown()
    finally:
        flower.stop()
        beat.stop()
    for log in (*(worker.logs() for worker in workers), beat.logs().decode(), flower.logs().decode()):
        assert [line for line in log.splitlines() if "NOPERM" in line or "permission" in line.lower()] == []
    with closing(Redis.from_url(place.redis.url)) as admin:
        assert admin.acl_log() == []


def opens(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=10) as answer:
        return bool(answer.status == 200)
    return False


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        ("USAGE ON SCHEMA public", "permission denied for schema public"),
        ("SELECT ON alembic_version", "permission denied for table alembic_version"),
        ("DELETE ON outbox_event", "lacks DELETE on outbox_event"),
        ("USAGE ON SEQUENCE outbox_event_seq_seq", "lacks USAGE on SEQUENCE public.outbox_event_seq_seq"),
    ],
)
def test_the_doctor_names_what_the_role_lacks(place: LeastRights, taken: str, told: str) -> None:
    place.execute(f"REVOKE {taken} FROM dialstock")
    done = dialstock(place, "doctor")
    assert (done.returncode != 0, told in done.stdout, "GRANT" in done.stdout) == (True, True, True), done.stdout


def test_who_may_not_migrate_is_told_so(place: LeastRights) -> None:
    place.execute("UPDATE alembic_version SET version_num = '0011'")
    done = dialstock(place, "migrate")
    assert (done.returncode, "does not give its user a right" in done.stderr) == (3, True), done.stderr


@pytest.mark.parametrize(("taken", "told"), [("-xadd", "xadd")])
def test_a_worker_names_what_its_user_lacks(place: LeastRights, taken: str, told: str, number: str) -> None:
    worker = place.setup("worker").worker
    with closing(Redis.from_url(place.redis.url)) as admin:
        admin.execute_command("ACL", "SETUSER", "dialstock", taken)
        submit(place, number, provider="signalwire")
        eventually(lambda: re.search(rf"does not give its user a right.*'{told}'", worker.logs()), what="it is told")
        admin.execute_command("ACL", "SETUSER", "dialstock", taken.replace("-", "+"))
    eventually(lambda: statuses(place, [number]) == {"purchased": 1}, what="it goes on")
