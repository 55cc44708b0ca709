"""An order under way, and one server after the other dies, hangs, takes no writes, or is full: whatever leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.integration.commands import dialstock, statuses, submit
from tests.integration.place import Place
from tests.servers import PgBouncer, PostgresServer, RedisServer, Sentinels
from tests.waiting import eventually, fair_clock

Numbers = Callable[[int], list[str]]
InASecond = Callable[[Sequence[float]], int]
LIMIT = 10
"""Calls a second."""

WITHIN = 20.0
"""Seconds until workers buy again, once the server can be used: of a machine that has the time."""

LEFT = 150
"""Numbers not bought yet when a trouble begins: however slow this machine is, some are left when it ends."""

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
        both = (self.sentinels.master, self.sentinels.replica)
        # One that comes back believes to be the master still, until a sentinel tells it.
        return eventually(lambda: alone([one for one in both if role(one) == "master"]), what="one is the master")


def alone(servers: list[RedisServer]) -> RedisServer | None:
    return servers[0] if len(servers) == 1 else None


def role(server: RedisServer) -> str | None:
    """None where it does not tell: a sentinel that makes it a replica breaks off its connections."""
    try:
        with Redis.from_url(server.url) as client:
            return str(client.info("replication")["role"])
    except RedisError:
        return None


def database_dies(servers: Servers) -> Callable[[], object]:
    servers.postgres.kill()
    return servers.postgres.restart


def database_hangs(servers: Servers) -> Callable[[], object]:
    return held(servers.postgres.frozen())


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


def redis_hangs(servers: Servers) -> Callable[[], object]:
    return held(servers.master.frozen())


def redis_dies(servers: Servers) -> Callable[[], object]:
    master = servers.master
    master.kill()
    return master.restart


def held(trouble: AbstractContextManager[object]) -> Callable[[], object]:
    """Begun; returns what ends it."""
    stack = ExitStack()
    stack.enter_context(trouble)
    return stack.close


TROUBLES: dict[Callable[[Servers], Callable[[], object]], str] = {
    database_dies: "the database is away",
    database_hangs: "the database does not answer",
    database_is_a_standby: "takes no writes",
    database_is_full: "has no room left on its disk",
    redis_is_full: "has no memory left",
    redis_is_a_replica: "is a replica, which takes no writes",
    redis_hangs: "it does not answer",
    redis_dies: "it is away",
}
"""What comes, one after the other, and what each worker's log says of it; it lasts until both have said so."""

TAKEN_OVER = {redis_is_a_replica, redis_hangs, redis_dies}
"""What sentinels end by themselves, with another master."""


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


def test_an_order_outlives_all_of_them(
    place: Led, servers: Servers, numbers: Numbers, most_in_a_second: InASecond
) -> None:
    workers = list(place.setup("one", "two").worker_cluster)
    wanted: list[str] = []
    for trouble, told in TROUBLES.items():
        wanted += (more := numbers(LEFT - len(wanted) + len(place.charged(wanted))))
        submit(place, *more, provider="signalwire")
        goes_on(place)
        said = [len(one.logs()) for one in workers]
        end = trouble(servers)
        cause = "the master ours is at" if servers.sentinels and trouble in TAKEN_OVER else told
        try:
            eventually(
                lambda said=said, cause=cause: all(  # type: ignore[misc]
                    cause in one.logs()[before:] for one, before in zip(workers, said, strict=True)
                ),
                what=f"both tell of {trouble.__name__}: {cause!r}",
            )
        finally:
            end()
        with fair_clock() as clock:
            goes_on(place)
            assert clock() < WITHIN, trouble.__name__
    eventually(lambda: statuses(place, wanted) == {"purchased": len(wanted)}, what="all are bought")
    assert set(place.charged(wanted).values()) == {1}
    at = sorted(call["monotonic"] for call in place.control.calls("signalwire"))
    assert most_in_a_second(at) <= LIMIT, [f"{one - at[0]:.3f}" for one in at]
    assert [one.container.status for one in workers] == ["running", "running"]
    assert dialstock(place, "doctor", "--quick").returncode == 0


def goes_on(place: Place) -> None:
    """Two more calls come."""
    before = len(place.control.calls("signalwire"))
    eventually(lambda: len(place.control.calls("signalwire")) >= before + 2, what="it goes on")
