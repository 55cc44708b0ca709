"""What nobody notices by itself: a dead beat, wrong tokens, rows at a provider that was removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import insert, update

from schemas.status import Status
from schemas.tables.processes import PROCESS
from schemas.tables.purchases import PROVIDER, PURCHASE
from tasks.lifecycle.outbox_relay import LEASE_KEY
from tasks.processes import BEAT, Process, write_down
from tasks.redis_keys import BEAT_KEY
from tasks.sandbox import SandboxServer
from tests.servers import RedisServer
from tests.waiting import eventually
from tests.workers.cli.commands import Running, environment
from tests.workers.cli.running import NUMBERS, Cli, sandbox_config_text, settle, simple_file
from workers.cli.doctor.tokens import MOST
from workers.views.desk import Desk

POOL = """
[pools.support]
providers = ["signalwire"]
country = "US"
prefix = "415"
low = 3
target = 4
daily_limit = 9
"""


def told(cli: Cli, name: str) -> list[tuple[str, str, str | None]]:
    checks = json.loads(cli("doctor", "--json").stdout)["checks"]
    return [(one["level"], one["message"], one["mend"]) for one in checks if one["name"] == name]


@pytest.fixture
def server(cli: Cli, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    with Redis.from_url(redis_server.url) as client:
        yield client


def test_a_beat_that_is_missed(cli: Cli, server: Redis, sandbox: SandboxServer) -> None:
    [(level, message, mend)] = told(cli, "beat")
    assert (level, "no beat seems to be running" in message, "dialstock beat" in str(mend)) == ("warn", True, True)
    server.set(LEASE_KEY, "a worker's relay")
    [(level, _, mend)] = told(cli, "beat")
    assert (level, cli("doctor").exit_code) == ("fail", 1)
    server.set(BEAT_KEY, "now")
    assert told(cli, "beat") == [("ok", "one sends what is due", None)]


def test_a_beat_that_has_just_started_is_not_missed(
    cli: Cli, server: Redis, desk: Desk, sandbox: SandboxServer
) -> None:
    server.set(LEASE_KEY, "a worker's relay")
    beat = Process(role=BEAT)

    def seen(since: timedelta) -> list[tuple[str, str, str | None]]:
        now = desk.runtime.now()
        with desk.runtime.database.write() as conn:
            write_down(conn, beat, "1", None, now)
            conn.execute(update(PROCESS).values(since=now - since))
        return told(cli, "beat")

    [(level, message, _)] = seen(timedelta(seconds=20))
    assert (level, message) == ("ok", "one has just started, and sends what is due within minutes")
    assert [level for level, _, _ in seen(timedelta(hours=1))] == ["fail"]


def test_pools_say_that_nobody_fills_them(cli: Cli, server: Redis, home: Path, sandbox: SandboxServer) -> None:
    (home / "providers.toml").write_text(sandbox_config_text(sandbox.url) + POOL)
    for command in (("pool", "list"), ("pool", "show", "support")):
        assert "no beat seems to be running" in cli(*command).stderr
    server.set(BEAT_KEY, "now")
    for command in (("pool", "list"), ("pool", "show", "support")):
        assert "no beat" not in cli(*command).stderr


def test_a_real_beat_gives_its_sign(
    cli: Cli, server: Redis, home: Path, sandbox: SandboxServer, redis_server: RedisServer, sqlite_url: str
) -> None:
    (home / "providers.toml").write_text(sandbox_config_text(sandbox.url) + POOL)
    urls = {"REDIS_URL": redis_server.url, "DATABASE_URL": sqlite_url, "SANDBOX_TOKEN": "sandbox"}
    with Running("beat", cwd=home, environ=environment(home / "home", **urls)):
        eventually(lambda: server.exists(BEAT_KEY))
        assert 0 < server.pttl(BEAT_KEY) <= 30_000


@pytest.mark.parametrize("answer", ["right", "wrong", "away"])
def test_tokens_are_tried(
    cli: Cli, home: Path, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    if answer == "wrong":
        monkeypatch.setenv("SANDBOX_TOKEN", "s3cr3t-and-wrong")
    if answer == "away":
        (home / "providers.toml").write_text(sandbox_config_text("http://127.0.0.1:1"))
    found = told(cli, "tokens")
    levels = {level for level, _, _ in found}
    assert levels == {{"right": "ok", "wrong": "fail", "away": "warn"}[answer]}, found
    result = cli("doctor")
    assert result.exit_code == (1 if answer == "wrong" else 0), result.stdout
    assert "s3cr3t" not in result.output
    if answer == "wrong":
        assert any("dialstock provider check bird" in str(mend) for _, _, mend in found)


def test_a_low_balance_is_no_doubt_about_the_token(cli: Cli, home: Path, sandbox: SandboxServer) -> None:
    text = sandbox_config_text(sandbox.url)
    low = text.replace("[providers.twilio]", '[providers.twilio]\nlow_balance = "5000.00 USD"')
    (home / "providers.toml").write_text(low)
    [(level, message, mend)] = told(cli, "balance")
    assert (level, "pay in" in message, mend) == ("warn", True, "then see: dialstock provider check twilio")
    assert [level for level, _, _ in told(cli, "tokens")] == ["ok"]


def test_of_a_thousand_tokens_some_are_tried_and_the_others_are_told(
    cli: Cli, home: Path, sandbox: SandboxServer
) -> None:
    section = (
        '[providers.a{0}]\nkind = "signalwire"\nbase_url = "http://127.0.0.1:1"\ntoken_env = "SANDBOX_TOKEN"\n'
        'project_id = "p{0}"\n'
    )
    (home / "providers.toml").write_text("".join(section.format(place) for place in range(1_000)))
    *asked, (level, message, mend) = told(cli, "tokens")
    assert {message.partition(":")[0] for _, message, _ in asked} < {f"a{place}" for place in range(1_000)}
    assert len({message.partition(":")[0] for _, message, _ in asked}) == MOST
    assert (level, message) == ("warn", "950 of 1,000 providers were not asked whether they take their tokens")
    assert "dialstock provider check" in str(mend)


def test_what_a_removed_provider_leaves_behind(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 3, "bird"))
    settle(desk, NUMBERS[0], Status.HELD)
    settle(desk, NUMBERS[1], Status.PURCHASED)
    pause(desk, "bird")
    text = (home / "providers.toml").read_text()
    kept = [part for part in text.split("\n\n") if 'kind = "bird"' not in part and "providers.bird" not in part]
    (home / "providers.toml").write_text("\n\n".join(kept))
    [(level, message, _)] = told(both, "accounts")
    assert (level, "1 purchases wait under bird" in message) == ("fail", True)
    assert both("doctor").exit_code == 1
    # No command would have a provider go on that the file does not have.
    assert told(both, "providers") == [("ok", "none is paused", None)]
    both.ok("purchase", "cancel", NUMBERS[2])
    [(level, message, mend)] = told(both, "accounts")
    assert (level, message) == ("fail", "1 purchases are held under bird, which the file does not have")
    assert "dialstock purchase resolve --where provider=bird" in str(mend)
    both.ok("purchase", "resolve", "--where", "provider=bird", "--fail")
    assert [level for level, _, _ in told(both, "accounts")] == ["ok"]


def pause(desk: Desk, alias: str) -> None:
    now = desk.runtime.now()
    state: dict[str, Any] = {"paused_at": now - timedelta(hours=1), "reason": "402", "cause": "account"}
    with desk.runtime.database.write() as conn:
        changed = conn.execute(update(PROVIDER).where(PROVIDER.c.provider == alias).values(**state))
        if not changed.rowcount:
            conn.execute(insert(PROVIDER).values(provider=alias, updated_at=now, **state))


def test_nothing_of_that_is_told_where_all_is_well(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 1))
    with desk.runtime.database.read() as conn:
        assert conn.execute(PURCHASE.select()).first() is not None
    assert [level for level, _, _ in told(cli, "accounts")] == ["ok"]
