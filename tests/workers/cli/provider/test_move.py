"""`provider move` and `leave`, and what is told of purchases that no worker buys for."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from schemas.status import Status
from schemas.tables.purchases import PROVIDER
from tests.workers.cli.running import NUMBERS, Cli, purchases, settle, simple_file
from workers.cli.terminal.context import open_desk
from workers.views.desk import Desk

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
    assert "dialstock provider move vogent renamed" in bought("doctor").output
    assert "vogent|acme" in told
    assert "2 purchases of vogent go on under renamed." in bought.ok("provider", "move", "vogent", "renamed")
    with open_desk() as desk:
        assert accounts_of(desk) == {("renamed", "vogent|acme")}
    assert "wait under" not in bought("provider", "list").output


@pytest.mark.parametrize("more", ["", 'account_id = "acme"'])
def test_nothing_is_bought_again_under_the_new_name_of_an_account(bought: Cli, home: Path, more: str) -> None:
    configure(home, "renamed", more=more)
    told = bought.refused("buy", NUMBERS[0], "--provider", "renamed")
    gone = "vogent|@vogent, which is gone from the file with 2 purchases under 'vogent', and would buy them again"
    assert f"[providers.renamed] may be the account {gone}" in told
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
        **{"provider": "vogent", "cancelled": 1, "held": 0, "kept": 0, "under_way": 0}
    }
    assert bought.json("buy", NUMBERS[0], "--provider", "vogent")["created"] is True


def test_two_accounts_of_the_file_are_not_made_one(bought: Cli, home: Path) -> None:
    text = FILE.format(alias="vogent", url="https://api.vogent.ai", more='account_id = "a"')
    both_of_them = text + FILE.format(alias="other", url="https://b.ai", more='account_id = "b"')
    (home / "providers.toml").write_text(both_of_them)
    bought.ok("provider", "move", "vogent", "vogent")
    told = bought.refused("provider", "move", "vogent", "other")
    assert "2 purchases under 'vogent' are of vogent|a, as the file has it" in told
    with open_desk() as desk:
        assert accounts_of(desk) == {("vogent", "vogent|a")}


def test_a_target_that_is_not_configured_is_refused(bought: Cli) -> None:
    assert "provider 'vogant' is not configured" in bought.refused("provider", "move", "vogent", "vogant")


OWN = {
    "signalwire": 'project_id = "{0}"',
    "bird": 'workspace_id = "{0}"\norganization_id = "o"',
    "fluents": 'telephony_provider = "twilio"\ntelephony_account_connection = "{0}"',
}
NAMED = 'account_id = "main"'


def own_file(home: Path, kind: str, *aliases: tuple[str, str, str]) -> None:
    """A file of aliases of one kind: the name of each, who it is by the kind itself, and what stands there too."""
    tables = (
        f'[providers.{alias}]\nkind = "{kind}"\nbase_url = "https://a.signalwire.com"\ntoken_env = "T"\n'
        f"{OWN[kind].format(own)}\n{more}\n"
        for alias, own, more in aliases
    )
    (home / "providers.toml").write_text("\n".join(tables))


def buy(cli: Cli, alias: str, number: str = NUMBERS[0]) -> bool:
    """Whether a purchase came of it; False where there was one."""
    return bool(cli.json("buy", number, "--provider", alias)["created"])


def buy_all_the_way(cli: Cli, alias: str) -> None:
    assert buy(cli, alias)
    with open_desk() as desk:
        settle(desk, NUMBERS[0], Status.PURCHASED)


@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize(("before", "after"), [("", NAMED), (NAMED, ""), (NAMED, 'account_id = "else"')])
def test_an_alias_renamed_with_its_account_id_in_one_edit_is_refused(
    cli: Cli, home: Path, kind: str, before: str, after: str
) -> None:
    own_file(home, kind, ("old", "p", before))
    buy_all_the_way(cli, "old")
    own_file(home, kind, ("new", "p", after))
    told = cli.refused("buy", NUMBERS[0], "--provider", "new")
    assert "[providers.new] may be the account" in told
    assert "which is gone from the file with 1 purchases under 'old', and would buy them again" in told
    assert "dialstock provider move old new; where" in told
    assert "dialstock provider leave old" in told
    cli.ok("provider", "move", "old", "new")
    assert not buy(cli, "new")


@pytest.mark.parametrize(("before", "after"), [("", NAMED), (NAMED, ""), (NAMED, 'account_id = "else"'), ("", "")])
def test_another_project_is_another_account_whatever_account_id_calls_it(
    cli: Cli, home: Path, before: str, after: str
) -> None:
    own_file(home, "signalwire", ("old", "p", before))
    buy_all_the_way(cli, "old")
    own_file(home, "signalwire", ("new", "q", after))
    assert buy(cli, "new")


def test_where_nobody_wrote_down_who_the_old_alias_was_it_may_be_the_new_one(cli: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("old", "p", NAMED))
    buy_all_the_way(cli, "old")
    with open_desk() as desk, desk.runtime.database.write() as conn:
        conn.execute(update(PROVIDER).values(own_account=None))
    own_file(home, "signalwire", ("new", "q", ""))
    assert "dialstock provider leave old" in cli.refused("buy", NUMBERS[0], "--provider", "new")
    cli.ok("provider", "leave", "old")
    assert buy(cli, "new")


def test_who_an_alias_is_by_itself_is_written_down_where_it_was_not(cli: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("old", "p", NAMED))
    buy_all_the_way(cli, "old")
    with open_desk() as desk, desk.runtime.database.write() as conn:
        conn.execute(update(PROVIDER).values(own_account=None))
    assert not buy(cli, "old")
    own_file(home, "signalwire", ("new", "q", ""))
    assert buy(cli, "new")


def test_an_alias_renamed_back_does_not_buy_again(bought: Cli, home: Path) -> None:
    configure(home, "b")
    bought.ok("provider", "move", "vogent", "b")
    assert not buy(bought, "b")
    configure(home, "vogent")
    told = bought.refused("buy", NUMBERS[0], "--provider", "vogent")
    assert "[providers.vogent] may be the account vogent|@b, which is gone from the file with 2 purchases" in told
    assert "dialstock provider move b vogent; where" in told
    bought.ok("provider", "move", "b", "vogent")
    assert not buy(bought, "vogent")


def test_an_alias_that_comes_back_does_not_buy_what_another_bought_meanwhile(cli: Cli, home: Path) -> None:
    configure(home, "a")
    cli.json("buy", NUMBERS[1], "--provider", "a")
    with open_desk() as desk:
        settle(desk, NUMBERS[1], Status.CANCELLED)
    configure(home, "b")
    buy_all_the_way(cli, "b")
    configure(home, "a")
    assert "dialstock provider move b a" in cli.refused("buy", NUMBERS[0], "--provider", "a")
    cli.ok("provider", "leave", "b")
    assert buy(cli, "a")


def test_a_project_renamed_back_with_another_account_id_does_not_buy_again(cli: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("a", "p", ""))
    buy_all_the_way(cli, "a")
    own_file(home, "signalwire", ("b", "p", NAMED))
    cli.ok("provider", "move", "a", "b")
    own_file(home, "signalwire", ("a", "p", ""))
    assert "dialstock provider move b a" in cli.refused("buy", NUMBERS[0], "--provider", "a")


@pytest.mark.parametrize("kind", OWN)
def test_of_two_accounts_that_were_in_the_file_one_goes_and_the_other_buys_on(cli: Cli, home: Path, kind: str) -> None:
    first, second = ("a", "p", 'account_id = "one"'), ("b", "q", 'account_id = "two"')
    own_file(home, kind, first, second)
    buy_all_the_way(cli, "a")
    assert buy(cli, "b")
    own_file(home, kind, second)
    assert not buy(cli, "b")
    assert buy(cli, "b", NUMBERS[1])


def test_of_two_aliases_of_one_account_one_goes_and_the_other_has_its_purchases(cli: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("a", "p", ""), ("b", "p", ""))
    buy_all_the_way(cli, "a")
    own_file(home, "signalwire", ("b", "p", ""))
    assert not buy(cli, "b")


def test_what_a_person_left_is_no_hindrance_to_an_alias_that_was_there(bought: Cli, home: Path) -> None:
    configure(home, "b")
    bought.ok("provider", "leave", "vogent")
    assert buy(bought, "b", NUMBERS[1])
    assert not buy(bought, "b", NUMBERS[1])
