import pytest

from tests.servers import RedisServer
from tests.servers.proxy import RedisProxy
from workers.fleet import FleetError, listening, wait_for


def test_nobody_answers_where_no_worker_runs(redis_server: RedisServer) -> None:
    assert listening(redis_server.url, timeout=0.2) == {}
    assert not wait_for(redis_server.url, ["worker@here"], 0.3)


def test_a_broker_that_was_started_again_since_the_last_time_answers(redis_server: RedisServer) -> None:
    assert listening(redis_server.url, timeout=0.2) == {}
    redis_server.kill()
    redis_server.restart()
    assert listening(redis_server.url, timeout=0.2) == {}


@pytest.mark.timeout(60)
def test_a_broker_that_is_away_is_told_at_once() -> None:
    with pytest.raises(FleetError):
        listening("redis://127.0.0.1:1/0", timeout=0.2)
    assert not wait_for("redis://127.0.0.1:1/0", ["worker@here"], 0.3)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", [b"PUBLISH", b"BRPOP"])
def test_a_broker_that_goes_away_meanwhile_is_told_at_once(redis_server: RedisServer, command: bytes) -> None:
    proxy = RedisProxy(redis_server.url, command)
    with pytest.raises(FleetError):
        listening(proxy.url, timeout=0.5)
