"""`number search`, against the sandbox."""

import json

import pytest

from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests.workers.cli.running import Cli, counted
from workers.cli.terminal.context import open_desk


@pytest.mark.parametrize("provider", [name for name, kind in kinds().items() if kind.searches])
def test_what_is_for_sale(cli: Cli, sandbox: SandboxServer, provider: str) -> None:
    found = cli.json("number", "search", "--provider", provider, "--prefix", "415", "--limit", "3")
    assert len(found) == 3
    assert all(one["number"].startswith("+1415") and one["provider"] == provider for one in found)
    assert found[0]["number"] in cli.ok("number", "search", "--provider", provider, "--prefix", "415")


def test_csv_can_be_submitted(cli: Cli, sandbox: SandboxServer) -> None:
    text = cli.ok("number", "search", "--provider", "signalwire", "--limit", "4", "--csv")
    assert text.splitlines()[0] == "number,provider"
    assert cli.json("order", "submit", "-", input=text)["lines"] == 4
    with open_desk() as desk:
        assert counted(desk) == (1, 4, 4)


def test_nothing_for_sale_is_no_failure(cli: Cli, sandbox: SandboxServer) -> None:
    sandbox.control.stock("vogent", [])
    result = cli("number", "search", "--provider", "vogent", "--prefix", "415", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert "shows no such number" in result.stderr


def test_a_provider_that_has_no_search(cli: Cli, sandbox: SandboxServer) -> None:
    assert "TimePay documents no search" in cli.refused("number", "search", "--provider", "timepay")


def test_a_provider_that_refuses(cli: Cli, sandbox: SandboxServer) -> None:
    sandbox.control.plan("vogent", "account", on="read")
    told = cli.refused("number", "search", "--provider", "vogent", "--prefix", "415", status=1)
    assert "vogent: Vogent refused the account" in told


def test_a_missing_secret(cli: Cli, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDBOX_TOKEN")
    told = cli.refused("number", "search", "--provider", "vogent")
    assert "environment variable SANDBOX_TOKEN is not set or empty" in told
