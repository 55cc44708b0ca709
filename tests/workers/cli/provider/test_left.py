"""Accounts that were left: not asked for again, not touched by what is said of another, and known when they return."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import update

from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tasks.ledger.accounts import left as remembered_as_left
from tests.workers.cli.provider.test_move import NAMED, OWN, buy, buy_all_the_way, own_file
from tests.workers.cli.provider.test_shifted import NEW, order, standing, starts, told_by_doctor, write
from tests.workers.cli.running import NUMBERS, Cli
from workers.cli.terminal.context import open_desk

MEND = re.compile(r"dialstock (provider (?:move [a-z]+ [a-z]+|leave [a-z]+)(?: --account '[^']+')?)")
WAYS = (Status.PURCHASED, Status.QUEUED, Status.UNKNOWN)
ONE, TWO = "vogent|one", "vogent|two"
RETURNS = [
    (kind, *ids)
    for kind in OWN
    for ids in ((NAMED, ""), ("", NAMED), (NAMED, 'account_id = "else"'))
    # Several of a kind that says no more than how an account buys have an account_id each.
    if (kind, ids[1]) != ("fluents", "")
]


def offered(text: str) -> list[list[str]]:
    """The commands that a text offers, word for word."""
    return [shlex.split(found) for found in MEND.findall(text)]


def told(cli: Cli) -> list[list[list[str]]]:
    """The commands that the doctor offers, for each problem."""
    return [offered(mend) for _, mend in told_by_doctor(cli)]


def of(account: str) -> Counter[tuple[str, str]]:
    """How much stands for an account, under which alias and in which state."""
    return Counter((alias, state) for alias, one, state in standing().elements() if one == account)


@pytest.fixture
def left(both: Cli, home: Path) -> Cli:
    """`d` was the account one, which was left; then two, which was bought for, and is written in another way now."""
    write(home, {"d": "one"})
    order(both, home, "d", 0, WAYS)
    write(home, {"d": "two"})
    both.ok("provider", "leave", "d")
    order(both, home, "d", 20, WAYS)
    write(home, {"d": "two-anew"})
    return both


@pytest.fixture
def several(both: Cli, home: Path) -> Cli:
    """`d` has purchases of the accounts one and two, neither of them left, and is a third one now."""
    write(home, {"d": "one"})
    order(both, home, "d", 0, WAYS)
    order(both, home, "d", 20, WAYS)
    with open_desk() as desk, desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.number >= NUMBERS[20]).values(account=TWO))
    write(home, {"d": "two-anew"})
    return both


def test_what_was_left_is_not_asked_for_again(left: Cli) -> None:
    account = ["--account", TWO]
    assert told(left) == [[["provider", "move", "d", "d", *account], ["provider", "leave", "d", *account]]]
    refused = left.refused("buy", NEW, "--provider", "d")
    assert (TWO in refused, ONE in refused) == (True, False)


@pytest.mark.parametrize("verbatim", [True, False])
def test_an_account_that_is_left_leaves_the_others_as_they_are(left: Cli, *, verbatim: bool) -> None:
    stood = of(ONE)
    left.ok(*told(left)[0][1] if verbatim else ["provider", "leave", "d"])
    assert of(ONE) == stood
    assert of(TWO) == Counter({("d", "purchased"): 1, ("d", "cancelled"): 1, ("d", "held"): 1})
    assert starts(left, "d")
    assert buy(left, "d")


@pytest.mark.parametrize("verbatim", [True, False])
def test_an_account_that_is_written_anew_takes_no_other_along(left: Cli, *, verbatim: bool) -> None:
    stood = of(ONE)
    left.ok(*told(left)[0][0] if verbatim else ["provider", "move", "d", "d"])
    assert of(ONE) == stood
    assert of("vogent|two-anew") == Counter({("d", "purchased"): 1, ("d", "queued"): 1, ("d", "unknown"): 1})
    assert not buy(left, "d", NUMBERS[20])
    assert buy(left, "d")


def test_an_account_that_was_left_by_mistake_is_written_anew_where_it_is_named(left: Cli) -> None:
    left.ok(*told(left)[0][1])
    left.ok("provider", "move", "d", "d", "--account", ONE)
    assert not of(ONE)
    assert not buy(left, "d", NUMBERS[0])
    assert buy(left, "d", NUMBERS[20])


@pytest.mark.parametrize("command", [["leave", "d"], ["move", "d", "d"]])
def test_of_several_accounts_that_are_gone_one_is_named(several: Cli, command: list[str]) -> None:
    stood = standing()
    refused = several.refused("provider", *command)
    assert f"of several accounts that the file does not have: say which, --account '{ONE}' or --account '{TWO}'" in (
        refused
    )
    for wrong in ("vogent|three", "vogent|two-anew"):
        several("provider", *command, "--account", wrong)
    assert standing() == stood
    assert [one[0][-1] for one in told(several)] == [ONE, TWO]
    several.ok("provider", *command, "--account", ONE)
    assert of(TWO) == Counter({("d", "purchased"): 1, ("d", "queued"): 1, ("d", "unknown"): 1})
    assert not starts(several, "d")
    several.ok("provider", *command)
    assert starts(several, "d")
    assert of(TWO) == (
        Counter() if command[0] == "move" else Counter(("d", x) for x in ("purchased", "cancelled", "held"))
    )


@pytest.mark.parametrize("command", [["leave", "d"], ["move", "d", "d"]])
def test_an_account_that_is_named_and_that_the_file_has_elsewhere_goes_there(
    several: Cli, home: Path, command: list[str]
) -> None:
    write(home, {"d": "two-anew", "e": "one"})
    stood = standing()
    refused = several.refused("provider", *command, "--account", ONE)
    assert "the file has that account as 'e': dialstock provider move d e" in refused
    assert standing() == stood


def test_one_that_is_left_is_no_sign_that_two_were_side_by_side(both: Cli, home: Path) -> None:
    write(home, {"d": "two", "a": "one"})
    order(both, home, "d", 0, (Status.PURCHASED,))
    order(both, home, "a", 20, (Status.PURCHASED, Status.QUEUED))
    write(home, {"d": "two-anew", "a": "two-anew"})
    before = [one for one in told(both) if one[0][3] == "d"]
    both.ok("provider", "leave", "a")
    assert told(both) == before == [[["provider", "move", "d", "d"], ["provider", "leave", "d"]]]
    both.ok(*before[0][0])
    assert told(both) == []
    assert not buy(both, "a", NUMBERS[0])


def test_what_is_under_way_as_its_account_is_left_is_ended_later(left: Cli, home: Path) -> None:
    left.ok(*told(left)[0][0])
    order(left, home, "d", 40, (Status.PURCHASING, Status.PURCHASED))
    write(home, {"d": "three"})
    assert left.json("provider", "leave", "d", status=1)["under_way"] == 1
    with open_desk() as desk, desk.runtime.database.write() as conn:
        conn.execute(update(PURCHASE).where(PURCHASE.c.status == "purchasing").values(status="unknown"))
    assert starts(left, "d")
    assert told(left) == [[["provider", "leave", "d", "--account", "vogent|two-anew"]]]
    stood = of(ONE)
    left.ok(*told(left)[0][0])
    assert told(left) == []
    assert of(ONE) == stood
    assert of("vogent|two-anew") == Counter({("d", "purchased"): 2, ("d", "cancelled"): 1, ("d", "held"): 2})


def test_an_account_that_was_left_and_is_used_again_is_asked_for_again(left: Cli, home: Path) -> None:
    left.ok(*told(left)[0][0])
    write(home, {"d": "two-anew", "e": "one"})
    assert not buy(left, "e", NUMBERS[0])
    with open_desk() as desk, desk.runtime.database.read() as conn:
        assert remembered_as_left(conn) == {}
    write(home, {"d": "two-anew", "e": "one-anew"})
    assert told(left) == [[["provider", "move", "d", "e"], ["provider", "leave", "d"]]]
    assert not starts(left, "e")


@pytest.mark.parametrize(("kind", "before", "after"), RETURNS)
def test_an_account_that_was_left_is_known_by_its_kind_when_it_returns(
    both: Cli, home: Path, kind: str, before: str, after: str
) -> None:
    own_file(home, kind, ("b", "p", before))
    buy_all_the_way(both, "b")
    other = ("b", "q", 'account_id = "q"')
    own_file(home, kind, other)
    both.ok("provider", "leave", "b")
    assert starts(both, "b")
    own_file(home, kind, other, ("d", "p", after))
    refused = both.refused("buy", NUMBERS[0], "--provider", "d")
    assert "[providers.d] is by its kind the account" in refused
    assert "which was left with 1 purchases under 'b', and would buy them again" in refused
    assert told(both) == [offered(refused)] == [[["provider", "move", "b", "d"], ["provider", "leave", "b"]]]
    both.ok("provider", "move", "b", "d")
    assert not buy(both, "d")


def test_what_was_left_under_an_alias_that_was_another_since_and_is_gone_returns_too(both: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("b", "p", NAMED))
    buy_all_the_way(both, "b")
    own_file(home, "signalwire", ("b", "q", ""))
    both.ok("provider", "leave", "b")
    assert buy(both, "b", NEW)
    own_file(home, "signalwire", ("d", "p", ""))
    assert not starts(both, "d")
    [first, *_] = told(both)
    both.ok(*first[0])
    assert not buy(both, "d")
    assert of("signalwire|q") == Counter({("b", "queued"): 1})


def test_a_person_may_say_that_what_was_left_does_not_count_where_it_returns(both: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("b", "p", NAMED))
    buy_all_the_way(both, "b")
    own_file(home, "signalwire", ("b", "q", ""))
    both.ok("provider", "leave", "b")
    own_file(home, "signalwire", ("b", "q", ""), ("d", "p", ""))
    for _ in range(2):
        both.ok("provider", "leave", "b")
        assert told(both) == []
    assert buy(both, "d")


def test_an_account_that_was_left_is_another_where_its_kind_says_so(both: Cli, home: Path) -> None:
    own_file(home, "signalwire", ("b", "p", NAMED))
    buy_all_the_way(both, "b")
    own_file(home, "signalwire", ("b", "q", ""))
    both.ok("provider", "leave", "b")
    own_file(home, "signalwire", ("b", "q", ""), ("d", "r", ""))
    assert buy(both, "d")
