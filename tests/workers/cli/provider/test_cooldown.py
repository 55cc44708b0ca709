"""The cool-down that a provider asked for: shown by `provider list`, and ended by `provider resume`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from tasks.policies.pace import Lane, Pace, buying_lane, looking_lane
from tasks.providers.configured import sandbox_config
from tests.servers import RedisServer
from tests.workers.cli.running import Cli

BIRD = sandbox_config().providers["bird"]
BUYING, LOOKING = buying_lane(BIRD.account, BIRD.policy), looking_lane(BIRD.account, BIRD.policy)
DAY = 86_400.0


@pytest.fixture
def pace(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pace]:
    """The workers' pace, in the Redis that the command line asks."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    with Redis.from_url(redis_server.url) as client:
        yield Pace(client)


def listed(cli: Cli, alias: str = "bird") -> dict[str, Any]:
    return next(row for row in cli.json("provider", "list") if row["provider"] == alias)


@pytest.mark.parametrize(
    ("lane", "key", "other", "words"),
    [
        (BUYING, "no_purchases_until", "no_lookups_until", "no purchases until"),
        (LOOKING, "no_lookups_until", "no_purchases_until", "no look-ups until"),
    ],
)
def test_the_list_tells_which_calls_wait_until_when(
    cli: Cli, pace: Pace, lane: Lane, key: str, other: str, words: str
) -> None:
    pace.penalise(lane, DAY)
    row = listed(cli)
    until = datetime.fromisoformat(row[key])
    assert abs(until - datetime.now(UTC) - timedelta(seconds=DAY)) < timedelta(minutes=1)
    assert row[other] is None
    assert row["state"] == f"asked to slow down: {words} {until:%Y-%m-%d %H:%M:%S}Z"
    assert "asked to slow down" in " ".join(cli.ok("provider", "list").split())
    assert listed(cli, "vogent")["state"] == "open"


def test_the_list_tells_of_a_pause_and_a_cool_down_at_once(cli: Cli, pace: Pace) -> None:
    cli.ok("provider", "pause", "bird", "--reason", "moving")
    pace.penalise(BUYING, DAY)
    state = listed(cli)["state"]
    assert state.startswith("paused since")
    assert "; asked to slow down: no purchases until" in state


def test_resume_lifts_the_cool_down_of_both_kinds_of_calls(cli: Cli, pace: Pace) -> None:
    pace.penalise(BUYING, DAY)
    pace.penalise(LOOKING, DAY)
    told = cli.ok("provider", "resume", "bird")
    assert "bird goes on." in told
    assert "asked to slow down: that is lifted" in told
    assert (pace.cools_for(BUYING), pace.cools_for(LOOKING)) == (0.0, 0.0)
    assert listed(cli)["state"] == "open"


def test_resume_tells_what_it_ended(cli: Cli, pace: Pace) -> None:
    cli.ok("provider", "pause", "bird", "--reason", "moving")
    pace.penalise(LOOKING, DAY)
    first, second = cli.json("provider", "resume", "bird"), cli.json("provider", "resume", "bird")
    assert (first["was_paused"], first["was_cooling"]) == (True, True)
    assert (second["was_paused"], second["was_cooling"]) == (False, False)
    assert cli.ok("provider", "resume", "bird") == "bird was not paused: nothing was done.\n"


def test_without_redis_the_list_is_as_ever_and_resume_says_so(
    cli: Cli, pace: Pace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace.penalise(BUYING, DAY)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert listed(cli)["state"] == "open"
    assert "Redis cannot be asked" in cli.ok("provider", "resume", "bird")
    assert cli.json("provider", "resume", "bird")["was_cooling"] is None
    assert pace.cools_for(BUYING) > 0.0
