"""`order find`: what is accepted and refused, what a dry run tells, and the whole way with workers and sandboxes."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from schemas.tables.wishes import WISH
from tasks.sandbox import SandboxServer
from tests.tasks.orderfile.workbooks import xlsx
from tests.tasks.pools.supplying import area
from tests.workers.cli.order.test_wait import worker
from tests.workers.cli.running import Cli, counted, csv_file
from workers.views.desk import Desk

__all__ = ["worker"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--count", "0"], "count: must be 1 or more"),
        (["--count", "-5"], "count: must be 1 or more"),
        (["--count", "100001"], "count: must be 100000 or less"),
        (["--count", "many"], "Invalid value for '--count': must be a whole number Usage"),
        (["--count", "1.5"], "Invalid value for '--count': must be a whole number Usage"),
        (["--count", "9", "--at-least", "x"], "Invalid value for '--at-least': must be a whole number Usage"),
        (["--count", "9", "--type", "fax"], "Invalid value for '--type': 'fax' is not one of 'local', 'mobile'"),
        (["--count", "9", "--prefix", ":3"], "prefix: is empty: give digits like 415, or leave it out"),
        (["--count", "9", "--prefix", "115"], "prefix: '115' begins no number of US"),
        (["--count", "9", "--prefix", "204"], "'204' is of CA, not of US"),
        (["--count", "9", "--prefix", "415", "--prefix", "999:3"], "'999' begins no number of US that is in use"),
        (["--count", "9", "--prefix", "415:x"], "prefix: '415:x' has no count from 1 to 100,000 after its colon"),
        (["--count", "9", "--prefix", "415:0"], "prefix: '415:0' has no count"),
        (["--count", "9", "--prefix", "415", "--prefix", "415:3"], "prefix: '415' is there twice"),
        (["--count", "90000", "--prefix", "415", "--prefix", "628"], "count: 180,000 numbers in all"),
        (["--count", "9", "--max-price", "1.50"], "max_price: '1.50' is no price: write an amount and its currency"),
        (["--count", "9", "--max-price", "1.50 USD", "--provider", "signalwire"], "'signalwire' (signalwire) tells no"),
        (["--count", "9", "--max-spend", "10"], "max_spend: '10' is no price: write an amount and its currency"),
        (["--count", "9", "--max-spend", "0 USD"], "max_spend: would buy nothing: raise it, or leave it out"),
        (["--count", "9", "--max-spend", "-1 USD"], "max_spend: '-1 USD' is no price"),
        (["--count", "9", "--max-spend", "9 USD", "--provider", "twilio"], "tells no price when it is searched"),
        (
            ["--count", "9", "--max-spend", "9 USD", "--max-price", "1 EUR"],
            "max_spend: is in USD, and max_price in EUR: write one currency",
        ),
        (["--count", "9", "--prefer", "cheapest", "--provider", "twilio"], "tells no price when it is searched"),
        (["--count", "9", "--at-least", "10"], "at_least: 10 is above count, 9: lower at_least"),
        (["--count", "9", "--prefix", "415:3", "--at-least", "4"], "4 is above the count of prefix 415, 3: lower it"),
        (["--count", "9", "--provider", "timepay"], "'timepay' (timepay) cannot be searched: take out 'timepay'"),
        (["--count", "9", "--provider", "vogent"], "'vogent' (vogent) is searched by prefix only: take out 'vogent'"),
        (["--count", "9", "--provider", "birb"], "providers: 'birb' is not configured: did you mean 'bird'?"),
        (["--count", "9", "--provider", "bird", "--provider", "bird"], "'bird' is there twice"),
        (["--count", "9", "--type", "toll-free", "--prefix", "415"], "contradicts the prefix 415"),
        (["--count", "9", "--feature", "fax"], "features"),
        (["--count", "9", "--contains", "abc"], "contains: 'abc' must be at most 15 digits"),
        (["--count", "9", "--country", "XX"], "--country 'XX' is no country"),
        (["--count", "9", "--exclude", "none.csv"], "none.csv: cannot be read: No such file"),
    ],
)
def test_bad_criteria_are_refused_and_nothing_is_begun(
    cli: Cli, desk: Desk, arguments: list[str], message: str
) -> None:
    assert message in " ".join(cli.refused("order", "find", *arguments).split())
    assert counted(desk) == (0, 0, 0)


@pytest.mark.parametrize("option", ["--max-price", "--max-spend"])
def test_an_amount_in_another_currency_than_the_providers_is_refused_with_one_mend(
    cli: Cli, desk: Desk, option: str
) -> None:
    told = cli.refused("order", "find", "--count", "9", "--provider", "vonage", option, "1.50 USD")
    who = f"{option.removeprefix('--').replace('-', '_')}: 'vonage' (vonage)"
    mend = "tells its prices in EUR, not in USD: write an amount in EUR"
    assert " ".join(told.split()) == f"dialstock: {who} {mend}"
    assert counted(desk) == (0, 0, 0)


def test_an_order_by_criteria_is_accepted_once_under_its_key(both: Cli, desk: Desk, home: Path) -> None:
    unwanted = csv_file(home, area(415, 2), header="number", name="unwanted.csv")
    arguments = [
        "--count",
        "30",
        "--prefix",
        "415",
        "--prefix",
        "628:5",
        "--idempotency-key",
        "k1",
        "--provider",
        "bird",
    ]
    more = ["--exclude", str(unwanted), "--metadata", "team=sales", "--max-price", "2 USD", "--name", "n" * 300]
    first = both.json("order", "find", *arguments, *more)
    assert (first["created"], first["count"], first["wishes"]) == (True, 35, 2)
    again = both.json("order", "find", *arguments, *more)
    assert (again["order_id"], again["created"]) == (first["order_id"], False)
    assert "came before with another request" in both.refused("order", "find", *arguments)
    with desk.runtime.database.read() as conn:
        wishes = [dict(row) for row in conn.execute(select(WISH).order_by(WISH.c.position)).mappings()]
    assert [(row["count"], row["criteria"]["prefix"], row["metadata"]) for row in wishes] == [
        (30, "415", {"team": "sales"}),
        (5, "628", {"team": "sales"}),
    ]
    assert sorted(wishes[0]["criteria"]["exclude"]) == area(415, 2)
    shown = both.json("order", "show", "last")
    assert (shown["status"], [one["missing"] for one in shown["wishes"]]) == ("open", [30, 5])
    assert shown["order"]["name"] == "n" * 199 + "\N{HORIZONTAL ELLIPSIS}"
    told = both.ok("order", "show", "last")
    assert "country US and prefix 415" in told
    assert "looks for no more numbers (wishes: 2)" in both.ok("order", "cancel", "last")
    assert both.json("order", "show", "last")["status"] == "completed"


def test_a_dry_run_tells_what_there_is_and_what_it_costs(cli: Cli, desk: Desk, sandbox: SandboxServer) -> None:
    sandbox.control.stock("plivo", area(415, 4))
    where = ["--provider", "plivo", "--provider", "telnyx", "--provider", "signalwire"]
    told = cli.json("order", "find", "--count", "10", "--prefix", "415", *where, "--dry-run")
    [wish] = told["wishes"]
    assert (wish["to_buy"], [one["to_buy"] for one in wish["providers"]]) == (10, [4, 6, 0])
    assert wish["providers"][0]["reason"] == "the search finds no more"
    assert list(wish["providers"][1]["costs"]["monthly"]) == ["USD"]
    text = cli.ok("order", "find", "--count", "10", "--prefix", "415", *where, "--dry-run")
    assert "10 of 10 numbers would be bought" in text
    assert "USD a month" in text
    assert counted(desk) == (0, 0, 0)


@pytest.mark.usefixtures("worker")
def test_criteria_are_bought_from_three_providers_of_which_two_run_out(cli: Cli, sandbox: SandboxServer) -> None:
    sandbox.control.stock("signalwire", area(415, 12))
    sandbox.control.stock("telnyx", area(415, 10, 100))
    for number in area(415, 12)[::3]:
        # It is asked for again where the look after a refusal missed its turn.
        sandbox.control.plan("signalwire", "refuse", number, times=50)
    where = ["--provider", "signalwire", "--provider", "telnyx", "--provider", "fluents"]
    result = cli("order", "find", "--count", "30", "--prefix", "415", *where, "--wait", "--json")
    assert result.exit_code == 0, result.output
    end = json.loads(result.stdout.splitlines()[-1])
    assert (end["type"], end["status"], end["bought"]) == ("end", "completed", 30)
    [wish] = end["wishes"]
    assert (wish["state"], wish["bought"], wish["replaced"], wish["missing"]) == ("reached", 30, 4, 0)
    charges = sandbox.control.charges()
    assert len({charge["number"] for charge in charges}) == len(charges) == 30
    assert {line["wish"] for line in cli.json("order", "export", "last")} == {1}
    assert Counter(charge["kind"] for charge in charges) == {"signalwire": 8, "telnyx": 10, "fluents": 12}


@pytest.mark.usefixtures("worker")
def test_what_two_providers_reserve_is_bought(cli: Cli, sandbox: SandboxServer) -> None:
    """One of them sells what is reserved only to an order that names that, and refuses two even so."""
    sandbox.control.stock("bandwidth", area(415, 12))
    sandbox.control.stock("telnyx", area(415, 12, 100))
    for number in area(415, 12)[:2]:
        sandbox.control.plan("bandwidth", "refuse", number, times=50)
    where = ["--prefix", "415", "--provider", "bandwidth", "--provider", "telnyx", "--reserve"]
    result = cli("order", "find", "--count", "18", *where, "--wait", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["bought"] == 18
    charges = sandbox.control.charges()
    assert len({charge["number"] for charge in charges}) == len(charges) == 18
    assert Counter(charge["kind"] for charge in charges) == {"bandwidth": 10, "telnyx": 8}


def test_a_file_of_counts_is_one_order(cli: Cli, home: Path) -> None:
    path = csv_file(home, ["20,415,bird,sales", "5,628,,ops"], header="count,prefix,provider,metadata.team")
    document = cli.json("order", "submit", str(path))
    assert (document["count"], document["wishes"]) == (25, 2)
    shown = cli.json("order", "show", "last")
    assert shown["order"]["name"] == "numbers.csv"
    assert [(one["count"], one["metadata"]) for one in shown["wishes"]] == [
        (20, {"team": "sales"}),
        (5, {"team": "ops"}),
    ]


def test_what_an_order_may_spend_stands_in_it_and_bounds_a_dry_run(
    cli: Cli, sandbox: SandboxServer, home: Path
) -> None:
    sandbox.control.stock("telnyx", area(415, 10))
    bounded = ["--provider", "telnyx", "--max-spend", "5 USD"]
    [wish] = cli.json("order", "find", "--count", "10", "--prefix", "415", *bounded, "--dry-run")["wishes"]
    [part] = wish["providers"]
    spent = sum(Decimal(part["costs"][what]["USD"]) for what in ("monthly", "setup"))
    assert (wish["to_buy"] > 0, spent <= 5, spent > 3) == (True, True, True)
    path = csv_file(home, ["20,415,telnyx"], header="count,prefix,provider")
    assert "max_spend: '5' is no price" in cli.refused("order", "submit", str(path), "--max-spend", "5")
    cli.json("order", "submit", str(path), "--max-spend", "5 USD")
    assert cli.json("order", "show", "last")["order"]["max_spend"] == "5.00 USD"
    assert "5.00 USD" in cli.ok("order", "show", "last")
    named = csv_file(home, [f"{area(415, 1)[0]},telnyx"])
    assert "--max-spend bounds rows with a count" in cli.refused("order", "submit", str(named), "--max-spend", "5 USD")


def test_bad_rows_with_counts_refuse_the_file(cli: Cli, desk: Desk, home: Path) -> None:
    path = csv_file(home, ["20,415", "0,628"], header="count,prefix")
    assert "line 3, count: must be a whole number" in cli.refused("order", "submit", str(path))
    assert "--max bounds orders of numbers" in cli.refused(
        "order", "submit", str(csv_file(home, ["20,415"], header="count,prefix")), "--max", "3"
    )
    assert counted(desk) == (0, 0, 0)
    assert cli.json("order", "submit", str(path), "--skip-invalid")["wishes"] == 1


def test_what_is_excluded_stands_in_one_sheet_or_that_is_told(cli: Cli, home: Path) -> None:
    rows = [["number"], ["+14155550100"]]
    wanted = ("order", "find", "--count", "1", "--prefix", "415", "--provider", "bird", "--exclude", "x.xlsx")
    (home / "x.xlsx").write_bytes(xlsx({"A": rows, "B": rows}))
    assert "--exclude x.xlsx: the sheet 'A' alone is read: put all numbers there" in cli(*wanted).stderr
    (home / "x.xlsx").write_bytes(xlsx({"A": rows}))
    assert "--exclude" not in cli(*wanted).stderr
