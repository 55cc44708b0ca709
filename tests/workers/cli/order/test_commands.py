"""`order list`, `show`, `export`, `retry`, `cancel`, on both databases."""

import csv
import json
from pathlib import Path

import pytest

from schemas.status import Status
from tasks import orders
from tests.workers.cli.running import NUMBERS, Cli, counted, csv_file, purchases, settle, simple_file
from workers.views.desk import Desk


def test_list_shows_the_newest_first(both: Cli, desk: Desk, home: Path) -> None:
    assert both.json("order", "list") == []
    first = both.submit(simple_file(home, 2), "--name", "first")
    second = both.submit(simple_file(home, 3, "bird"), "--name", "second")
    settle(desk, NUMBERS[2], Status.PURCHASED)
    listed = both.json("order", "list")
    assert [one["id"] for one in listed] == [second, first]
    assert (listed[0]["lines"], listed[0]["bought"], listed[0]["waiting"]) == (3, 1, 2)
    assert len(both.json("order", "list", "--limit", "1")) == 1
    shown = both.ok("order", "list")
    assert shown.index(second[-8:]) < shown.index(first[-8:])
    assert "first" in shown


def test_show_counts_by_provider_and_status(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 4))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.FAILED, error="taken", error_code="x")
    shown = both.json("order", "show", order[:18])
    assert shown["counts"] == [
        {"provider": "timepay", "status": "failed", "count": 1},
        {"provider": "timepay", "status": "purchased", "count": 1},
        {"provider": "timepay", "status": "queued", "count": 2},
    ]
    assert (shown["bought"], shown["failed"], shown["waiting"]) == (1, 1, 2)
    assert "waiting for its turn, at most 4.9/s" in both.ok("order", "show", order)


def test_show_lists_lines(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 3))
    settle(desk, NUMBERS[1], Status.FAILED, error="[red]taken[/red]", error_code="x")
    lines = [json.loads(line) for line in both.ok("order", "show", order, "--lines", "--json").splitlines()]
    assert [(line["line"], line["number"], line["status"]) for line in lines] == [
        (2, NUMBERS[0], "queued"),
        (3, NUMBERS[1], "failed"),
        (4, NUMBERS[2], "queued"),
    ]
    failed = both.ok("order", "show", order, "--status", "failed")
    assert "[red]taken[/red]" in failed
    assert NUMBERS[0] not in failed
    assert "1 line" in failed


def test_export_gives_each_line_its_result(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 3))
    settle(desk, NUMBERS[0], Status.PURCHASED, provider_number_id="pn-1")
    settle(desk, NUMBERS[1], Status.FAILED, error="taken", error_code="gone")
    rows = list(csv.DictReader(both.ok("order", "export", order).splitlines()))
    assert [(row["line"], row["number"], row["status"], row["success"]) for row in rows] == [
        ("2", NUMBERS[0], "purchased", "true"),
        ("3", NUMBERS[1], "failed", "false"),
        ("4", NUMBERS[2], "queued", ""),
    ]
    assert rows[0]["provider_number_id"] == "pn-1"
    assert (rows[1]["error"], rows[1]["error_code"]) == ("taken", "gone")
    assert [row["number"] for row in both.json("order", "export", order)] == NUMBERS[:3]


def test_export_writes_a_file_whole_and_by_its_name(cli: Cli, home: Path) -> None:
    order = cli.submit(simple_file(home, 2))
    assert cli.ok("order", "export", order, "-o", "out.csv") == "out.csv: 2 lines\n"
    assert (home / "out.csv").read_text().startswith("line,number,provider")
    told = cli.json("order", "export", order, "-o", "out.ndjson")
    assert told == {"order_id": order, "file": "out.ndjson", "lines": 2}
    assert [json.loads(line)["number"] for line in (home / "out.ndjson").read_text().splitlines()] == NUMBERS[:2]
    assert (home / "out.csv").stat().st_mode & 0o077 == (home / "numbers.csv").stat().st_mode & 0o077
    assert "cannot be written" in cli.refused("order", "export", order, "-o", "nowhere/out.csv")
    assert {path.name for path in home.glob("*out*")} == {"out.csv", "out.ndjson"}


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_an_export_can_be_submitted_again(cli: Cli, desk: Desk, home: Path, format: str) -> None:
    rows = [
        f"{NUMBERS[0]},fluents,-key,agent '1',\"a, b\"",
        f"{NUMBERS[1]},timepay,,,",
        f"{NUMBERS[2]},timepay,k2,,=1+1",
    ]
    header = "number,provider,idempotency_key,options.inbound_agent,metadata.note"
    order = cli.submit(csv_file(home, rows, header))
    settle(desk, NUMBERS[2], Status.FAILED)
    before = counted(desk)
    cli.ok("order", "export", order, "-o", f"out.{format}")
    told = cli.json("order", "submit", f"out.{format}")
    assert (told["lines"], told["found"]) == (3, 3)
    assert counted(desk) == (before[0] + 1, before[1] + 3, before[2])


def test_an_export_without_its_metadata_tells_to_take_its_keys_out_too(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(csv_file(home, [f"{NUMBERS[0]},timepay,k1,acme"], "number,provider,idempotency_key,metadata.of"))
    before = counted(desk)
    (line,) = cli.json("order", "export", order)
    trimmed = f"line,number,provider,idempotency_key\n1,{line['number']},{line['provider']},{line['idempotency_key']}\n"
    told = cli.refused("order", "submit", "-", input=trimmed)
    assert "where an export lost its metadata or options, take its key out too" in " ".join(told.split())
    assert counted(desk) == before
    again = cli.json("order", "submit", "-", input=trimmed.replace("k1", ""))
    assert (again["lines"], again["found"]) == (1, 1)


def test_an_export_has_the_options_and_the_key_of_each_line(cli: Cli, home: Path) -> None:
    row = f"{NUMBERS[0]},fluents,k1,agent"
    first = cli.submit(csv_file(home, [row], "number,provider,idempotency_key,options.inbound_agent"))
    second = cli.submit(csv_file(home, [f"{NUMBERS[0]},fluents"]))
    (own,), (shared,) = cli.json("order", "export", first), cli.json("order", "export", second)
    assert (own["options"], own["idempotency_key"]) == ({"inbound_agent": "agent"}, "k1")
    assert (shared["options"], shared["idempotency_key"]) == ({"inbound_agent": "agent"}, None)


def test_an_order_from_an_export_shows_none_of_its_keys(cli: Cli, home: Path) -> None:
    first = cli.submit(csv_file(home, [f"{NUMBERS[0]},timepay,k1"], "number,provider,idempotency_key"))
    cli.ok("order", "export", first, "-o", "out.csv")
    assert ",k1," in (home / "out.csv").read_text()
    (line,) = cli.json("order", "export", cli.submit(home / "out.csv"))
    assert (line["number"], line["idempotency_key"]) == (NUMBERS[0], None)


def test_retry_buys_what_failed_or_was_cancelled(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 4))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.FAILED)
    settle(desk, NUMBERS[2], Status.CANCELLED)
    settle(desk, NUMBERS[3], Status.HELD)
    assert both.json("order", "retry", order) == {
        **{"order_id": order, "again": 2, "found": 0, "releasing": 0, "wishes": 0, "held": 1}
    }
    assert [purchases(desk)[number]["status"] for number in NUMBERS[:4]] == ["purchased", "queued", "queued", "held"]
    shown = both.json("order", "show", order)
    assert (shown["lines"], shown["bought"], shown["failed"], shown["held"], shown["waiting"]) == (4, 1, 0, 1, 2)
    told = both.ok("order", "retry", order)
    assert "has nothing left for that: nothing was done" in told
    assert f"Held for a person, 1 line:  dialstock order show {order} --lines --status held" in told


def test_retry_says_which_lines_have_a_purchase_by_now(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 2))
    settle(desk, NUMBERS[0], Status.FAILED)
    settle(desk, NUMBERS[1], Status.FAILED)
    cli.ok("buy", NUMBERS[0], "--provider", "timepay")
    told = cli.ok("order", "retry", order)
    assert f"1 line of order {order} are bought again" in told
    assert f"1 line of order {order} are answered by a purchase that is there already" in told


def test_an_order_that_is_opened_again_is_not_completed(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 1))
    settle(desk, NUMBERS[0], Status.FAILED)
    orders.complete_finished(desk.runtime)
    assert both.json("order", "show", order)["order"]["completed_at"] is not None
    both.ok("order", "retry", order)
    shown = both.json("order", "show", order)["order"]
    assert (shown["status"], shown["completed_at"]) == ("open", None)
    assert both.json("order", "list")[0]["completed_at"] is None
    settle(desk, NUMBERS[0], Status.PURCHASED)
    orders.complete_finished(desk.runtime)
    shown = both.json("order", "show", order)["order"]
    assert (shown["status"], shown["completed_at"] is None) == ("completed", False)


def test_cancel_stops_what_is_not_bought(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 3))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    assert both.json("order", "cancel", order) == {"order_id": order, "cancelled": 2, "left": 0, "ended": 0}
    shown = both.json("order", "show", order)
    assert (shown["status"], shown["bought"], shown["cancelled"]) == ("completed", 1, 2)
    assert "has nothing left for that" in both.ok("order", "cancel", order)


def test_what_was_given_back_is_told_as_that(both: Cli, desk: Desk, home: Path) -> None:
    order = both.submit(simple_file(home, 2))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.PURCHASED)
    orders.complete_finished(desk.runtime)
    assert not any("released" in both.ok("order", *words) for words in (("show", order), ("list",)))
    settle(desk, NUMBERS[1], Status.RELEASED)
    for told in (both.json("order", "show", order), both.json("order", "list")[0]):
        assert (told["bought"], told["cancelled"], told["released"]) == (1, 0, 1)
    assert all("released" in both.ok("order", *words) for words in (("show", order), ("list",)))
    assert "1 bought, 1 released of 2" in (told := both.ok("order", "watch", order))
    assert "again" not in told


def test_cancel_says_what_is_left_to_another_order(both: Cli, desk: Desk, home: Path) -> None:
    first, second = both.submit(simple_file(home, 3)), both.submit(simple_file(home, 1, name="other.csv"))
    told = both.ok("order", "cancel", first)
    assert f"2 lines of order {first} were asked to stop." in told
    assert "1 line left to another order or request for the same number" in told
    assert both.json("order", "cancel", first) == {"order_id": first, "cancelled": 0, "left": 1, "ended": 0}
    assert "1 line left to another order" in both("order", "show", first).stderr
    shown = both.json("order", "show", first)
    assert (shown["status"], shown["cancelled"], shown["waiting"]) == ("open", 2, 1)
    settle(desk, NUMBERS[0], Status.PURCHASED)
    orders.complete_finished(desk.runtime)
    listed = {one["id"]: (one["status"], one["bought"], one["cancelled"]) for one in both.json("order", "list")}
    assert listed == {first: ("completed", 1, 2), second: ("completed", 1, 0)}


def test_a_cancel_that_leaves_all_to_another_order_is_something_done_and_a_retry_takes_it_back(
    both: Cli, home: Path
) -> None:
    first = both.submit(simple_file(home, 1))
    both.submit(simple_file(home, 1, name="other.csv"))
    for command, words in (
        ("cancel", "1 line left to another order"),
        ("retry", f"1 line of order {first} are answered"),
    ):
        told = both.ok("order", command, first)
        assert (words in told, "Watch it:" in told, "nothing was done" in told) == (True, True, False)
    assert "nothing was done" in both.ok("order", "retry", first)


def test_retry_of_an_order_at_its_limit_is_wrong_use(cli: Cli, desk: Desk, home: Path) -> None:
    order = cli.submit(simple_file(home, 2), "--max", "1")
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.CANCELLED)
    assert "all that its --max 1 allows: submit the numbers" in cli.refused("order", "retry", order)


def test_retry_of_an_order_that_was_given_up_is_wrong_use(cli: Cli, desk: Desk) -> None:
    order = orders.begin(desk.runtime)["id"]
    orders.abandon(desk.runtime, order)
    assert "is abandoned: submit its file again" in cli.refused("order", "retry", order)
