"""`number search`, against the sandbox."""

import json
from pathlib import Path

import pytest

from tasks.providers.registry import kinds
from tasks.sandbox import SandboxServer
from tests.workers.cli.running import Cli, counted, purchases
from workers.cli.terminal.context import open_desk
from workers.views.providers.searching import Found, why_no_more


@pytest.mark.parametrize("provider", [name for name, kind in kinds().items() if kind.searches])
def test_what_is_for_sale(cli: Cli, sandbox: SandboxServer, provider: str) -> None:
    found = cli.json("number", "search", "--provider", provider, "--prefix", "415", "--limit", "3")
    assert len(found) == 3
    assert all(one["number"].startswith("+1415") and one["provider"] == provider for one in found)
    assert found[0]["number"] in cli.ok("number", "search", "--provider", provider, "--prefix", "415")


@pytest.mark.parametrize(
    ("provider", "count"), [("bird", 210), ("vonage", 110), ("plivo", 45), ("signalwire", 210), ("vogent", 35)]
)
def test_it_asks_page_by_page_until_it_has_as_many(cli: Cli, sandbox: SandboxServer, provider: str, count: int) -> None:
    found = cli.json("number", "search", "--provider", provider, "--prefix", "415", "--limit", str(count))
    assert len({one["number"] for one in found}) == count
    assert all(one["number"].startswith("+1415") for one in found)


@pytest.mark.parametrize("provider", ["bird", "vonage", "plivo", "vogent"])
def test_it_says_when_there_is_no_more(cli: Cli, sandbox: SandboxServer, provider: str) -> None:
    sandbox.control.stock(provider, [f"+1415555{n:04d}" for n in range(23)])
    result = cli("number", "search", "--provider", provider, "--prefix", "415", "--limit", "30", "--json")
    assert (result.exit_code, len(json.loads(result.stdout))) == (1, 23)
    assert f"{provider} shows 23 such numbers, and no more" in result.stderr


def test_a_search_that_shows_a_part_says_so(cli: Cli, sandbox: SandboxServer) -> None:
    result = cli("number", "search", "--provider", "fluents", "--prefix", "415", "--limit", "200", "--json")
    assert (result.exit_code, len(json.loads(result.stdout))) == (1, 100)
    assert "fluents shows 100 such numbers at once, and may have others" in result.stderr


@pytest.mark.parametrize("name", ["found.csv", "found.xlsx", "found.json", "found.ndjson"])
def test_a_file_can_be_submitted(cli: Cli, sandbox: SandboxServer, home: Path, name: str) -> None:
    path = home / name
    result = cli("number", "search", "--provider", "bird", "--limit", "4", "-o", str(path))
    assert (result.exit_code, result.stdout) == (0, "")
    assert "--overwrite" in cli.refused("number", "search", "--provider", "bird", "-o", str(path))
    assert cli.json("order", "submit", str(path))["lines"] == 4
    with open_desk() as desk:
        assert counted(desk) == (1, 4, 4)
        assert all(row["options"]["stock_item_id"] for row in purchases(desk).values())


def test_a_file_tells_the_price(cli: Cli, sandbox: SandboxServer, home: Path) -> None:
    cli.ok("number", "search", "--provider", "telnyx", "--limit", "1", "-o", str(home / "found.csv"))
    header, row = (home / "found.csv").read_text().splitlines()
    assert header == "number,provider,monthly_price,setup_price,currency"
    assert row.endswith(",telnyx,1.00,1.00,USD")


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


def test_an_answer_that_may_lack_some_says_so() -> None:
    told = why_no_more(Found([], whole=False, flaw="a list that a cache has kept: age 240"), "vogent")
    assert told == (
        "vogent shows 0 such numbers, and may have others, for it answered with a list that a cache has kept: age 240: "
        "search again later"
    )


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
