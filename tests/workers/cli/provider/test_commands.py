"""`provider list`, `check`, `pause`, `resume`."""

from pathlib import Path

import pytest

from schemas.status import Status
from tasks.ledger.queue import pausing
from tasks.policies.pause import Cause, Pause
from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests.workers.cli.running import NUMBERS, Cli, settle, simple_file
from workers.views.desk import Desk


def named(cli: Cli, alias: str) -> dict[str, object]:
    return next(row for row in cli.json("provider", "list") if row["provider"] == alias)


def test_list_tells_account_pace_and_what_is_under_way(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 5, "signalwire"))
    settle(desk, NUMBERS[0], Status.HELD)
    settle(desk, NUMBERS[1], Status.UNKNOWN)
    settle(desk, NUMBERS[2], Status.PURCHASING)
    row = named(both, "signalwire")
    assert (row["queued"], row["in flight"], row["in doubt"], row["held"]) == (2, 1, 1, 1)
    assert row["limits"] == "1300/second, 13800/10 seconds, 1,000 in 24 h"
    assert row["account"] == "sandbox:signalwire|sandbox-project"
    assert "sandbox-project" in both.ok("provider", "list")


def test_list_shows_no_secret(cli: Cli, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_TOKEN", "s3cr3t-token")
    assert "s3cr3t-token" not in cli.ok("provider", "list") + cli.ok("provider", "list", "--json")


def test_a_person_pauses_and_resumes(both: Cli, desk: Desk) -> None:
    told = both.json("provider", "pause", "bird", "--reason", "moving [b]accounts[/b]")
    assert (told["paused"], told["was_paused"]) == (True, False)
    row = named(both, "bird")
    assert (row["pause_cause"], row["pause_reason"], row["probe_at"]) == ("person", "moving [b]accounts[/b]", None)
    assert "moving [b]accounts[/b]; until `dialstock provider resume bird`" in both.ok("provider", "list")
    assert both.json("provider", "pause", "bird", "--reason", "still")["was_paused"] is True
    assert "bird goes on." in both.ok("provider", "resume", "bird")
    assert named(both, "bird")["paused_at"] is None
    assert both.json("provider", "resume", "bird")["was_paused"] is False


def test_a_person_ends_the_machines_pause(cli: Cli, desk: Desk) -> None:
    with desk.runtime.database.write() as conn:
        pausing.pause(conn, "bird", Pause(cause=Cause.ACCOUNT, reason="402", cooldown=60), desk.runtime.now())
    assert "(account): 402; one purchase may try again" in str(named(cli, "bird")["state"])
    cli.ok("provider", "resume", "bird")
    assert named(cli, "bird")["state"] == "open"


def test_why_a_provider_goes_on_is_shown(cli: Cli) -> None:
    cli.ok("provider", "pause", "bird", "--reason", "moving")
    assert "bird goes on (moved)." in cli.ok("provider", "resume", "bird", "--reason", "moved")
    assert cli.json("provider", "resume", "bird", "--reason", "again")["reason"] == "again"


@pytest.mark.parametrize("reason", ["  ", "x" * 501, "a\nb"])
def test_a_pause_needs_a_reason(cli: Cli, reason: str) -> None:
    assert "the reason must be one line" in cli.refused("provider", "pause", "bird", "--reason", reason)


def test_check_proves_each_provider(cli: Cli, sandbox: SandboxServer) -> None:
    found = cli.json("provider", "check")
    assert {one["provider"]: one["ok"] for one in found} == dict.fromkeys(kinds(), True)
    assert all(check["ok"] for one in found if one["provider"] != "timepay" for check in one["checks"])
    assert sandbox.control.charges() == []


def test_check_of_one_with_a_wrong_token(cli: Cli, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_TOKEN", "s3cr3t-wrong")
    result = cli("provider", "check", "signalwire", "vogent")
    assert result.exit_code == 1
    assert "signalwire  FAIL  token:" in result.stdout
    assert "bird" not in result.stdout
    assert "s3cr3t" not in result.output


def test_check_of_a_provider_without_a_secret_goes_on_with_the_others(
    cli: Cli, sandbox: SandboxServer, home: Path
) -> None:
    config = home / "providers.toml"
    config.write_text(config.read_text().replace('vogent"\ntoken_env = "SANDBOX_TOKEN"', 'vogent"\ntoken_env = "NONE"'))
    found = {one["provider"]: one for one in cli.json("provider", "check", status=1)}
    assert (
        found["vogent"]["checks"][0]["message"] == "environment variable NONE is not set or empty: put the token there"
    )
    assert found["bird"]["ok"] is True


def test_check_of_a_provider_that_is_away(cli: Cli, sandbox: SandboxServer) -> None:
    sandbox.stop()
    found = cli.json("provider", "check", "bird", status=1)
    assert found[0]["checks"][0]["name"] == "connection"
    assert found[0]["ok"] is False


def test_all_that_are_paused_go_on_at_once(both: Cli, desk: Desk) -> None:
    for alias in ("bird", "timepay"):
        both.ok("provider", "pause", alias, "--reason", "moving")
    told = both.json("provider", "resume", "--all")
    assert {one["provider"]: one["was_paused"] for one in told} == {
        kind: kind in ("bird", "timepay") for kind in kinds()
    }
    assert {row["state"] for row in both.json("provider", "list")} == {"open"}
    assert "No provider was paused" in both.ok("provider", "resume", "--all")


def test_one_that_has_to_stay_paused_keeps_no_other_from_going_on(both: Cli, desk: Desk) -> None:
    behind = Pause(cause=Cause.BEHIND, reason="calls are lost", cooldown=None)
    with desk.runtime.database.write() as conn:
        pausing.pause(conn, "bird", behind, desk.runtime.now())
    both.ok("provider", "pause", "timepay", "--reason", "moving")
    result = both("provider", "resume", "--all")
    assert (result.exit_code, "timepay goes on." in result.stdout) == (1, True)
    assert "bird stays paused: calls are lost. dialstock audit bird --adopt" in result.stderr
    assert (named(both, "bird")["paused_at"] is None, named(both, "timepay")["paused_at"]) == (False, None)


def test_which_provider_goes_on_has_to_be_said(cli: Cli) -> None:
    for arguments in ((), ("bird", "--all")):
        assert "name the provider that goes on, or give --all" in cli.refused("provider", "resume", *arguments)
    told = cli.refused("provider", "resume", "--all", "--lost-history", "--reason", "seen")
    assert "--lost-history is said of one provider" in told
