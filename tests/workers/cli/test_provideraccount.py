"""`provider move` and `leave`, and what is told of purchases that no worker buys for."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.status import Status
from tests.workers.cli.running import NUMBERS, Cli, purchases, settle, simple_file
from workers.cli.context import Desk, open_desk

FILE = """
[providers.{alias}]
kind = "vogent"
base_url = "{url}"
token_env = "T"
{more}
"""


def configure(home: Path, alias: str = "vogent", url: str = "https://api.vogent.ai", more: str = "") -> None:
    (home / "providers.toml").write_text(FILE.format(alias=alias, url=url, more=more))


@pytest.fixture
def bought(both: Cli, home: Path) -> Cli:
    """Two numbers accepted under the alias vogent, the first of them bought."""
    configure(home)
    both.submit(simple_file(home, 2, "vogent"))
    with open_desk() as desk:
        settle(desk, NUMBERS[0], Status.PURCHASED)
    return both


def accounts_of(desk: Desk) -> set[tuple[str, str]]:
    return {(row["provider"], row["account"]) for row in purchases(desk).values()}


def test_a_gateway_in_front_changes_nothing(bought: Cli, home: Path) -> None:
    configure(home, url="https://gate.example./vogent")
    assert bought.json("buy", NUMBERS[0], "--provider", "vogent")["created"] is False


def test_another_account_is_refused_and_named_anew_by_a_person(bought: Cli, home: Path) -> None:
    configure(home, more='account_id = "acme"')
    told = bought.refused("buy", NUMBERS[0], "--provider", "vogent")
    assert "is the account vogent|acme, and 2 purchases under it are of vogent|@vogent" in told
    assert "dialstock provider move vogent vogent" in told
    assert "no worker starts" in bought("doctor").output
    assert bought.json("provider", "move", "vogent", "vogent") == {
        **{"from": "vogent", "to": "vogent", "moved": 2, "left": []}
    }
    assert bought.json("buy", NUMBERS[0], "--provider", "vogent")["created"] is False


def test_a_renamed_alias_is_told_and_handed_on(bought: Cli, home: Path) -> None:
    configure(home, "renamed", more='account_id = "acme"')
    told = bought.ok("provider", "list")
    assert "1 purchases wait under 'vogent', which is not configured" in bought("provider", "list").output
    assert "dialstock provider move vogent ALIAS" in bought("doctor").output
    assert "vogent|acme" in told
    assert "2 purchases of vogent go on under renamed." in bought.ok("provider", "move", "vogent", "renamed")
    with open_desk() as desk:
        assert accounts_of(desk) == {("renamed", "vogent|acme")}
    assert "wait under" not in bought("provider", "list").output


@pytest.mark.parametrize("more", ["", 'account_id = "acme"'])
def test_nothing_is_bought_again_under_the_new_name_of_an_account(bought: Cli, home: Path, more: str) -> None:
    configure(home, "renamed", more=more)
    told = bought.refused("buy", NUMBERS[0], "--provider", "renamed")
    assert "[providers.renamed] is new, and 'vogent' of the same kind is gone from the file with 2 purchases" in told
    assert "dialstock provider move vogent renamed; where" in told
    bought.ok("provider", "move", "vogent", "renamed")
    assert bought.json("buy", NUMBERS[0], "--provider", "renamed")["created"] is False


def test_a_new_alias_buys_once_the_one_that_is_gone_was_left(bought: Cli, home: Path) -> None:
    configure(home, "other")
    bought.refused("buy", NUMBERS[0], "--provider", "other")
    bought.ok("provider", "leave", "vogent")
    assert bought.json("buy", NUMBERS[0], "--provider", "other")["created"] is True


def test_a_new_alias_beside_the_others_buys(bought: Cli, home: Path) -> None:
    own = 'account_id = "{0}"'
    configure(home, more=own.format("a"))
    bought.ok("provider", "move", "vogent", "vogent")
    configure(home, "other", more=own.format("b"))
    assert bought.json("buy", NUMBERS[0], "--provider", "other")["created"] is True


def test_an_account_that_is_not_used_any_more_is_left(bought: Cli, home: Path) -> None:
    configure(home, more='account_id = "acme"')
    assert bought.json("provider", "leave", "vogent") == {
        **{"provider": "vogent", "cancelled": 1, "held": 0, "under_way": 0}
    }
    assert bought.json("buy", NUMBERS[0], "--provider", "vogent")["created"] is True


def test_two_accounts_of_the_file_are_not_made_one(bought: Cli, home: Path) -> None:
    text = FILE.format(alias="vogent", url="https://api.vogent.ai", more='account_id = "a"')
    (home / "providers.toml").write_text(text + FILE.format(alias="other", url="https://b.ai", more='account_id = "b"'))
    assert "are two accounts in the file" in bought.refused("provider", "move", "vogent", "other")


def test_a_target_that_is_not_configured_is_refused(bought: Cli) -> None:
    assert "provider 'vogant' is not configured" in bought.refused("provider", "move", "vogent", "vogant")
