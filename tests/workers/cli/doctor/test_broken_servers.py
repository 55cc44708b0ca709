"""What the doctor says of servers that answer and cannot be used: each with its own mend, and nothing left behind."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import func, select, text

from schemas.tables.purchases import PROVIDER
from tests.servers import PgBouncer, PostgresServer, RedisServer
from tests.waiting import eventually
from tests.workers.cli.commands import choose_sandbox, execute
from workers.cli.doctor import servers
from workers.cli.doctor.findings import Finding, Level
from workers.database.connections import SqlDatabase
from workers.health import WRITTEN, check_database_writes
from workers.settings import load_settings
from workers.views.desk import worker_hint


@pytest.fixture
def spoiled(_redis_program: str) -> Iterator[RedisServer]:
    """A server of the test's own, which it may spoil."""
    server = RedisServer(_redis_program)
    yield server
    server.kill()
    server.close()


def _replica(admin: Redis, _: RedisServer) -> None:
    admin.replicaof("127.0.0.1", "1")


def _writable_replica(admin: Redis, server: RedisServer) -> None:
    admin.config_set("replica-read-only", "no")
    _replica(admin, server)


def _full(admin: Redis, _: RedisServer) -> None:
    admin.config_set("maxmemory", 1)


def _nearly_full(admin: Redis, _: RedisServer) -> None:
    # So that what a script needs fits.
    admin.setrange("filler", 5_000_000, "x")
    admin.config_set("maxmemory", int(admin.info("memory")["used_memory"] * 1.07))


def _cannot_save(admin: Redis, server: RedisServer) -> None:
    admin.config_set("save", "3600 1")
    shutil.rmtree(server.folder)
    admin.bgsave()
    eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")


def _cannot_save_and_goes_on(admin: Redis, server: RedisServer) -> None:
    admin.config_set("stop-writes-on-bgsave-error", "no")
    _cannot_save(admin, server)


def _evicts(admin: Redis, _: RedisServer) -> None:
    admin.config_set("maxmemory-policy", "allkeys-lru")


def _other_program(admin: Redis, _: RedisServer) -> None:
    admin.set("purchases", "theirs")


def _other_stream(admin: Redis, _: RedisServer) -> None:
    admin.lpush("dialstock:results", "theirs")


def _held_up(admin: Redis, server: RedisServer) -> None:
    admin.config_set("busy-reply-threshold", 10)
    script = threading.Thread(target=_run_for_ever, args=(server.url,))
    script.start()

    def busy() -> bool:
        try:
            return not admin.ping()
        except ResponseError as exc:
            return "BUSY" in str(exc)

    eventually(busy, what="the script holds it up")


def _run_for_ever(url: str) -> None:
    with Redis.from_url(url) as client, suppress(RedisError):
        client.eval("while true do end", 0)


@pytest.mark.parametrize(
    ("spoil", "level", "message", "mend"),
    [
        (_other_program, Level.FAIL, "its key purchases is not of our type", "a REDIS_KEY_PREFIX"),
        (_other_stream, Level.FAIL, "its key dialstock:results is not of our type", "a REDIS_KEY_PREFIX"),
        (_held_up, Level.FAIL, "is held up by a script (BUSY", "SCRIPT KILL"),
        (_replica, Level.FAIL, "is a replica, which takes no writes (READONLY", "name the master in REDIS_URL"),
        (_writable_replica, Level.FAIL, "it is a replica: what is written there goes", "name the master in REDIS_URL"),
        (_full, Level.FAIL, "has no memory left (OOM", "raise maxmemory"),
        (_nearly_full, Level.WARN, "of its maxmemory", "raise maxmemory"),
        (_cannot_save, Level.FAIL, "takes no writes: it cannot save to its disk (MISCONF", "make room there"),
        (_cannot_save_and_goes_on, Level.FAIL, "could not save to its disk the last time", "make room there"),
        (_evicts, Level.WARN, "it may throw messages away: maxmemory-policy allkeys-lru", "noeviction"),
    ],
)
def test_a_redis_that_answers_and_cannot_be_used(
    spoiled: RedisServer, spoil: Callable[[Redis, RedisServer], None], level: Level, message: str, mend: str
) -> None:
    with Redis.from_url(spoiled.url) as admin:
        spoil(admin, spoiled)
    found = [one for one in servers.redis(spoiled.url, queues=["purchases"]) if message in one.message]
    assert [one.level for one in found] == [level]
    assert mend in f"{found[0].message} {found[0].mend}"


def test_a_user_of_an_acl_that_lacks_a_right(spoiled: RedisServer) -> None:
    with Redis.from_url(spoiled.url) as admin:
        admin.acl_setuser("small", enabled=True, passwords=["+pw"], categories=["+@all"], keys=["other"])
        admin.acl_setuser("blind", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-info"])
    for user, right in (("small", "key"), ("blind", "info")):
        [found] = servers.redis(spoiled.url.replace("redis://", f"redis://{user}:pw@"))
        assert (found.level, "NOPERM" in found.message, right in found.message) == (Level.FAIL, True, True)
        assert "ACL SETUSER" in found.message


@pytest.fixture
def bare(_redis_program: str) -> Iterator[RedisServer]:
    """A server without a command that paces need."""
    server = RedisServer(_redis_program, options=["--rename-command", "EVALSHA", ""])
    yield server
    server.close()


def test_a_redis_without_a_command_that_is_needed(bare: RedisServer) -> None:
    [found] = servers.redis(bare.url)
    assert (found.level, "does not know a command that is needed (" in found.message) == (Level.FAIL, True)
    assert "'EVALSHA'" in found.message


def test_a_pooler_in_statement_mode(postgres_server: PostgresServer, postgres_url: str) -> None:
    pooler = PgBouncer(postgres_server, pool_mode="statement")
    found = servers.database(load_settings({"DATABASE_URL": pooler.url(postgres_url)}))
    pooler.close()
    assert (found.level, "set pool_mode = transaction" in found.message) == (Level.FAIL, True)


def test_what_is_tried_leaves_nothing(redis_server: RedisServer, database_url: str) -> None:
    assert [one.level for one in servers.redis(redis_server.url)] == [Level.OK]
    with Redis.from_url(redis_server.url) as client:
        assert client.pttl(WRITTEN) <= 1000
        eventually(lambda: not client.keys())
    check_database_writes(database_url)
    database = SqlDatabase(database_url)
    with database.read() as conn:
        assert conn.execute(select(func.count()).select_from(PROVIDER)).scalar_one() == 0
    database.close()


def reader_of(server: PostgresServer, url: str, *rights: str) -> str:
    """The URL of a user who has only *rights*."""
    server.once("CREATE ROLE reader LOGIN")
    database = SqlDatabase(url)
    with database.write() as conn:
        for right in rights:
            conn.execute(text(f"GRANT {right} TO reader"))
    database.close()
    return url.replace("postgres@", "reader@")


def test_a_user_that_may_read_and_not_write(postgres_server: PostgresServer, postgres_url: str) -> None:
    url = reader_of(postgres_server, postgres_url, "SELECT ON ALL TABLES IN SCHEMA public")
    found = servers.database(load_settings({"DATABASE_URL": url}))
    assert (found.level, found.status) == (Level.FAIL, 3)
    assert "does not give its user a right that is needed (permission denied for table" in found.message
    assert "GRANT" in found.message
    assert "start it" not in found.message


def test_the_command_line_and_a_worker_s_start_say_the_same(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    choose_sandbox(tmp_path)
    url = reader_of(postgres_server, postgres_url)
    told = "does not give its user a right that is needed (permission denied for table alembic_version): have its owner"
    for command in (("worker",), ("purchase", "list"), ("doctor",)):
        done = execute(*command, home=tmp_path / "home", cwd=tmp_path, DATABASE_URL=url)
        assert (done.returncode, told in done.stdout + done.stderr) == (3, True), done.stdout + done.stderr


def test_a_user_that_may_make_no_tables_is_told_which_right_it_lacks(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with postgres_server.database(empty=True) as url:
        done = execute("migrate", home=tmp_path, cwd=tmp_path, DATABASE_URL=reader_of(postgres_server, url))
    assert (done.returncode, done.stdout) == (3, "")
    assert "(permission denied for schema public): have its owner GRANT it" in done.stderr
    assert "USAGE and CREATE on the schema" in done.stderr


def test_who_waits_for_workers_is_told_why_nothing_is_bought(spoiled: RedisServer, sqlite_url: str) -> None:
    with Redis.from_url(spoiled.url) as admin:
        admin.acl_setuser("small", enabled=True, passwords=["+pw"], categories=["+@all"], keys=["other"])
    url = spoiled.url.replace("redis://", "redis://small:pw@")
    told = worker_hint(load_settings({"REDIS_URL": url, "DATABASE_URL": sqlite_url}))
    assert told is not None
    assert ":***@" in told
    assert "does not give its user a right that is needed (NOPERM" in told
    assert told.endswith("nothing is bought without it")


def test_programs_get_the_same(tmp_path: Path, spoiled: RedisServer, sqlite_url: str) -> None:
    with Redis.from_url(spoiled.url) as admin:
        _replica(admin, spoiled)
    urls = {"DATABASE_URL": sqlite_url, "REDIS_URL": spoiled.url}
    done = execute("doctor", "--quick", "--json", home=tmp_path, cwd=tmp_path, **urls)
    checks: list[dict[str, Any]] = json.loads(done.stdout)["checks"]
    assert (done.returncode, [check["level"] for check in checks]) == (3, ["ok", "fail"])
    assert "name the master in REDIS_URL" in checks[1]["message"]


def test_a_finding_is_not_told_twice(spoiled: RedisServer) -> None:
    with Redis.from_url(spoiled.url) as admin:
        _full(admin, spoiled)
    found: list[Finding] = servers.redis(spoiled.url)
    assert len(found) == 1
