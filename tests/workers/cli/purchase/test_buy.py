"""`buy`: one number, accepted here and bought by workers."""

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.status import Status
from tests.waiting import PATIENCE, eventually
from tests.workers.cli.running import NUMBERS, Cli, counted, purchases, settle, simple_file
from workers.views.desk import Desk

Start = Callable[..., "subprocess.Popen[str]"]
BIRD = "3f1e122e-13b6-507a-a7e7-84b95ffc3e20"


def test_it_is_written_down_and_left_to_the_workers(both: Cli, desk: Desk) -> None:
    options = ("--key", "k1", "--option", f"stock_item_id={BIRD}", "--metadata", "team=a=b")
    document = both.json("buy", "(415) 555-0000", "--country", "us", "--provider", "bird", *options)
    row = purchases(desk)[NUMBERS[0]]
    assert document["created"] is True
    assert document["purchase"]["id"] == row["id"]
    assert (row["status"], row["idempotency_key"], row["order_id"]) == ("queued", "k1", None)
    assert row["options"] == {"stock_item_id": BIRD}
    assert row["metadata"] == {"team": "a=b"}
    events = both.json("purchase", "show", row["id"])["events"]
    assert [event["type"] for event in events] == ["dialstock.request.accepted"]


def test_a_number_in_work_is_not_bought_again(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 1))
    document = cli.json("buy", NUMBERS[0], "--provider", "timepay")
    assert document["created"] is False
    assert counted(desk)[2] == 1
    settle(desk, NUMBERS[0], Status.PURCHASED)
    told = cli.ok("buy", NUMBERS[0], "--provider", "timepay")
    assert "This purchase was there before:" in told
    assert "Done: the number is ours." in told


def test_it_is_told_of_what_an_order_asked_for_before_and_outlives_its_cancel(
    both: Cli, desk: Desk, home: Path
) -> None:
    order = both.submit(simple_file(home, 2))
    first, second = (both.json("buy", NUMBERS[0], "--provider", "timepay", "--metadata", f"of={n}") for n in "ab")
    assert first["purchase"]["id"] == second["purchase"]["id"]
    assert both.json("order", "cancel", order) == {"order_id": order, "cancelled": 1, "left": 1, "ended": 0}
    assert {number: row["status"] for number, row in purchases(desk).items()} == {
        NUMBERS[0]: Status.QUEUED,
        NUMBERS[1]: Status.CANCELLED,
    }
    settle(desk, NUMBERS[0], Status.PURCHASED)
    events = both.json("purchase", "show", first["purchase"]["id"])["events"]
    told = [event["data"] for event in events if event["type"] == "dialstock.purchase.purchased"]
    assert [(data["idempotency_key"], data["metadata"]) for data in told[1:]] == [
        (first["idempotency_key"], {"of": "a"}),
        (second["idempotency_key"], {"of": "b"}),
    ]


def test_the_same_key_is_the_same_purchase_even_if_it_failed(cli: Cli, desk: Desk) -> None:
    command = ("buy", NUMBERS[0], "--provider", "timepay", "--key", "k1")
    first = cli.json(*command)
    settle(desk, NUMBERS[0], Status.FAILED)
    again = cli.json(*command, status=1)
    assert again["purchase"]["id"] == first["purchase"]["id"]
    assert "came before with another request" in cli.refused("buy", NUMBERS[1], "--provider", "timepay", "--key", "k1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["12", "--provider", "bird"], "'12' is not a phone number"),
        (["(415) 555-0100", "--provider", "bird"], "(--country names the country)"),
        ([NUMBERS[0], "--provider", "birb"], "'birb' is not configured: did you mean 'bird'?"),
        ([NUMBERS[0]], "Missing option '--provider'"),
        ([NUMBERS[0], "--provider", "bird", "--option", "stock=1"], "options.stock: unknown field"),
        ([NUMBERS[0], "--provider", "bird", "--option", "stock"], "write it like --option NAME=VALUE, a NAME that"),
        ([NUMBERS[0], "--provider", "bird", "--key", "a b"], "idempotency_key"),
    ],
)
def test_what_cannot_be_bought_is_refused(cli: Cli, desk: Desk, arguments: list[str], message: str) -> None:
    assert message in cli.refused("buy", *arguments)
    assert counted(desk) == (0, 0, 0)


def test_a_number_that_the_named_country_does_not_have_is_refused(cli: Cli, desk: Desk) -> None:
    told = cli.refused("buy", "212-555-01345", "--provider", "bird", "--country", "US")
    assert "is not a possible number of US" in told
    assert "--country names" not in told
    assert "(--country names the country)" in cli.refused("buy", "6465550123", "--provider", "bird")
    assert counted(desk) == (0, 0, 0)


def test_waiting_ends_with_the_result(cli: Cli, desk: Desk, start: Start) -> None:
    process = start("buy", NUMBERS[0], "--provider", "timepay", "--wait")
    eventually(lambda: purchases(desk))
    settle(desk, NUMBERS[0], Status.FAILED, error="taken", error_code="gone")
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "taken" in out
    assert "queued: Bought as soon as a worker has room for it" in err


def test_ctrl_c_ends_the_waiting_only(cli: Cli, desk: Desk, start: Start) -> None:
    process = start("buy", NUMBERS[0], "--provider", "timepay", "--wait")
    assert process.stderr is not None
    assert process.stderr.readline().startswith("Buying up to 1 number from timepay")
    assert process.stderr.readline().startswith("queued: ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert f"dialstock purchase show {purchases(desk)[NUMBERS[0]]['id']}" in err
    assert purchases(desk)[NUMBERS[0]]["status"] == "queued"
