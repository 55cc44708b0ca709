"""The true cause and the right mend, by what real servers say."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kombu import Connection as Broker
from kombu.exceptions import OperationalError as BrokerError
from redis import Redis
from redis._parsers.base import BaseParser
from redis.exceptions import RedisError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks.server_errors import database_trouble, explained, redis_trouble
from tests.servers import PostgresServer, RedisServer
from tests.waiting import eventually
from workers.database.connections import SqlDatabase
from workers.views.errors import failure_of


@pytest.fixture(scope="module")
def guarded(_postgres_package: Path) -> Iterator[PostgresServer]:
    """A server that asks the role `asked` for a password."""
    server = PostgresServer(_postgres_package)
    server.trust_all_but("asked", "CREATE ROLE asked LOGIN PASSWORD 'right'")
    server.once("CREATE ROLE small", "CREATE TABLE ours (id int)")
    server.once("CREATE SCHEMA closed CREATE TABLE ours (id int)", "CREATE SCHEMA other CREATE TABLE ours (x int)")
    yield server
    server.close()


def database_error(url: str, *statements: str) -> DBAPIError:
    """What the last statement raises; without any, what connecting does."""
    engine = create_engine(url)
    try:
        with engine.connect() as conn:
            for statement in statements:
                conn.execute(text(statement))
    except DBAPIError as exc:
        return exc
    finally:
        engine.dispose()
    raise AssertionError("nothing was refused")


def as_user(server: PostgresServer, user: str, database: str = "postgres") -> str:
    return server.url_of(database).replace("postgres@", f"{user}@")


@pytest.mark.parametrize(
    ("user", "database", "what", "mend"),
    [
        ("asked:wrong", "postgres", "refuses the user or the password", "USER:PASSWORD@HOST, with the colon between"),
        ("asked", "postgres", "refuses the user or the password", "USER:PASSWORD@HOST, with the colon between"),
        ("nobody_known", "postgres", "refuses the user or the password", "USER:PASSWORD@HOST, with the colon between"),
        ("postgres", "nowhere", "has no database of that name", "CREATE DATABASE"),
        ("full", "postgres", "has no connection left", "max_connections"),
        ("shut_out", "closed", "does not give its user a right", "GRANT"),
    ],
)
def test_why_postgresql_takes_no_connection(
    guarded: PostgresServer, user: str, database: str, what: str, mend: str
) -> None:
    guarded.once("CREATE ROLE full LOGIN CONNECTION LIMIT 0", "CREATE ROLE shut_out LOGIN")
    guarded.once("CREATE DATABASE closed", "REVOKE CONNECT ON DATABASE closed FROM PUBLIC")
    trouble = database_trouble(database_error(as_user(guarded, user, database)))
    assert (trouble.what.startswith(what), mend in trouble.mend) == (True, True), trouble


NOT_SEEN = ("lacks what this version needs, or does not show it", "search_path begins with the schema of the tables")


@pytest.mark.parametrize(
    ("statements", "what", "mend"),
    [
        (("SET ROLE small", "CREATE TABLE public.mine ()"), "does not give its user a right", "GRANT it"),
        (("SET transaction_read_only = on", "CREATE TABLE mine ()"), "takes no writes", "the primary in DATABASE_URL"),
        (("SELECT 1 FROM nothing",), "lacks what this version needs", "dialstock migrate"),
        (("SET ROLE small", "SELECT 1 FROM public.ours"), "does not give its user a right", "GRANT it"),
        (("SET search_path = closed", "SET ROLE small", "SELECT 1 FROM ours"), *NOT_SEEN),
        (("SET search_path = other, closed", "SELECT 1 FROM ours WHERE id = 1"), *NOT_SEEN),
        (("SET search_path = other", "INSERT INTO ours VALUES (1) ON CONFLICT (x) DO NOTHING"), *NOT_SEEN),
        (("SET statement_timeout = 1", "SELECT pg_sleep(5)"), "ended what took too long", "held it up"),
        (("SELECT pg_terminate_backend(pg_backend_pid())",), "was stopped", "start it"),
        (("SELECT 1/0",), "cannot be used", "its own log"),
    ],
)
def test_why_postgresql_refuses_a_statement(
    guarded: PostgresServer, statements: tuple[str, ...], what: str, mend: str
) -> None:
    trouble = database_trouble(database_error(guarded.url, *statements))
    assert (trouble.what.startswith(what), mend in trouble.mend) == (True, True), trouble


def test_words_in_another_language_are_shown_with_the_general_mend() -> None:
    words = 'connection to server on socket "/s" failed: FATAL:  Rolle »x« existiert nicht'
    trouble = database_trouble(DBAPIError("", {}, Exception(words)))
    assert (trouble.what, trouble.words) == ("refuses the connection", words)


def test_a_database_that_is_not_there() -> None:
    trouble = database_trouble(database_error("postgresql+psycopg://u:p@127.0.0.1:1/x"))
    assert (trouble.what, "start it" in trouble.mend) == ("is away", True)
    assert database_trouble(PoolTimeout("QueuePool limit")).what == "has no connection left for this process"


def test_what_becomes_of_a_sqlite_file(tmp_path: Path) -> None:
    def what(name: str, *statements: str) -> str:
        return database_trouble(database_error(f"sqlite:///{tmp_path}/{name}", *statements)).what

    (tmp_path / "text").write_text("no database at all, and long enough to be looked at\n" * 50)
    assert what("text", "SELECT 1 FROM x") == "is no database"
    assert what("none/at/all") == "cannot be opened"
    assert what("one?mode=ro&uri=true", "PRAGMA query_only = on", "CREATE TABLE x (y)") == "takes no writes"
    assert what("small", "PRAGMA max_page_count = 1", "CREATE TABLE x (y)") == "has no room left on its disk"
    with sqlite3.connect(tmp_path / "held", isolation_level=None) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert what("held?timeout=0", "SELECT 1 FROM x") == "is held by another process"
    holder.close()


@pytest.fixture
def redis(_redis_program: str) -> Iterator[RedisServer]:
    """A server of the test's own, which it may spoil."""
    server = RedisServer(_redis_program)
    yield server
    # One that cannot save does not stop when it is asked to.
    server.kill()
    server.close()


def url_of(server: RedisServer, user: str) -> str:
    return server.url.replace("redis://", f"redis://{user}@")


def redis_error(url: str) -> RedisError:
    try:
        with Redis.from_url(url) as client:
            client.get("a")
            client.set("a", "b")
    except RedisError as exc:
        return exc
    raise AssertionError("nothing was refused")


def broker_error(url: str) -> Exception:
    # 6 s otherwise, where the server answers no connection well.
    once = {"max_retries": 1, "interval_start": 0, "interval_step": 0}
    try:
        with Broker(url, transport_options=once) as broker:
            client = broker.default_channel.client
            client.get("a")
            client.set("a", "b")
    except (BrokerError, RedisError) as exc:
        return exc
    raise AssertionError("nothing was refused")


def spoil(server: RedisServer, how: str) -> str:
    """Have the server answer with an error; returns the URL to ask."""
    with Redis.from_url(server.url) as admin:
        if how == "NOPERM":
            admin.acl_setuser("small", enabled=True, passwords=["+pw"], categories=["+@all"], keys=["other"])
            return url_of(server, "small:pw")
        if how in ("NOAUTH", "WRONGPASS"):
            admin.config_set("requirepass", "right")
            return server.url if how == "NOAUTH" else url_of(server, ":wrong")
        if how in ("READONLY", "MASTERDOWN"):
            admin.config_set("replica-serve-stale-data", "no" if how == "MASTERDOWN" else "yes")
            admin.replicaof("127.0.0.1", "1")
        if how == "OOM":
            admin.config_set("maxmemory", 1)
        if how == "MISCONF":
            admin.config_set("save", "3600 1")
            shutil.rmtree(server.folder)
            admin.bgsave()
            eventually(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")
        return server.url


REDIS = [
    ("NOPERM", "does not give its user a right", "ACL SETUSER"),
    ("NOAUTH", "asks for a password", "redis://:PASSWORD@HOST"),
    ("WRONGPASS", "refuses the user or the password", "redis://USER:PASSWORD@HOST"),
    ("READONLY", "is a replica", "the master in REDIS_URL"),
    ("MASTERDOWN", "is a replica that has lost its master", "start the master"),
    ("OOM", "has no memory left", "raise maxmemory"),
    ("MISCONF", "takes no writes: it cannot save", "make room there"),
]


@pytest.mark.parametrize(("how", "what", "mend"), REDIS, ids=[how for how, _, _ in REDIS])
def test_why_redis_refuses(redis: RedisServer, how: str, what: str, mend: str) -> None:
    url = spoil(redis, how)
    trouble = redis_trouble(redis_error(url))
    assert (trouble.what.startswith(what), mend in trouble.mend) == (True, True), trouble
    assert how in trouble.words
    broken = broker_error(url)
    assert redis_trouble(broken).what == trouble.what
    failure = failure_of(broken)
    assert (failure and failure.status, str(failure)) == (3, f"Redis {redis_trouble(broken)}")


@pytest.mark.parametrize("taken", ["-xadd", "resetkeys", "resetchannels"])
def test_a_script_that_is_refused_a_right_names_it_too(redis: RedisServer, taken: str) -> None:
    with Redis.from_url(redis.url) as admin:
        admin.execute_command("ACL", "SETUSER", "small", "on", ">pw", "~*", "&*", "+@all", taken)
    script = "redis.call('XADD', KEYS[1], '*', 'a', 'b') redis.call('PUBLISH', 'a', 'b') redis.call('GET', 'other')"
    with Redis.from_url(url_of(redis, "small:pw")) as client, pytest.raises(RedisError) as caught:
        client.eval(script if taken != "resetkeys" else "redis.call('GET', 'other')", int(taken != "resetkeys"), "a")
    assert redis_trouble(caught.value).what == "does not give its user a right that is needed"


def test_the_same_in_a_pipeline_without_what_was_written(redis: RedisServer) -> None:
    with Redis.from_url(spoil(redis, "MISCONF")) as client, pytest.raises(RedisError) as caught:
        client.pipeline(transaction=False).set("a", "what was written").execute()
    assert redis_trouble(caught.value).what == "takes no writes: it cannot save to its disk"
    assert "what was written" not in explained(caught.value)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("LOADING Redis is loading the dataset in memory", "is loading its data"),
        ("UNBLOCKED force unblock from blocking operation", "was given another role"),
        ("CLUSTERDOWN The cluster is down", "is a Redis Cluster"),
        ("MOVED 3999 127.0.0.1:6381", "is a Redis Cluster"),
        ("ERR AUTH <password> called without any password configured for the default user", "refuses the user"),
        ("ERR The user executing the script can't run this command or subcommand script: 1", "does not give its user"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "is held up by a"),
        (
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "has something else under a name of ours",
        ),
        ("ERR max number of clients reached", "has no connection left"),
        ("ERR DB index is out of range", "has no such database"),
        ("ERR unknown command 'EVALSHA', with args beginning with: 'a'", "does not know a command"),
        ("ERR syntax error", "cannot be used"),
    ],
)
def test_answers_that_no_test_can_have_of_a_server(answer: str, what: str) -> None:
    assert redis_trouble(BaseParser.parse_error(answer)).what.startswith(what)


def test_a_redis_that_is_not_there_and_what_is_no_word_of_its_own() -> None:
    trouble = redis_trouble(redis_error("redis://127.0.0.1:1/0"))
    assert (trouble.what, "rediss://" in trouble.mend) == ("is away", True)
    assert redis_trouble(TypeError("a bug")).what == "cannot be used"


@pytest.mark.parametrize("ask", [lambda one: one.write(), lambda one: one.read()])
def test_a_log_line_tells_the_database_from_redis(ask: Callable[[SqlDatabase], object]) -> None:
    database = SqlDatabase("postgresql+psycopg://u:p@127.0.0.1:1/x")
    with pytest.raises(SQLAlchemyError) as caught, ask(database):  # type: ignore[attr-defined]
        pass
    assert "or mend DATABASE_URL" in explained(caught.value)
    assert "or mend REDIS_URL" in explained(redis_error("redis://127.0.0.1:1/0"))
