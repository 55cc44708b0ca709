"""`dialstock release` and `purchase mark-released`: they ask, they leave what they must, and they say so."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from schemas.status import Status
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, settle, simple_file
from workers.views.desk import Desk
from workers.views.words import moment


def bought(cli: Cli, desk: Desk, home: Path, count: int, provider: str = "vogent") -> str:
    order = cli.submit(simple_file(home, count, provider))
    for number in NUMBERS[:count]:
        settle(desk, number, Status.PURCHASED, provider_number_id=f"id-{number[1:]}")
    return order


def test_it_asks_and_a_script_says_yes(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 2)
    assert "say --yes" in both.refused("release", NUMBERS[0])
    assert purchases(desk)[NUMBERS[0]]["status"] == "purchased"
    result = both("release", NUMBERS[0], "--yes", "--by", "ann")
    assert result.exit_code == 0
    assert "Giving 1 number back to vogent (vogent, at 127.0.0.1" in result.stderr.replace("the sandbox ", "")
    assert {n: row["status"] for n, row in purchases(desk).items()} == {
        NUMBERS[0]: "releasing",
        NUMBERS[1]: "purchased",
    }
    shown = both.json("purchase", "show", NUMBERS[0])
    assert [(one["by"], one["status"]) for one in shown["releases"]] == [("ann", "open")]
    assert "on its way back" in shown["next"]
    assert both.json("release", NUMBERS[0], "--yes")["releasing"][0]["status"] == "releasing"


def test_one_that_waits_for_its_date_tells_it(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1, "signalwire"))
    settle(desk, NUMBERS[0], Status.PURCHASED, provider_number_id="id-0", attempts=1)
    both.ok("release", NUMBERS[0], "--yes")
    shown = both.json("purchase", "show", NUMBERS[0])
    due = moment(datetime.fromisoformat(shown["releases"][0]["due_at"]))
    for told in (shown["next"], both.ok("purchase", "show", NUMBERS[0])):
        assert f"a worker calls at {due}." in " ".join(told.split())


def test_it_says_what_that_saves_a_month(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 4, "vogent"))
    prices = [("1.10", "USD"), ("0.2", "USD"), ("3", "EUR"), (None, None)]
    for number, (monthly, currency) in zip(NUMBERS[:4], prices, strict=True):
        told = {"monthly_price": monthly, "currency": currency}
        settle(desk, number, Status.PURCHASED, provider_number_id=f"id-{number[1:]}", **told)
    result = both("release", *NUMBERS[:4], "--yes", "--json")
    assert "That saves: 3.00 EUR and 1.30 USD a month, and of 1 number no price is known." in result.stderr
    found = json.loads(result.stdout)
    assert (found["saves_a_month"], found["without_price"]) == ({"EUR": "3.00", "USD": "1.30"}, 1)
    result = both("release", *NUMBERS[:4], "--yes")
    assert "That saves" not in result.stderr


def test_what_saves_nobody_knows_is_told_as_that(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 2)
    result = both("release", *NUMBERS[:2], "--yes")
    assert "What that saves is not known: no price of these is." in result.stderr


def test_an_order_goes_and_counts_as_bought_until_it_is_gone(both: Cli, desk: Desk, home: Path) -> None:
    order = bought(both, desk, home, 3)
    found = both.json("release", "--order", order, "--yes")
    assert [one["number"] for one in found["releasing"]] == NUMBERS[:3]
    assert "3" in both.ok("order", "show", order)
    assert both.json("order", "list")[0]["bought"] == 3


def test_what_must_stay_is_left_and_told(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 2)
    both.submit(csv_file(home, [f"{NUMBERS[0]},vogent"], name="again.csv"))
    found = both.json("release", *NUMBERS[:2], "--yes", status=1)
    assert [one["number"] for one in found["releasing"]] == [NUMBERS[1]]
    assert [(one["number"], one["error_code"]) for one in found["refused"]] == [(NUMBERS[0], "other_order")]
    assert both.json("release", NUMBERS[0], "--yes", "--force")["refused"] == []


def test_a_kind_without_a_call_says_what_a_person_does(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 1, "timepay")
    result = both("release", NUMBERS[0], "--yes")
    assert result.exit_code == 1
    assert "mark-released" in result.stderr
    assert (
        both.json("purchase", "mark-released", NUMBERS[0], "--note", "by mail")["released"][0]["status"] == "released"
    )
    assert both.json("purchase", "mark-released", NUMBERS[0], status=1)["released"] == []
    again = both("purchase", "mark-released", NUMBERS[0])
    assert f"Left: {NUMBERS[0]} of timepay is released: dialstock purchase show " in again.stderr
    assert both.json("purchase", "show", NUMBERS[0])["resolutions"][0]["note"] == "by mail"


def test_what_was_never_bought_is_told_as_that_where_no_call_is_documented(both: Cli, desk: Desk, home: Path) -> None:
    both.submit(simple_file(home, 1, "timepay"))
    settle(desk, NUMBERS[0], Status.FAILED, attempts=1)
    result = both("release", NUMBERS[0], "--yes")
    assert (result.exit_code, "mark-released" in result.stderr) == (1, False)
    assert f"Left: number: {NUMBERS[0]} is failed: only what was bought can be given back" in result.stderr


def test_a_person_says_what_stays(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 2)
    both.ok("release", NUMBERS[0], "--yes")
    found = both.json("purchase", "mark-kept", NUMBERS[0], "--by", "ann", "--note", "seen there")
    assert [(one["number"], one["status"]) for one in found["kept"]] == [(NUMBERS[0], "purchased")]
    shown = both.json("purchase", "show", NUMBERS[0])
    assert [(one["status"], one["error"]) for one in shown["releases"]] == [("kept", "kept, says ann")]
    assert shown["resolutions"][0]["note"] == "seen there"
    found = both.json("purchase", "mark-kept", *NUMBERS[:2], status=1)
    assert (found["kept"], len(found["left"])) == ([], 2)
    both.ok("release", NUMBERS[1], "--yes")
    assert "1 number written down as kept." in both("purchase", "mark-kept", NUMBERS[1]).stderr


def test_a_file_or_stdin_names_them(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 2)
    assert len(both.json("release", "--file", "-", "--yes", input="\n".join(NUMBERS[:2]) + "\n")["releasing"]) == 2


def test_a_line_that_means_no_purchase_is_told_with_its_place(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 1)
    named = home / "back.txt"
    named.write_text(f"{NUMBERS[0]}\n\n{NUMBERS[1]}\n")
    assert f"{named}, line 3: " in both.refused("release", "--file", str(named), "--yes")
    told = both.refused("release", "--file", "-", "--yes", input="what\n")
    assert "standard input, line 1: 'what' is no id of a purchase" in told
    assert {row["status"] for row in purchases(desk).values()} == {"purchased"}


def test_wrong_use_is_said(both: Cli, desk: Desk, home: Path) -> None:
    bought(both, desk, home, 1)
    assert "one of" in both.refused("release", "--yes")
    assert "one of" in both.refused("release", NUMBERS[0], "--order", "last", "--yes")
    assert "go together" in both.refused("release", "--pool", "p", "--yes")
    assert "pool 'p' is not configured" in both.refused("release", "--pool", "p", "--count", "3", "--yes")


def test_what_waits_is_called_off_and_in_its_order_alone(both: Cli, desk: Desk, home: Path) -> None:
    order = bought(both, desk, home, 3)
    both.ok("release", *NUMBERS[:2], "--yes")
    result = both("release", "--cancel", NUMBERS[0], "--by", "ann")
    assert (result.exit_code, "1 number kept, 0 left." in result.stderr) == (0, True)
    assert purchases(desk)[NUMBERS[0]]["status"] == "purchased"
    [release] = both.json("purchase", "show", NUMBERS[0])["releases"]
    assert (release["status"], release["error"], release["error_code"]) == ("kept", "called off by ann", "called_off")
    found = both.json("release", "--cancel", NUMBERS[0], NUMBERS[1], status=1)
    assert [one["number"] for one in found["kept"]] == [NUMBERS[1]]
    assert [one["error_code"] for one in found["refused"]] == ["not_releasing"]
    both.ok("release", NUMBERS[2], "--yes")
    assert [one["number"] for one in both.json("release", "--cancel", "--order", order)["kept"]] == [NUMBERS[2]]
    assert {row["status"] for row in purchases(desk).values()} == {"purchased"}


def test_calling_off_is_used_wrongly(both: Cli, desk: Desk, home: Path) -> None:
    order = bought(both, desk, home, 1)
    assert "nothing is on its way back" in both.refused("release", "--cancel", "--order", order)
    assert "in no pool" in both.refused("release", "--cancel", "--pool", "p", "--count", "1")
    assert "--cancel goes with" in both.refused("release", "--cancel", "--force", NUMBERS[0])
    assert "one of" in both.refused("release", "--cancel")
