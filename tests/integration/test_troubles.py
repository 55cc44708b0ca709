"""An order under way, and one server after the other dies, takes no writes, or is full: whatever leads to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from tests.bench.windows import largest
from tests.integration.place import Place
from tests.integration.test_going_back import dialstock, statuses, submit
from tests.servers import PgBouncer, PostgresServer, RedisServer, Sentinels
from tests.waiting import eventually

Numbers = Callable[[int], list[str]]
LIMIT = 10
"""Calls a second."""

WITHIN = 20.0
"""Seconds until workers buy again, once the server can be used."""

_FULL_DISK = """
CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER no_space BEFORE INSERT ON purchase_attempt EXECUTE FUNCTION no_space()
"""


class Led(Place):
    """A deployment that knows only what leads to its servers."""

    reached: dict[str, str]

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, **self.reached}


@dataclass
class Servers:
    """What is behind the two addresses; `sentinels` and `pgbouncer` where they stand between."""

    postgres: PostgresServer
    direct: str
    redis: RedisServer
    pgbouncer: PgBouncer | None
    sentinels: Sentinels | None

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.direct.replace("+psycopg", ""), autocommit=True) as conn:
            conn.execute(statement)

    @property
    def master(self) -> RedisServer:
        """The Redis that takes writes now."""
        if self.sentinels is None:
            return self.redis
        servers = (self.sentinels.master, self.sentinels.replica)
        return next(server for server in servers if role(server) == "master")


def role(server: RedisServer) -> str:
    with Redis.from_url(server.url) as client:
        return str(client.info("replication")["role"])


def database_dies(servers: Servers) -> Callable[[], object]:
    servers.postgres.kill()
    return servers.postgres.restart


def database_is_a_standby(servers: Servers) -> Callable[[], object]:
    servers.postgres.follow_nobody()
    return servers.postgres.lead


def database_is_full(servers: Servers) -> Callable[[], object]:
    servers.sql(_FULL_DISK)
    return lambda: servers.sql("DROP TRIGGER no_space ON purchase_attempt")


def redis_is_full(servers: Servers) -> Callable[[], object]:
    master = servers.master

    def bound(size: int) -> None:
        with Redis.from_url(master.url) as client:
            client.config_set("maxmemory", size)

    bound(1)
    return lambda: bound(0)


def redis_is_a_replica(servers: Servers) -> Callable[[], object]:
    if servers.sentinels is not None:
        servers.sentinels.fail_over()
        return servers.sentinels.wait_until_switched
    with Redis.from_url(servers.redis.url) as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")

    def lead() -> None:
        with Redis.from_url(servers.redis.url) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    return lead


def redis_dies(servers: Servers) -> Callable[[], object]:
    master = servers.master
    master.kill()
    if servers.sentinels is None:
        return master.restart
    other = next(one for one in (servers.sentinels.master, servers.sentinels.replica) if one is not master)
    return lambda: eventually(lambda: role(other) == "master", what="the other is the master")


TROUBLES: dict[Callable[[Servers], Callable[[], object]], str | None] = {
    database_dies: "the database is away",
    database_is_a_standby: "takes no writes",
    database_is_full: "has no room left on its disk",
    redis_is_full: "has no memory left",
    redis_is_a_replica: None,
    redis_dies: None,
}
"""What comes, one after the other, and what a worker's log says of it, where that does not hang on the moment."""


@pytest.fixture(params=["PostgreSQL", "PgBouncer"])
def servers(
    request: pytest.FixtureRequest, postgres_server: PostgresServer, redis_server: RedisServer
) -> Iterator[Servers]:
    with ExitStack() as stack:
        direct = stack.enter_context(postgres_server.database())
        pooler = request.getfixturevalue("pgbouncer") if request.param == "PgBouncer" else None
        yield Servers(postgres_server, direct, redis_server, pooler, None)


@pytest.fixture(params=["Redis", "Sentinel"])
def place(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers, _redis_program: str) -> Iterator[Led]:
    with ExitStack() as stack:
        if request.param == "Sentinel":
            servers.sentinels = stack.enter_context(Sentinels(_redis_program))
            servers.redis = servers.sentinels.master
        led = Led(tmp_path, servers.direct, servers.redis, rate_limits=[f"{LIMIT}/second"])
        led.reached = {"DATABASE_URL": servers.pgbouncer.url(servers.direct) if servers.pgbouncer else servers.direct}
        if servers.sentinels is not None:
            led.reached["REDIS_URL"] = servers.sentinels.url
        yield stack.enter_context(led)


def test_an_order_outlives_all_of_them(place: Led, servers: Servers, numbers: Numbers) -> None:
    workers = list(place.setup("one", "two").worker_cluster)
    wanted = numbers(300)
    submit(place, *wanted, provider="signalwire")
    for trouble, told in TROUBLES.items():
        goes_on(place)
        end = trouble(servers)
        try:
            if told is not None:
                eventually(lambda told=told: any(told in one.logs() for one in workers), what=f"{told!r} is told")  # type: ignore[misc]
            else:
                time.sleep(2.0)
        finally:
            end()
        ended = time.monotonic()
        goes_on(place)
        assert time.monotonic() - ended < WITHIN, trouble.__name__
    eventually(lambda: statuses(place, wanted) == {"purchased": len(wanted)}, what="all are bought")
    assert set(place.charged(wanted).values()) == {1}
    at = sorted(call["monotonic"] for call in place.control.calls("signalwire"))
    assert largest(at, 0.95) <= LIMIT
    assert [one.container.status for one in workers] == ["running", "running"]
    assert dialstock(place, "doctor", "--quick").returncode == 0


def goes_on(place: Place) -> None:
    """Two more calls come."""
    before = len(place.control.calls("signalwire"))
    eventually(lambda: len(place.control.calls("signalwire")) >= before + 2, what="it goes on")
