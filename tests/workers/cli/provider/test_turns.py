"""The calls of `provider check` and `number search` take their turns among the workers' look-ups."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tasks.policies.concurrency import Concurrency, places_of
from tasks.policies.pace import Lane, Pace, looking_lane
from tasks.providers.configured import load_config
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.tasks.pacing import replid
from tests.workers.cli.running import Cli

SEARCH = ("number", "search", "--provider", "vogent", "--prefix", "415")


@pytest.fixture
def pace(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pace]:
    """The workers' pace, in the Redis that the command line asks."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    with Redis.from_url(redis_server.url) as client:
        yield Pace(client)


@pytest.fixture
def lane(sandbox: SandboxServer, home: Path) -> Lane:
    """The lane of Vogent's look-ups."""
    vogent = load_config(home / "providers.toml").providers["vogent"]
    return looking_lane(vogent.account, vogent.policy)


def test_a_search_takes_a_slot_of_the_workers(cli: Cli, pace: Pace, lane: Lane, redis_server: RedisServer) -> None:
    cli.ok(*SEARCH)
    with Redis.from_url(redis_server.url) as client:
        first = float(client.hget(lane.key, "last") or 0)  # type: ignore[arg-type]
        cli.ok(*SEARCH)
        assert float(client.hget(lane.key, "last") or 0) > first > 0  # type: ignore[arg-type]


def test_what_the_provider_asked_to_wait_for_is_waited_for(cli: Cli, pace: Pace, lane: Lane) -> None:
    pace.penalise(lane, 3600.0)
    told = cli.refused(*SEARCH, status=1)
    assert "vogent is at its look-up limit, or asked to slow down: no reading call before 3," in told
    result = cli("provider", "check", "vogent", "--json")
    [line] = json.loads(result.stdout)[0]["checks"]
    assert (result.exit_code, line["name"], line["ok"]) == (1, "connection", False)
    assert line["message"].startswith("not asked: vogent is at its look-up limit")


def test_without_redis_each_call_waits_for_the_lane_s_interval(
    cli: Cli, sandbox: SandboxServer, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("workers.views.providers.asking.time.sleep", slept.append)
    cli.ok("provider", "check", "vogent")
    # Before it connects, and at its gate.
    assert [sum(slept[:2]), sum(slept[2:])] == pytest.approx([lane.interval] * 2)


def test_a_call_takes_a_place_among_all_that_are_under_way(
    cli: Cli, pace: Pace, lane: Lane, home: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "providers.toml"
    head = "[providers.vogent.policy]\n"
    file.write_text(file.read_text().replace(head, f"{head}max_concurrent_calls = 1\n"))
    vogent = load_config(file).providers["vogent"]
    places = places_of(vogent.account, vogent.policy)
    assert places is not None
    with Redis.from_url(redis_server.url) as client:
        client.hset(places.key, mapping={"replid": replid(client), "closed": 0})
        leave = Concurrency(client).take(places, time.monotonic() + 10, time.sleep)
        assert leave is not None
        with monkeypatch.context() as hasty:
            hasty.setattr("tasks.reading_turns.PATIENCE", 0.3)
            assert "vogent is at its look-up limit" in cli.refused(*SEARCH, status=1)
        leave()
        cli.ok(*SEARCH)
        assert client.hlen(places.key) == 2
