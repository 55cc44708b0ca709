"""Which server is the master: found by any sentinel, followed to another, and left where it takes writes yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.policies.pace import HORIZON, Lane, Pace
from tests.servers import Sentinels
from tests.servers.redis import free_port
from tests.waiting import at_once, eventually, fair_clock
from workers.cli.doctor import servers
from workers.cli.doctor.findings import Level
from workers.cli.doctor.sentinels import sentinels as sentinels_of
from workers.health import Away, redis_info
from workers.redis_access.client import connect_redis
from workers.redis_access.master import OVERLAP, Master
from workers.redis_access.sentinel_url import parse


@pytest.fixture
def sentinels(_redis_program: str) -> Iterator[Sentinels]:
    with Sentinels(_redis_program) as found:
        yield found


@pytest.fixture(scope="module")
def lasting(_redis_program: str) -> Iterator[Sentinels]:
    """For tests that change nothing."""
    with Sentinels(_redis_program) as found:
        yield found


def test_a_demoted_master_is_left_though_it_takes_writes_yet(sentinels: Sentinels) -> None:
    """By a connection that nothing breaks, and before a new master gives the first slot."""
    old, new = (Sentinels.place_of(server)[1] for server in (sentinels.master, sentinels.replica))
    with connect_redis(sentinels.url) as client:
        held = client.client()
        assert held.info("server")["tcp_port"] == old
        sentinels.fail_over()
        with connect_redis(sentinels.replica.url) as replica:
            eventually(lambda: replica.info("replication")["role"] == "master", what="the replica is promoted")
        with fair_clock() as clock:
            eventually(lambda: held.info("server")["tcp_port"] == new, what="it goes on at the new master")
            assert clock() < OVERLAP
        with connect_redis(sentinels.master.url) as demoted:
            assert demoted.info("replication")["role"] == "master"
        held.close()


def test_a_master_that_says_it_takes_no_writes_is_left(sentinels: Sentinels) -> None:
    with connect_redis(sentinels.url) as client:
        assert client.set("a", 1)
        with connect_redis(sentinels.master.url) as admin:
            admin.execute_command("REPLICAOF", *Sentinels.place_of(sentinels.replica))
        with pytest.raises(RedisConnectionError, match="was the master, and is a replica now"):
            client.set("a", 2)


def test_one_sentinel_that_answers_is_enough(lasting: Sentinels) -> None:
    nobody = ",".join(f"127.0.0.1:{free_port()}" for _ in range(2))
    with connect_redis(lasting.url.replace("sentinel://", f"sentinel://{nobody},")) as client:
        assert client.ping()


def test_the_newest_configuration_is_right(sentinels: Sentinels, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentinel that was cut off names the old one."""
    master = Master(parse(sentinels.url))
    old, new = (Sentinels.place_of(server) for server in (sentinels.master, sentinels.replica))
    assert master.find() == old
    stale = [{**one.sentinel_master("ours"), "config-epoch": 0} for one in master._sentinels[1:]]
    sentinels.fail_over()
    sentinels.wait_until_switched()
    for sentinel, state in zip(master._sentinels[1:], stale, strict=True):
        monkeypatch.setattr(sentinel, "sentinel_master", lambda _, state=state: state)
    eventually(lambda: master.find() == new, what="the new one is found")
    assert master.has_left(old)
    assert not master.has_left(new)


def test_threads_that_need_it_together_ask_once(lasting: Sentinels, monkeypatch: pytest.MonkeyPatch) -> None:
    master, asked = Master(parse(lasting.url)), []
    ask = Master._ask
    monkeypatch.setattr(Master, "_ask", lambda self: (asked.append(1), ask(self))[1])
    # a busy machine may wake the last of them seconds after the first
    monkeypatch.setattr("workers.redis_access.master.FRESH", 600.0)
    at_once(*[master.find for _ in range(20)])
    assert len(asked) == 1


def test_why_there_is_none(lasting: Sentinels) -> None:
    host, nobody, guarded = lasting.places[0][1], free_port(), lasting.start_sentinel("requirepass hush")
    for rest, told in {
        f"{host}/theirs/0": "has no master of that name .*: write it in REDIS_URL as the sentinels have it",
        f"{nobody}/ours/0": "is away .*no sentinel answers: 127.0.0.1.*: start its sentinels, or mend their",
        f"{guarded}/ours/0": "is behind sentinels that ask for a password .*: write it in REDIS_URL: .*sentinel_pass",
        f"{guarded}/ours/0?sentinel_password=wrong": "is behind sentinels that ask for a password",
    }.items():
        with pytest.raises(Away, match=told):
            redis_info(f"sentinel://127.0.0.1:{rest}")
    assert redis_info(f"sentinel://127.0.0.1:{guarded}/ours/0?sentinel_password=hush")["role"] == "master"


def test_a_new_lane_waits_for_what_two_masters_may_have_given(lasting: Sentinels) -> None:
    lane = Lane(key="lane", windows=((1000, 1),))
    for url, wait in ((lasting.master.url, HORIZON), (lasting.url, HORIZON + OVERLAP)):
        with connect_redis(url) as client:
            assert Pace(client).next_in(lane) == pytest.approx(wait, abs=0.5)
            client.flushall()


def test_what_the_doctor_says(lasting: Sentinels) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    [found, silent] = servers.redis(lasting.url.replace("sentinel://", f"sentinel://{nobody},"))
    assert (found.level, silent.level) == (Level.OK, Level.WARN)
    assert f"the sentinel {nobody} is of no use: Error 111" in silent.message
    for info, told in (
        ({"connected_slaves": 0}, ["no replica that could take over"]),
        ({"connected_slaves": 2}, ["cut off from its sentinels goes on as one"]),
        ({"connected_slaves": 2, "min_slaves_good_slaves": 2}, []),
    ):
        said = [one.message for one in sentinels_of(lasting.url, info)]
        assert len(said) == len(told)
        assert all(word in one for word, one in zip(told, said, strict=True))
