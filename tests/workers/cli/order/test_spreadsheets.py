"""`order submit`: spreadsheets, of which nothing is begun where they cannot be read."""

from pathlib import Path

from tests.tasks.orderfile.workbooks import ods, xlsx
from tests.workers.cli.running import NUMBERS, Cli, counted, purchases
from workers.cli.terminal.context import Desk

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
