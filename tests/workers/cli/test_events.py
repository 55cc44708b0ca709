"""`events replay` and `events tail`, on a real Redis."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from select import select as poll
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select, update

from schemas.events import STREAM
from schemas.status import Status
from schemas.tables.purchases import EVENT
from tests.servers import RedisServer
from tests.waiting import PATIENCE
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from workers.views.desk import Desk

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def kept(
    both: Cli, desk: Desk, home: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """What was published: an order's acceptance, and three purchases that ended."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    both.submit(simple_file(home, 3))
    for number, status in zip(NUMBERS, (Status.PURCHASED, Status.FAILED, Status.HELD), strict=False):
        settle(desk, number, status)
    with desk.runtime.database.write() as conn:
        conn.execute(update(EVENT).values(published_at=desk.runtime.now()))
        return [dict(row) for row in conn.execute(select(EVENT).order_by(EVENT.c.seq)).mappings()]


def stream(server: RedisServer) -> list[dict[str, Any]]:
    with Redis.from_url(server.url) as client:
        return [json.loads(fields[b"event"]) for _, fields in client.xrange(STREAM)]


def test_kept_events_go_out_again_with_their_ids(both: Cli, kept: Any, redis_server: RedisServer) -> None:
    found = both.json("events", "replay", "--since", "1h")
    assert found["replayed"] == len(kept) == 4
    assert [event["id"] for event in stream(redis_server)] == [row["id"] for row in kept]
    assert "4 events sent again." in both.ok("events", "replay", "--since", "1h")
    assert len(stream(redis_server)) == 8


def test_a_selection(both: Cli, desk: Desk, kept: Any, redis_server: RedisServer) -> None:
    def sent(*arguments: str) -> int:
        return int(both.json("events", "replay", *arguments)["replayed"])

    now = desk.runtime.now()
    assert sent("--since", "1h", "--type", "purchase.failed", "--type", "dialstock.purchase.held") == 2
    assert sent("--since", "1h", "--subject", NUMBERS[0]) == 1
    assert sent("--since", "2d", "--until", "1d") == 0
    assert sent("--since", (now - timedelta(hours=1)).isoformat()) == 4
    assert sent("--since", f"{now - timedelta(hours=1):%Y-%m-%dT%H:%MZ}") == 4
    # a time without a zone is UTC
    assert sent("--since", f"{now - timedelta(minutes=30):%Y-%m-%d %H:%M}") == 4
    assert sent("--since", f"{now + timedelta(minutes=30):%Y-%m-%d %H:%M}") == 0


def test_a_time_before_the_retention_is_told(both: Cli, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "may be gone" not in both.ok("events", "replay", "--since", "1h")
    monkeypatch.setenv("DIALSTOCK_EVENT_RETENTION", "30m")
    assert "Events from before the time for which they are kept may be gone" in both.ok(
        "events", "replay", "--since", "1h"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--since"),
        (["--since", "yesterday"], "--since 'yesterday' is no time: write a time like"),
        (["--since", "1h", "--until", "soon"], "--until 'soon' is no time"),
        (["--since", "1h", "--until", "2h"], "--until '2h' is not after --since '1h'"),
        (["--since", "1h", "--type", "purchase.hled"], "is no type of event: did you mean 'purchase.held'?"),
        (["--since", "9999d"], "is no time"),
    ],
)
def test_wrong_use_sends_nothing(
    both: Cli, kept: Any, redis_server: RedisServer, arguments: list[str], message: str
) -> None:
    assert message in both.refused("events", "replay", *arguments)
    assert stream(redis_server) == []


def test_wrong_settings_are_wrong_use(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALSTOCK_EVENT_RETENTION", "a week")
    assert "DIALSTOCK_EVENT_RETENTION: 'a week' is no duration" in cli.refused("events", "replay", "--since", "1h")


@pytest.mark.parametrize("json_wanted", [True, False])
def test_tail_shows_what_comes_and_ends_with_130(
    cli: Cli, start: Start, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, json_wanted: bool
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    event = {"id": "1", "type": "dialstock.provider.paused", "time": "2026-01-01T00:00:00Z", "source": "/dialstock/x"}
    text = json.dumps({**event, "data": {"provider": "acme", "reason": "HTTP 401"}})
    with Redis.from_url(redis_server.url) as client:
        client.xadd(STREAM, {"event": json.dumps({**event, "id": "0", "data": {}})})
        process = start("events", "tail", *(["--json"] if json_wanted else []))
        assert process.stdout is not None
        # what comes after it listens is shown: so send until it shows something
        while not readable(process):
            client.xadd(STREAM, {"event": text})
        line = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    in_words = f"2026-01-01T00:00:00Z  {'dialstock.provider.paused':<32}  {'':<16}  acme  reason HTTP 401"
    assert line.rstrip("\n") == (text if json_wanted else in_words)


def readable(process: subprocess.Popen[str]) -> bool:
    return bool(poll([process.stdout], [], [], 0.2)[0])
