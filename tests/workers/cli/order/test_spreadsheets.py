"""`order submit`: spreadsheets, of which nothing is begun where they cannot be read."""

from pathlib import Path

from tests.tasks.orderfile.workbooks import ods, xlsx
from tests.workers.cli.running import NUMBERS, Cli, counted, purchases
from workers.views.desk import Desk

HEAD = ["Phone", "Carrier"]


def test_a_spreadsheet_is_an_order(both: Cli, desk: Desk, home: Path) -> None:
    book = {"Notes": [["nothing"]], "Orders": [HEAD, [int(NUMBERS[0]), "timepay"], [NUMBERS[1], "bird"]]}
    for name, content in (("a.xlsx", xlsx(book)), ("b.ods", ods(book))):
        (home / name).write_bytes(content)
        assert both.json("order", "submit", str(home / name), "--sheet", "Orders")["lines"] == 2
        assert both.json("order", "submit", "-", "--sheet", "Orders", input=content)["lines"] == 2
    assert set(purchases(desk)) == {NUMBERS[0], NUMBERS[1]}


def test_a_bad_spreadsheet_is_refused_whole(cli: Cli, desk: Desk, home: Path) -> None:
    path = home / "orders.xlsx"
    path.write_bytes(xlsx({"Orders": [HEAD, [NUMBERS[0], "timepay"], [12, "timepay"]]}))
    told = cli.refused("order", "submit", str(path))
    assert "  sheet 'Orders', cell A3, number: '12' is not a phone number" in told
    document = cli.json("order", "submit", str(path), status=2)
    assert document["problems"][0]["place"] == "sheet 'Orders', cell A3"
    assert "has no sheet 'X': there is 'Orders'" in cli.refused("order", "submit", str(path), "--sheet", "X")
    assert "save it as 'CSV UTF-8'" in cli.refused("order", "submit", str(path), "--format", "csv")
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "is locked with a password" in cli.refused("order", "submit", str(path))
    assert counted(desk) == (0, 0, 0)


def test_an_export_is_a_spreadsheet_by_its_name(cli: Cli, home: Path) -> None:
    (home / "a.xlsx").write_bytes(xlsx({"S": [HEAD, [NUMBERS[0], "timepay"]]}))
    order = cli.submit(home / "a.xlsx")
    assert cli.ok("order", "export", order, "-o", "results.xlsx") == "results.xlsx: 1 line\n"
    assert cli.json("order", "submit", "results.xlsx")["found"] == 1
    piped = cli("order", "export", order, "--format", "xlsx").stdout_bytes
    assert cli.json("order", "submit", "-", input=piped)["found"] == 1
    before = (home / "results.xlsx").read_bytes()
    assert "is there already: --overwrite" in cli.refused("order", "export", order, "-o", "results.xlsx")
    assert (home / "results.xlsx").read_bytes() == before
    cli.ok("order", "export", order, "-o", "results.xlsx", "--overwrite")


def test_a_number_from_two_providers_is_asked_about(cli: Cli, desk: Desk, home: Path) -> None:
    path = home / "twice.csv"
    path.write_text(f"number,provider\n{NUMBERS[0]},timepay\n{NUMBERS[1]},bird\n+1 415 555 0000,bird\n")
    told = cli.refused("order", "submit", str(path))
    assert f"1 number is to be bought from a second provider too: {NUMBERS[0]} (lines 2 and 4)" in told
    assert "--allow-duplicates, if both are to be bought" in told
    assert counted(desk) == (0, 0, 0)
    assert "from a second provider too" in cli("order", "submit", str(path), "--dry-run").stderr
    assert cli.json("order", "submit", str(path), "--allow-duplicates")["lines"] == 3


def test_sheets_that_are_not_read_are_named(cli: Cli, home: Path) -> None:
    one, two = [HEAD, [NUMBERS[0], "timepay"]], [HEAD, [NUMBERS[1], "bird"], [NUMBERS[2], "bird"]]
    path = home / "two.xlsx"
    path.write_bytes(xlsx({"A": one, "B": two}))
    note = f"{path}: sheet 'A' is read, and not 'B': --sheet names another"
    told = cli("order", "submit", str(path), "--dry-run")
    assert (note in told.stderr, "1 number to buy" in told.stdout) == (True, True)
    for ways in (["--dry-run"], []):
        document = cli.json("order", "submit", str(path), *ways)
        assert (document["sheet"], document["other_sheets"]) == ("A", ["B"])
    assert "is read" not in cli("order", "submit", str(path), "--sheet", "B", "--dry-run").stderr
    path.write_bytes(xlsx({"Cover": [["Our numbers"], ["of spring"]], "B": two}))
    assert "sheet 'Cover' is read, and not 'B': --sheet names another" in cli.refused("order", "submit", str(path))
    assert cli.json("order", "submit", str(path), status=2)["other_sheets"] == ["B"]
    path.write_bytes(xlsx({"Empty": [], "B": two}))
    assert "sheet 'Empty' is empty" in (told_ := cli.refused("order", "submit", str(path)))
    assert "--sheet names another: 'B'" in told_
    path.write_bytes(xlsx({"A": one}))
    assert "--sheet" not in cli("order", "submit", str(path), "--dry-run").stderr
