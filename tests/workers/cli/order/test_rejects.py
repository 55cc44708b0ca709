"""`order submit --rejects`: the bad rows as they were, in a file that is an order when they are mended."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks.orderfile import Line, read_order
from tasks.providers.registry import kinds
from tests.tasks.orderfile.workbooks import Raw, ods, xlsx
from tests.workers.cli.running import NUMBERS, Cli, counted, purchases
from tests.workers.views.test_whole_file import full_disk
from workers.views.desk import Desk

SHEET = (
    "sep=;\r\nnumber;provider;metadata.note\r\n"
    f'{NUMBERS[0]};timepay;a\r\n12;timepay;"b\r\nc; d"\r\n\r\n'
    f"{NUMBERS[1]};nobody;\u00fc\r\n{NUMBERS[2]};bird;e\r\n13;bird;f"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("options", [(), ("--skip-invalid",)])
def test_the_bad_rows_can_be_mended_and_submitted(
    cli: Cli, desk: Desk, home: Path, encoding: str, options: tuple[str, ...]
) -> None:
    (home / "a.csv").write_bytes(SHEET.encode(encoding))
    result = cli("order", "submit", "a.csv", "--rejects", "bad.csv", *options)
    assert result.exit_code == (0 if options else 2)
    assert "bad.csv: 3 bad rows, to be mended and submitted" in result.stderr
    text = (home / "bad.csv").read_bytes().decode("utf-8-sig")
    assert not any(number in text for number in (NUMBERS[0], NUMBERS[2]))
    for bad, mended in (("12;", "+14155550190;"), ("13;", "+14155550191;"), ("nobody", "bird")):
        text = text.replace(bad, mended)
    (home / "bad.csv").write_bytes(text.encode())
    assert cli.json("order", "submit", "bad.csv")["lines"] == 3
    assert purchases(desk)["+14155550190"]["metadata"] == {"note": "b\r\nc; d"}
    assert set(purchases(desk)) >= {"+14155550190", "+14155550191", NUMBERS[1]}


@pytest.mark.parametrize("name", ["a.json", "a.ndjson"])
def test_bad_elements_keep_their_format(cli: Cli, home: Path, name: str) -> None:
    elements = [{"number": number, "provider": "bird"} for number in (NUMBERS[0], "12", "13")]
    text = json.dumps(elements) if name == "a.json" else "\n".join(map(json.dumps, elements))
    (home / name).write_text(text)
    assert f"the rows are {name[2:]}: name it like bad.{name[2:]}" in cli.refused(
        "order", "submit", name, "--rejects", "bad.csv"
    )
    bad = f"bad.{name[2:]}"
    cli.refused("order", "submit", name, "--rejects", bad)
    assert cli.json("order", "submit", bad, status=2)["bad_rows"] == 2


def test_a_pipe_is_not_read_again(cli: Cli, desk: Desk, home: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as pipe:
        pipe.write(SHEET)
        pipe.close()
        told = cli.refused("order", "submit", f"/dev/fd/{reading}", "--format", "csv", "--rejects", "bad.csv")
    assert "--rejects reads the file again: /dev/fd/" in told
    assert not (home / "bad.csv").exists()
    assert purchases(desk) == {}


def test_what_cannot_be_written_begins_nothing(cli: Cli, desk: Desk, home: Path) -> None:
    (home / "a.csv").write_text(SHEET)
    (home / "bad.csv").write_text("mine")
    told = cli.refused("order", "submit", "a.csv", "--rejects", "bad.csv", "--skip-invalid")
    assert "--rejects bad.csv: is there already: name another file" in told
    assert (home / "bad.csv").read_text() == "mine"
    assert "standard input is gone" in cli.refused(
        "order", "submit", "-", "--rejects", "b.csv", "--skip-invalid", input=SHEET
    )
    (home / "a.xlsx").write_bytes(xlsx({"S": [["number", "provider"], [12, "bird"], [NUMBERS[0], "bird"]]}))
    told = cli.refused("order", "submit", "a.xlsx", "--rejects", "b.json", "--skip-invalid")
    assert "the rows are a spreadsheet's: name it like bad.xlsx or bad.csv" in told
    assert not (home / "b.json").exists()
    assert counted(desk) == (0, 0, 0)


def test_rows_are_there_all_or_none(cli: Cli, home: Path) -> None:
    rows = (f"+1415555{n:04},nobody,{'x' * 2_000}\n" for n in range(900))
    (home / "a.csv").write_text("number,provider,metadata.note\n" + "".join(rows))
    before = sorted(home.iterdir())
    with full_disk(1_600_000):
        told = cli.refused("order", "submit", "a.csv", "--rejects", "bad.csv")
    assert "bad.csv: cannot be written: File too large" in told
    assert sorted(home.iterdir()) == before


@pytest.mark.parametrize("rejects", ["bad.xlsx", "bad.csv"])
@pytest.mark.parametrize("file", ["a.xlsx", "a.ods"])
def test_the_bad_rows_of_a_spreadsheet(cli: Cli, desk: Desk, home: Path, file: str, rejects: str) -> None:
    rows = [
        ["Phone", "provider", "metadata.note"],
        [NUMBERS[0], "bird", "a"],
        [NUMBERS[1], "nobody", "=b"],
        [12, "bird"],
    ]
    make = xlsx if file == "a.xlsx" else ods
    (home / file).write_bytes(make({"First": [["x"]], "S": rows}))
    cli.refused("order", "submit", file, "--sheet", "S", "--rejects", rejects)
    problems = cli.json("order", "submit", rejects, status=2)
    assert problems["bad_rows"] == 2
    with (home / rejects).open("rb") as source:
        found = list(
            read_order(
                source,
                name=rejects,
                format=None,
                kinds={"nobody": kinds()["bird"]},
                default_provider=None,
                country=None,
            )
        )
    assert [(one.request.number, one.request.metadata) for one in found if isinstance(one, Line)] == [
        (NUMBERS[1], {"note": "=b"})
    ]
    assert counted(desk) == (0, 0, 0)


def test_a_cell_that_is_not_what_it_shows_is_refused_again(cli: Cli, home: Path) -> None:
    date = Raw(' t="d"><v>2026-01-31T00:00:00</v>')
    rows: list[list[Any]] = [["number", "provider"], [date, "bird"], [14155550100123456, "bird"]]
    (home / "a.xlsx").write_bytes(xlsx({"S": rows}))
    for rejects in ("bad.xlsx", "bad.csv"):
        cli.refused("order", "submit", "a.xlsx", "--country", "US", "--rejects", rejects)
        assert cli.json("order", "submit", rejects, "--country", "US", status=2)["bad_rows"] == 2
    assert "mend this cell" in (home / "bad.csv").read_text("utf-8-sig")


@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
def test_rows_that_count_numbers_and_are_good_are_not_among_them(cli: Cli, home: Path, name: str) -> None:
    rows = [["count", "country", "prefix"], ["none", "US", "415"], ["5", "US", "212"], ["7", "US", "646"]]
    if name == "a.csv":
        (home / name).write_text("".join(f"{','.join(row)}\n" for row in rows))
    else:
        (home / name).write_bytes(xlsx({"S": rows}))
    cli.refused("order", "submit", name, "--rejects", "bad.csv")
    assert (home / "bad.csv").read_text("utf-8-sig").splitlines() == ["count,country,prefix", "none,US,415"]
