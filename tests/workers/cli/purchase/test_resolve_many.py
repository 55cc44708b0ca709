"""`purchase resolve` of what an order has, of what is alike, by numbers, and by an export with decisions in it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from schemas.status import Status
from tasks.orderfile import EXPORT_COLUMNS
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, settle, simple_file
from workers.views.desk import Desk


@pytest.fixture
def orders(both: Cli, desk: Desk, home: Path) -> list[str]:
    """Two orders of two numbers at timepay, all held; the second shares the first one's last. And one at bird."""
    first = both.submit(simple_file(home, 2))
    rows = [f"{NUMBERS[1]},timepay", f"{NUMBERS[2]},timepay", f"{NUMBERS[3]},bird"]
    second = both.submit(csv_file(home, rows, name="second.csv"))
    for number in NUMBERS[:4]:
        settle(desk, number, Status.HELD, doubt=True, error_code="reset" if number != NUMBERS[2] else "silent")
    return [first, second]


def statuses(desk: Desk) -> list[str]:
    return [row["status"] for _, row in sorted(purchases(desk).items())]


def test_all_that_an_order_has_held_own_or_shared(both: Cli, desk: Desk, orders: list[str]) -> None:
    assert both.json("purchase", "resolve", "--order", orders[1][-8:], "--fail")["resolved"] == 3
    assert statuses(desk) == ["held", "failed", "failed", "failed"]


def test_all_that_are_alike(both: Cli, desk: Desk, orders: list[str]) -> None:
    where = ("--where", "error_code=reset", "--where", "provider=timepay")
    assert both.json("purchase", "resolve", *where, "--bought")["resolved"] == 2
    assert statuses(desk) == ["purchased", "purchased", "held", "held"]
    assert (
        both.json("purchase", "resolve", "--order", orders[1], "--where", "provider=bird", "--retry")["resolved"] == 1
    )
    assert statuses(desk) == ["purchased", "purchased", "held", "queued"]


def test_what_is_meant_has_to_be_clear(both: Cli, desk: Desk, orders: list[str]) -> None:
    for arguments, message in (
        (["--where", "providr=bird", "--fail"], "did you mean 'provider'?"),
        (["--where", "provider=", "--fail"], "says nothing"),
        (["--where", "provider", "--fail"], "write it like --where provider=ALIAS"),
        (["--where", "provider=vogent", "--fail"], "no held purchase is so"),
        (["--order", "0198c0d0", "--fail"], "there is no order"),
        (["--order", orders[0]], "give one of --bought, --retry and --fail"),
        ([NUMBERS[0], "--order", orders[0], "--fail"], "not by both"),
        (["--order", orders[0], "--file", "x.csv"], "give neither with it"),
        (["--order", orders[0], "--bought", "--provider-number-id", "x"], "and a single purchase"),
    ):
        assert message in both.refused("purchase", "resolve", *arguments)
    assert set(statuses(desk)) == {"held"}


def test_numbers_name_purchases_in_arguments_and_files(both: Cli, desk: Desk, home: Path, orders: list[str]) -> None:
    both.ok("purchase", "resolve", NUMBERS[0], "--bought")
    (home / "d.csv").write_text(f"id,decision\n{NUMBERS[1]},fail\n+1 415 555 0002,fail\n")
    assert both.json("purchase", "resolve", "--file", "d.csv")["resolved"] == 2
    assert statuses(desk) == ["purchased", "failed", "failed", "held"]
    (home / "d.csv").write_text(f"id,decision\n{NUMBERS[3]},fail\n{NUMBERS[9]},fail\n")
    assert f"line 3, id: there is no purchase of {NUMBERS[9]}" in both.refused("purchase", "resolve", "--file", "d.csv")
    assert statuses(desk)[3] == "held"


def test_of_a_number_the_held_purchase_is_meant(both: Cli, desk: Desk, home: Path, orders: list[str]) -> None:
    both.submit(csv_file(home, [f"{NUMBERS[0]},bird"], name="third.csv"))
    found = both.json("purchase", "resolve", NUMBERS[0], "--fail")
    assert [one["provider"] for one in found["purchases"]] == ["timepay"]


@pytest.mark.parametrize("name", ["results.csv", "results.json", "results.ndjson"])
def test_an_export_with_decisions_settles(both: Cli, desk: Desk, home: Path, orders: list[str], name: str) -> None:
    both.ok("purchase", "resolve", NUMBERS[3], "--fail")
    both.ok("order", "export", orders[1], "-o", name, "--overwrite")
    decide(home / name, {NUMBERS[1]: "bought", NUMBERS[2]: "retry"})
    assert both.json("purchase", "resolve", "--file", name)["resolved"] == 2
    assert statuses(desk) == ["held", "purchased", "queued", "failed"]


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_an_export_from_before_the_last_call_settles_nothing(
    both: Cli, desk: Desk, home: Path, orders: list[str], name: str
) -> None:
    both.ok("order", "export", orders[0], "-o", name, "--overwrite")
    decide(home / name, {NUMBERS[0]: "fail", NUMBERS[1]: "fail"})
    both.ok("purchase", "resolve", NUMBERS[1], "--retry")
    settle(desk, NUMBERS[1], Status.HELD)
    told = both.refused("purchase", "resolve", "--file", name)
    assert "has moved on since this was exported, and may have been called for" in told
    assert set(statuses(desk)) == {"held"}
    both.ok("order", "export", orders[0], "-o", f"new-{name}")
    decide(home / f"new-{name}", {NUMBERS[0]: "fail", NUMBERS[1]: "fail"})
    assert both.json("purchase", "resolve", "--file", f"new-{name}")["resolved"] == 2


def test_a_list_gives_versions_to_decide_on(both: Cli, desk: Desk, home: Path, orders: list[str]) -> None:
    listed = both.json("purchase", "list", "--status", "held")
    rows = [{"id": one["id"], "version": one["version"], "decision": "fail"} for one in listed]
    (home / "d.ndjson").write_text("\n".join(map(json.dumps, rows)))
    both.ok("purchase", "resolve", NUMBERS[0], "--retry")
    settle(desk, NUMBERS[0], Status.HELD)
    assert "has moved on" in both.refused("purchase", "resolve", "--file", "d.ndjson")


def test_an_export_that_was_sorted_in_part_settles_nothing(
    both: Cli, desk: Desk, home: Path, orders: list[str]
) -> None:
    both.ok("order", "export", orders[0], "-o", "results.ndjson")
    lines = [json.loads(line) for line in (home / "results.ndjson").read_text().splitlines()]
    lines[0]["number"], lines[1]["number"] = lines[1]["number"], lines[0]["number"]
    (home / "results.ndjson").write_text("\n".join(json.dumps({**line, "decision": "fail"}) for line in lines))
    told = both.refused("purchase", "resolve", "--file", "results.ndjson")
    assert f"is of {NUMBERS[0]}, and beside it stands '{NUMBERS[1]}': was the table sorted in part" in told
    assert set(statuses(desk)) == {"held"}


def decide(path: Path, decisions: dict[str, str]) -> None:
    """Write decisions into an export, as a person does."""
    if path.suffix == ".csv":
        rows = list(csv.reader(path.read_text().splitlines()))
        rows = [[*row, decisions.get(row[1], "decision" if row[1] == "number" else "")] for row in rows]
        with path.open("w", newline="") as target:
            csv.writer(target).writerows(rows)
        return
    text = path.read_text()
    found = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
    assert all(set(row) == set(EXPORT_COLUMNS) for row in found)
    found = [{**row, "decision": decisions.get(row["number"])} for row in found]
    path.write_text(json.dumps(found) if path.suffix == ".json" else "\n".join(map(json.dumps, found)))
