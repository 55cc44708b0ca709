"""`order submit`: what is accepted, what is refused with line, column and mend, and that refusing leaves nothing."""

from pathlib import Path

import pytest

from schemas.status import Status
from tasks.providers.registry import kinds
from tests.workers.cli.running import NUMBERS, Cli, counted, csv_file, purchases, settle, simple_file
from workers.views.desk import Desk

BAD_FILES = [
    ("", "is empty: the first line names the columns"),
    ("number,provider\n", "has no rows: nothing to buy"),
    ("+14155550100,timepay\n", "line 1 is no header"),
    ("number,provider,colour\n+14155550100,timepay,red\n", "line 1, colour: unknown column"),
    ("numbr,provider\n+14155550100,timepay\n", "line 1, numbr: unknown column 'numbr': did you mean 'number'?"),
    ("number\n+14155550100\n", "line 1, provider: the column is missing"),
    ("number,provider\n+14155550100,timepai\n", "line 2, provider: 'timepai' is not configured: did you mean"),
    ("number,provider\n4155550100,timepay\n", "line 2, number: '4155550100' has no country code"),
    ("number,provider\n+14155550100,timepay\n+1 415 555 0100,timepay\n", "line 3, number: is line 2 again"),
    ("number,provider,options.inbound_agent\n+14155550100,timepay,a\n", "line 2, options.inbound_agent: unknown"),
    ("number,provider,idempotency_key\n+14155550100,bird,a b\n", "line 2, idempotency_key:"),
    ("number,provider\n+14155550100\n", "line 2, provider: is missing: name it, or one provider"),
    ("number,provider\n6465550123,timepay\n", "or +64 6 555 0123 (NZ): write the plus and the country code"),
    ("Phone,Mobile,provider\n+14155550100,,timepay\n", "line 1, number: two columns may be it, 'Phone' and 'Mobile'"),
    (b"number,provider\n\xff\xfe,timepay\n", "is not UTF-8 text"),
    (b"PK\x03\x04rest", "is damaged, or no spreadsheet"),
]


@pytest.mark.parametrize(("content", "message"), BAD_FILES)
def test_a_bad_file_is_refused_whole(cli: Cli, desk: Desk, home: Path, content: str | bytes, message: str) -> None:
    path = home / "bad.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert message in cli.refused("order", "submit", str(path))
    assert counted(desk) == (0, 0, 0)


def test_a_file_of_a_gigabyte_is_refused_at_once(cli: Cli, desk: Desk, home: Path) -> None:
    path = home / "huge.csv"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert "is larger than 256 MiB: split it" in cli.refused("order", "submit", str(path))
    assert counted(desk) == (0, 0, 0)


def test_a_folder_is_no_file(cli: Cli, home: Path) -> None:
    assert "cannot be read: Is a directory" in cli.refused("order", "submit", str(home))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--provider", "birb"], "provider 'birb' is not configured: did you mean 'bird'?"),
        (["--country", "XX"], "--country 'XX' is no country"),
        (["--metadata", "team"], "--metadata 'team' is not KEY=VALUE: write it like --metadata team=sales"),
        (["--metadata", "a=1", "--metadata", "a=2"], "'a' is given twice"),
        (["--metadata", f"a={'x' * 9000}"], "8192 at most"),
        (["--format", "xml"], "--format"),
    ],
)
def test_a_bad_option_is_refused(cli: Cli, desk: Desk, home: Path, arguments: list[str], message: str) -> None:
    assert message in cli.refused("order", "submit", str(simple_file(home, 2)), *arguments)
    assert counted(desk) == (0, 0, 0)


def test_bad_rows_that_are_alike_are_told_together_and_json_has_all(cli: Cli, home: Path) -> None:
    path = csv_file(home, [*(f"{n},timepay" for n in range(25)), f"{NUMBERS[0]},nobody", f"{NUMBERS[1]},no one"])
    told = cli.refused("order", "submit", str(path))
    assert "numbers.csv: 27 bad rows, 0 good ones; nothing was accepted" in told
    assert "  25 times, number: '0' is not a phone number (lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 15 more)" in told
    assert "  2 times, provider: 'nobody' is not configured" in told
    assert "(lines 27, 28)" in told
    few = cli.refused("order", "submit", str(path), "--max-problems-shown", "1")
    assert "provider:" not in few
    assert "and 2 more (--json gives all" in few
    document = cli.json("order", "submit", str(path), status=2)
    assert [problem["line"] for problem in document["problems"]] == list(range(2, 29))
    assert document["accepted"] is False


def test_an_order_is_accepted_on_both_databases(both: Cli, desk: Desk, home: Path) -> None:
    header = "number,provider,idempotency_key,options.inbound_agent,metadata.team"
    path = csv_file(home, [f"{NUMBERS[0]},fluents,k1,agent-1,sales", f"tel:{NUMBERS[1]},bird,k2,,"], header)
    document = both.json("order", "submit", str(path), "--metadata", "ticket=7", "--name", "spring")
    assert (document["lines"], document["new"], document["found"]) == (2, 2, 0)
    found = purchases(desk)
    assert set(found) == set(NUMBERS[:2])
    first = found[NUMBERS[0]]
    assert (first["provider"], first["idempotency_key"], first["status"]) == ("fluents", "k1", "queued")
    assert first["options"] == {"inbound_agent": "agent-1"}
    assert first["metadata"] == {"team": "sales"}
    order = both.json("order", "show", document["order_id"])["order"]
    assert (order["name"], order["status"], order["metadata"]) == ("spring", "open", {"ticket": "7"})


def test_standard_input_and_every_format(cli: Cli, desk: Desk) -> None:
    objects = [f'{{"number": "{number}", "provider": "bird"}}' for number in NUMBERS[:3]]
    assert cli.json("order", "submit", "-", input=f"[{objects[0]}]")["lines"] == 1
    assert cli.json("order", "submit", "-", "--format", "ndjson", input=objects[1])["lines"] == 1
    assert cli.json("order", "submit", "-", "--provider", "bird", input=f"number\n{NUMBERS[3]}\n")["name"] is None
    assert set(purchases(desk)) == {NUMBERS[0], NUMBERS[1], NUMBERS[3]}


def test_a_country_lets_national_numbers_be_read(cli: Cli, desk: Desk) -> None:
    cli.ok("order", "submit", "-", "--country", "us", input="number,provider\n(415) 555-0100,bird\n")
    assert set(purchases(desk)) == {"+14155550100"}


def test_without_a_country_the_option_is_named(cli: Cli) -> None:
    told = cli.refused("order", "submit", "-", input="number,provider\n(415) 555-0100,bird\n")
    assert "Numbers without a country code: --country says which country they are of" in told


def test_bad_rows_may_be_left_out(cli: Cli, desk: Desk, home: Path) -> None:
    path = csv_file(home, [f"{NUMBERS[0]},timepay", "12,timepay", f"{NUMBERS[1]},nobody"])
    result = cli("order", "submit", str(path), "--skip-invalid")
    assert result.exit_code == 0
    assert "2 bad rows, 1 good one; they are left out" in result.stderr
    assert "line 3, number" in result.stderr
    assert set(purchases(desk)) == {NUMBERS[0]}
    document = cli.json("order", "submit", str(path), "--skip-invalid")
    assert (document["lines"], document["bad_rows"], len(document["problems"])) == (1, 2, 2)


def test_leaving_out_every_row_is_no_order(cli: Cli, desk: Desk, home: Path) -> None:
    told = cli.refused("order", "submit", str(csv_file(home, ["12,timepay"])), "--skip-invalid")
    assert "nothing was accepted" in told
    assert counted(desk) == (0, 0, 0)


def test_a_dry_run_accepts_nothing_and_tells_what_is_ours(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 4))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.HELD)
    settle(desk, NUMBERS[2], Status.FAILED)
    before = counted(desk)
    document = cli.json("order", "submit", str(simple_file(home, 10)), "--dry-run")
    plan = document["providers"][0]
    assert (plan["provider"], plan["to_buy"], plan["bought"], plan["held"], plan["in_work"]) == ("timepay", 7, 1, 1, 1)
    # TimePay's default is 5 in any second and a guard of 25 ms
    assert plan["seconds"] == pytest.approx(7 * 1.025 / 5)
    assert "7 numbers to buy, in 1 s at the least" in cli.ok("order", "submit", "numbers.csv", "--dry-run")
    assert counted(desk) == before


def test_a_dry_run_tells_what_was_given_back(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 3))
    for number in NUMBERS[:3]:
        settle(desk, number, Status.PURCHASED)
    for number in NUMBERS[1:3]:
        settle(desk, number, Status.RELEASED)
    cli.submit(csv_file(home, [f"{NUMBERS[2]},timepay"], name="again.csv"))
    document = cli.json("order", "submit", str(simple_file(home, 4)), "--dry-run")
    for [plan] in (document["providers"], document["countries"]):
        assert (plan["to_buy"], plan["given_back"], plan["bought"], plan["in_work"]) == (2, 1, 1, 1)
    told = cli.ok("order", "submit", "numbers.csv", "--dry-run")
    assert "1 number among them would be bought again: given back before." in told


def test_a_dry_run_counts_the_numbers_of_each_country(cli: Cli, desk: Desk, home: Path) -> None:
    cli.submit(simple_file(home, 2))
    settle(desk, NUMBERS[0], Status.PURCHASED)
    rows = [*NUMBERS[:4], "+14165550142", "+1 416 555 0143", "+1 (876) 555-0144", "+442071838750", "+80012345678"]
    path = csv_file(home, [f"{row},timepay" for row in rows])
    document = cli.json("order", "submit", str(path), "--country", "US", "--dry-run")
    found = [(one["country"], one["to_buy"], one["bought"], one["in_work"]) for one in document["countries"]]
    assert found == [("CA", 2, 0, 0), ("US", 2, 1, 1), ("GB", 1, 0, 0), ("JM", 1, 0, 0), (None, 1, 0, 0)]
    told = cli.ok("order", "submit", str(path), "--country", "US", "--dry-run")
    assert [line.split()[:2] for line in told.splitlines() if line.strip().startswith(("CA", "JM", "no"))] == [
        ["CA", "2"],
        ["JM", "1"],
        ["no", "country"],
    ]


def test_the_same_file_again_points_to_the_same_purchases(both: Cli, desk: Desk, home: Path) -> None:
    path = simple_file(home, 5)
    first, second = both.submit(path), both.submit(path)
    assert first != second
    assert counted(desk) == (2, 10, 5)
    exports = [both.json("order", "export", order) for order in (first, second)]
    assert [line["purchase_id"] for line in exports[0]] == [line["purchase_id"] for line in exports[1]]


def test_the_same_file_again_buys_only_what_is_missing(cli: Cli, desk: Desk, home: Path) -> None:
    path = simple_file(home, 3)
    cli.submit(path)
    settle(desk, NUMBERS[0], Status.PURCHASED)
    settle(desk, NUMBERS[1], Status.FAILED)
    document = cli.json("order", "submit", str(path))
    assert (document["new"], document["found"]) == (1, 2)
    assert purchases(desk)[NUMBERS[1]]["status"] == Status.QUEUED


def test_a_key_that_came_before_with_another_request_is_found_in_the_check(cli: Cli, desk: Desk, home: Path) -> None:
    header = "number,provider,idempotency_key"
    cli.submit(csv_file(home, [f"{NUMBERS[0]},timepay,k1"], header))
    before = counted(desk)
    path = csv_file(home, [f"{NUMBERS[1]},timepay,k2", f"{NUMBERS[2]},timepay,k1"], header)
    told = cli.refused("order", "submit", str(path))
    assert "line 3, idempotency_key: 'k1' came before with another request" in told
    assert counted(desk) == before
    assert cli.json("order", "submit", str(path), "--skip-invalid")["lines"] == 1


def test_five_thousand_rows(cli: Cli, desk: Desk, home: Path) -> None:
    names = list(kinds())
    path = csv_file(home, (f"+1415{n},{names[n % len(names)]}" for n in range(5_000_000, 5_005_000)))
    order = cli.submit(path)
    assert counted(desk) == (1, 5000, 5000)
    shown = cli.json("order", "show", order)
    assert (shown["lines"], shown["waiting"]) == (5000, 5000)
    assert {part["provider"]: part["lines"] for part in shown["providers"]} == dict.fromkeys(names, 5000 // len(names))


def test_text_of_the_file_is_never_markup(cli: Cli, home: Path) -> None:
    path = csv_file(home, [f"{NUMBERS[0]},[red]x[/red]"])
    assert "'[red]x[/red]' is not configured" in cli.refused("order", "submit", str(path))
    document = cli.json("order", "submit", str(simple_file(home, 1)), "--name", "[b]\x1b[31mred" + "x" * 300)
    assert document["name"].startswith("[b] [31mred")
    assert len(document["name"]) == 200
    assert "[b] [31mred" in cli.ok("order", "list")
