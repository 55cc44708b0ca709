"""Aliases that are shifted, swapped or renamed in the file: each mend that is offered is run as it is offered."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select

from schemas.status import Status
from schemas.tables.purchases import LINE, PURCHASE
from tasks.ledger.rows import new_id
from tasks.watermark import Mark, Watermark
from tests.servers import RedisServer
from tests.workers.cli.running import NUMBERS, Cli, csv_file, settle
from workers.cli.terminal.context import open_desk

MEND = re.compile(r"dialstock (provider (?:move [a-z0-9_-]+ [a-z0-9_-]+|leave [a-z0-9_-]+))")
STATES = (
    *(Status.PURCHASED, Status.QUEUED, Status.DISPATCHED, Status.PURCHASING, Status.UNKNOWN),
    *(Status.PROCESSING, Status.HELD, Status.CANCELLED, Status.FAILED),
)
NEW = NUMBERS[99]
SHIFTS = {
    "shifted": ({"a": "p1"}, {"a": "p2", "b": "p1"}),
    "shifted along": ({"a": "p1", "b": "p2"}, {"b": "p1", "c": "p2"}),
    "shifted along, and replaced": ({"a": "p1", "b": "p2"}, {"a": "p0", "b": "p1", "c": "p2"}),
    "swapped": ({"a": "p1", "b": "p2"}, {"a": "p2", "b": "p1"}),
    "in a circle": ({"a": "p1", "b": "p2", "c": "p3"}, {"a": "p2", "b": "p3", "c": "p1"}),
    "apart": ({"a": "p1", "b": "p1"}, {"a": "p2", "b": "p1"}),
    "swapped beside another": ({"a": "p1", "b": "p2", "c": "p3"}, {"a": "p2", "b": "p1", "c": "p3"}),
}


def write(home: Path, accounts: Mapping[str, str], kind: str = "vogent") -> None:
    tables = (
        f'[providers.{alias}]\nkind = "{kind}"\nbase_url = "https://api.vogent.ai"\ntoken_env = "T"\n'
        + (f'account_id = "{account}"\n' if account else "")
        for alias, account in accounts.items()
    )
    (home / "providers.toml").write_text("\n".join(tables))


def order(cli: Cli, home: Path, alias: str, first: int, states: tuple[Status, ...] = STATES) -> None:
    """An order with a line in each state, from the number *first* on."""
    numbers = NUMBERS[first : first + len(states)]
    cli.submit(csv_file(home, [f"{number},{alias}" for number in numbers]))
    with open_desk() as desk:
        for number, state in zip(numbers, states, strict=True):
            if state is not Status.QUEUED:
                settle(desk, number, state)


def standing() -> Counter[tuple[str, str, str]]:
    """How many purchases each alias has for each account."""
    with open_desk() as desk, desk.runtime.database.read() as conn:
        found = conn.execute(select(PURCHASE.c.provider, PURCHASE.c.account, PURCHASE.c.status))
        return Counter((row.provider, row.account, row.status) for row in found)


def lines() -> Counter[tuple[str, str]]:
    with open_desk() as desk, desk.runtime.database.read() as conn:
        query = select(LINE.c.provider, PURCHASE.c.provider).join_from(
            LINE, PURCHASE, LINE.c.purchase_id == PURCHASE.c.id
        )
        return Counter((line, purchase) for line, purchase in conn.execute(query))


def told_by_doctor(cli: Cli) -> list[tuple[str, str]]:
    """What is wrong with accounts, and how to mend it."""
    checks = json.loads(cli("doctor", "--json").stdout)["checks"]
    return [(one["message"], one["mend"]) for one in checks if (one["name"], one["level"]) == ("accounts", "fail")]


def offered(text: str) -> list[list[str]]:
    return [found.split() for found in MEND.findall(text)]


def starts(cli: Cli, alias: str) -> bool:
    """Whether whatever buys starts."""
    done = cli("buy", NEW, "--provider", alias)
    assert done.exit_code in (0, 2), done.output
    return done.exit_code == 0


def mend_all(cli: Cli) -> list[list[str]]:
    """Run the first mend that the doctor offers until it offers none; each works. Returns those that were run."""
    ran: list[list[str]] = []
    while told := told_by_doctor(cli):
        [first, *_] = offered(told[0][1])
        assert first not in ran
        cli.ok(*first)
        ran.append(first)
    return ran


@pytest.mark.parametrize("name", SHIFTS)
def test_purchases_follow_their_account_to_its_alias(both: Cli, home: Path, name: str) -> None:
    before, after = SHIFTS[name]
    write(home, before)
    for index, alias in enumerate(before):
        order(both, home, alias, 20 * index)
    stood = Counter((account, state) for _, account, state in standing().elements())
    write(home, after)
    refused = both.refused("buy", NEW, "--provider", next(iter(after)))
    assert offered(refused)[0] == offered(told_by_doctor(both)[0][1])[0]
    ran = mend_all(both)
    assert not any(command[1] == "leave" or command[2] == command[3] for command in ran)
    stands = standing()
    assert Counter((account, state) for _, account, state in stands.elements()) == stood
    home_of = {f"vogent|{account}": alias for alias, account in after.items()}
    assert all(alias in after and f"vogent|{after[alias]}" == account for alias, account, _ in stands)
    assert {line == purchase for line, purchase in lines()} == {True}
    for index, account in enumerate(before.values()):
        bought = both.json("buy", NUMBERS[20 * index], "--provider", home_of[f"vogent|{account}"])
        assert bought["created"] is False
    for command in ran:
        assert both(*command).exit_code in (0, 2)
    assert standing() == stands
    assert told_by_doctor(both) == []
    assert starts(both, next(iter(after)))


@pytest.mark.parametrize("wrong", [("move", "a", "a"), ("leave", "a")])
def test_what_the_file_has_elsewhere_is_neither_written_anew_nor_left(both: Cli, home: Path, wrong: list[str]) -> None:
    write(home, {"a": "p1"})
    order(both, home, "a", 0, (Status.PURCHASED, Status.QUEUED, Status.UNKNOWN, Status.HELD))
    stood = standing()
    write(home, {"a": "p2", "b": "p1"})
    told = both.refused("provider", *wrong)
    assert (
        "4 purchases under 'a' are of vogent|p1: the file has that account as 'b': dialstock provider move a b" in told
    )
    assert "if that is wrong, first take [providers.b] out of the file, or give it another account_id" in told
    assert standing() == stood
    assert not starts(both, "a")
    write(home, {"a": "p2"})
    both.ok("provider", *wrong)
    assert starts(both, "a")
    write(home, {"a": "p2", "b": "p1"})
    assert starts(both, "b")


def test_what_moves_takes_nothing_of_another_account_along(both: Cli, home: Path) -> None:
    write(home, {"a": "p0"})
    order(both, home, "a", 0)
    with open_desk() as desk, desk.runtime.database.write() as conn:
        conn.execute(PURCHASE.update().where(PURCHASE.c.number > NUMBERS[4]).values(account="vogent|p1"))
    write(home, {"a": "p2", "b": "p1"})
    for _ in range(2):
        both("provider", "move", "a", "b")
        assert {one[:2] for one in standing()} == {("a", "vogent|p0"), ("b", "vogent|p1")}
    assert mend_all(both) == [["provider", "move", "a", "a"]]
    assert {one[:2] for one in standing()} == {("a", "vogent|p2"), ("b", "vogent|p1")}
    assert starts(both, "a")


def test_what_is_done_by_half_and_taken_back_is_not_bought_again(cli: Cli, home: Path) -> None:
    write(home, {"a": "p1", "b": "p2"})
    order(cli, home, "a", 0, (Status.PURCHASED,))
    order(cli, home, "b", 1, (Status.PURCHASED,))
    write(home, {"a": "p2", "b": "p1"})
    told = cli("provider", "move", "a", "b")
    assert (told.exit_code, "No worker starts yet" in told.stderr) == (0, True)
    assert offered(told.stderr) == [["provider", "move", "b", "a"]]
    write(home, {"a": "p1-anew", "b": "p2"})
    assert not starts(cli, "a")
    assert mend_all(cli)[0] == ["provider", "move", "b", "a"]


def test_two_accounts_that_were_side_by_side_are_not_offered_as_one(cli: Cli, home: Path) -> None:
    write(home, {"a": "p1", "b": "p2"})
    order(cli, home, "a", 0, (Status.PURCHASED, Status.QUEUED))
    order(cli, home, "b", 20)
    write(home, {"a": "p2", "b": "p9"})
    assert mend_all(cli) == [["provider", "move", "b", "a"], ["provider", "leave", "a"]]
    assert {one[:2] for one in standing()} == {("a", "vogent|p1"), ("a", "vogent|p2")}
    assert starts(cli, "b")


@pytest.mark.parametrize("choice", [["provider", "move", "old", "a"], ["provider", "move", "old", "b"]])
def test_one_without_an_account_id_may_be_any_that_has_one_now(both: Cli, home: Path, choice: list[str]) -> None:
    write(home, {"old": ""})
    order(both, home, "old", 0)
    write(home, {"a": "p1", "b": "p2"})
    told = both.refused("buy", NEW, "--provider", "a")
    both_ways = [["provider", "move", "old", "a"], ["provider", "move", "old", "b"]]
    assert offered(told) == [*both_ways, ["provider", "leave", "old"]]
    both.ok(*choice)
    assert starts(both, "a")
    assert {one[0] for one in standing()} == {choice[3], "a"}


@pytest.mark.parametrize("choice", [0, 1])
def test_an_account_of_two_aliases_is_settled_wherever_it_stands(both: Cli, home: Path, choice: int) -> None:
    write(home, {"a": "p1", "b": "p1"})
    order(both, home, "a", 0, (Status.PURCHASED, Status.QUEUED))
    order(both, home, "b", 20, (Status.PURCHASED, Status.QUEUED))
    write(home, {"a": "p1-anew", "c": "p3"})
    [(_, mend), *more] = told_by_doctor(both)
    assert offered(mend) == [["provider", "move", "a", "a"], ["provider", "leave", "a"]]
    assert [offered(one) for _, one in more] == [[["provider", "move", "b", "a"], ["provider", "leave", "b"]]]
    both.ok(*offered(mend)[choice])
    assert told_by_doctor(both) == []
    moved, left = {("a", "vogent|p1-anew")}, {("a", "vogent|p1"), ("b", "vogent|p1")}
    assert {one[:2] for one in standing()} == (moved, left)[choice]
    assert {one[2] for one in standing()} == {"purchased", ("queued", "cancelled")[choice]}
    assert starts(both, "c")


def test_the_doctor_tells_of_what_is_bought_under_a_name_that_is_gone(both: Cli, home: Path) -> None:
    write(home, {"old": ""})
    order(both, home, "old", 0, (Status.PURCHASED,))
    write(home, {"new": ""})
    [(message, mend)] = told_by_doctor(both)
    assert "[providers.new] may be the account vogent|@old, which is gone from the file with 1 purchases" in message
    assert message.endswith("no worker starts")
    assert offered(mend) == [["provider", "move", "old", "new"], ["provider", "leave", "old"]]
    assert not starts(both, "new")
    mend_all(both)
    assert standing() == Counter({("new", "vogent|@new", "purchased"): 1})
    assert starts(both, "new")


@pytest.mark.parametrize("choice", [0, 1])
@pytest.mark.parametrize("kind", ["vogent", "bird"])
def test_an_alias_of_the_sandbox_is_renamed_too(cli: Cli, home: Path, kind: str, choice: int) -> None:
    more = {"vogent": "", "bird": 'workspace_id = "w{0}"\norganization_id = "o"\naccount_id = "{0}"\n'}[kind]
    table = '[providers.{0}]\nkind = "{1}"\nbase_url = "http://127.0.0.1:8790"\ntoken_env = "DIALSTOCK_SANDBOX_TOKEN"\n'
    (home / "providers.toml").write_text(table.format("old", kind) + more.format("x"))
    order(cli, home, "old", 0)
    (home / "providers.toml").write_text(table.format("new", kind) + more.format("y").replace("wy", "wx"))
    [(_, mend)] = told_by_doctor(cli)
    assert offered(mend) == [["provider", "move", "old", "new"], ["provider", "leave", "old"]]
    assert not starts(cli, "new")
    cli(*offered(mend)[choice])
    assert starts(cli, "new")
    kept = {"purchased": ("old", "new")[not choice], "queued": "new"}
    found = {status: alias for alias, _, status in standing() if status in kept}
    assert found == kept


FLUENTS = """
[providers.{0}]
kind = "fluents"
base_url = "https://api.fluents.ai"
token_env = "T"
telephony_provider = "twilio"
telephony_account_connection = "{1}"
{2}
"""


@pytest.mark.parametrize("choice", [0, 1])
@pytest.mark.parametrize(("before", "after"), [("", ""), ('account_id = "x"', ""), ("", 'account_id = "x"')])
def test_another_connection_of_fluents_may_be_the_same_account(
    both: Cli, home: Path, before: str, after: str, choice: int
) -> None:
    (home / "providers.toml").write_text(FLUENTS.format("old", "c1", before))
    order(both, home, "old", 0, (Status.PURCHASED, Status.QUEUED))
    (home / "providers.toml").write_text(FLUENTS.format("new", "c2", after))
    told = both.refused("buy", NUMBERS[0], "--provider", "new")
    assert offered(told) == [["provider", "move", "old", "new"], ["provider", "leave", "old"]]
    both.ok(*offered(told)[choice])
    assert both.json("buy", NUMBERS[0], "--provider", "new")["created"] is bool(choice)


def test_two_accounts_of_fluents_that_both_are_named_are_two(cli: Cli, home: Path) -> None:
    (home / "providers.toml").write_text(FLUENTS.format("old", "c1", 'account_id = "x"'))
    order(cli, home, "old", 0, (Status.PURCHASED,))
    (home / "providers.toml").write_text(FLUENTS.format("new", "c2", 'account_id = "y"'))
    assert cli.json("buy", NUMBERS[0], "--provider", "new")["created"] is True


def test_what_is_of_another_kind_never_moves(cli: Cli, home: Path) -> None:
    write(home, {"a": "p1"})
    order(cli, home, "a", 0)
    stood = standing()
    (home / "providers.toml").write_text(FLUENTS.format("b", "c1", ""))
    done = cli("provider", "move", "a", "b")
    assert (done.exit_code, "7 purchases of a stay" in done.stdout) == (1, True)
    assert standing() == stood


def test_a_command_takes_the_marks_of_an_account_along_that_is_written_anew(
    both: Cli, home: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is alive that would tell: the database may have gone back to before it was bought."""
    write(home, {"a": "p1"})
    order(both, home, "a", 0, (Status.CANCELLED,))
    write(home, {"a": "p1-anew"})
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    for _ in range(2):
        assert "is away" in both.refused("buy", NEW, "--provider", "a", status=3)
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    now = datetime.now(UTC)
    mark = Mark(purchase_id=new_id(), revision=2, number=NEW, started_at=now, deadline=now)
    with Redis.from_url(redis_server.url) as client:
        Watermark(client).write({"vogent|p1": [mark]})
        assert starts(both, "a")
        assert Watermark(client).newest("vogent|p1-anew") == [mark]
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert starts(both, "a")
