"""`order submit`: files whose columns have names of their own."""

from pathlib import Path

import pytest

from tests.workers.cli.running import NUMBERS, Cli, counted, purchases
from workers.views.desk import Desk


def french(home: Path, more: str = "", cell: str = "") -> str:
    path = home / "commande.csv"
    path.write_text(f"T\u00e9l\u00e9phone,Fournisseur{more}\n{NUMBERS[0]},timepay{cell}\n", encoding="utf-8")
    return str(path)


NAMED = ("--column", "number=T\u00e9l\u00e9phone", "--column", "provider=Fournisseur")


def test_columns_are_named_at_the_command_line(cli: Cli, desk: Desk, home: Path) -> None:
    said = cli.refused("order", "submit", french(home))
    assert "unknown column" in said
    for mend in ("--column number=NAME", "--other-columns metadata", "--ignore-other-columns"):
        assert mend in said
    assert cli.json("order", "submit", french(home), *NAMED)["lines"] == 1
    assert set(purchases(desk)) == {NUMBERS[0]}


def test_other_columns_are_kept_or_passed_over(cli: Cli, desk: Desk, home: Path) -> None:
    file = french(home, ",Ville", ",Lyon")
    assert "line 1, Ville: unknown column" in cli.refused("order", "submit", file, *NAMED)
    cli.ok("order", "submit", file, *NAMED, "--ignore-other-columns", "--dry-run")
    cli.submit(Path(file), *NAMED, "--other-columns", "metadata")
    assert purchases(desk)[NUMBERS[0]]["metadata"] == {"Ville": "Lyon"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--column", "numbr=X"], "--column numbr: unknown column 'numbr': did you mean 'number'?"),
        (["--column", "number"], "--column 'number' is not KEY=VALUE: write it like --column number=Phone"),
        (["--column", "number="], "--column number: '' is no name"),
        (["--column", "number=a", "--column", "provider=A"], "--column provider: 'A' is no name, or given twice"),
        (["--ignore-other-columns", "--other-columns", "metadata"], "exclude each other"),
        ([*NAMED[:2], "--column", "provider=Carrier", "--ignore-other-columns"], "no column 'carrier'"),
    ],
)
def test_a_wrong_naming_begins_nothing(cli: Cli, desk: Desk, home: Path, options: list[str], message: str) -> None:
    assert message in cli.refused("order", "submit", french(home), *options)
    assert counted(desk) == (0, 0, 0)


def test_each_row_is_of_its_own_country(cli: Cli, home: Path) -> None:
    path = home / "two.csv"
    path.write_text("Phone,Country,provider\n0301234567,DE,bird\n415 555 1004,US,bird\n301234569,,bird\n")
    for others in ((), ("--other-columns", "metadata"), ("--ignore-other-columns",)):
        told = cli.refused("order", "submit", str(path), *others, "--dry-run")
        assert "--country says which country they are of, a column `country` says it of each row" in told
        document = cli.json("order", "submit", str(path), *others, "--country", "DE", "--dry-run")
        assert {one["country"]: one["to_buy"] for one in document["countries"]} == {"DE": 2, "US": 1}
    path.write_text("Phone,Country,provider\n0301234567,Germany,bird\n+14155551005,DE,bird\n")
    told = cli.refused("order", "submit", str(path), "--dry-run")
    assert "line 2, country: 'Germany' is no country" in told
    assert "line 3, country: is DE, and '+14155551005' is of US" in told
