"""An order's lines go to whoever takes them, however slowly, and hold nothing up."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.reports import queries
from tests.tasks.reports.test_reading_in_steps import held_up
from tests.waiting import eventually
from tests.workers.cli.running import NUMBERS, Cli, simple_file
from workers.cli.order import view
from workers.views.desk import Desk
from workers.views.orders import export


class Slow(io.StringIO):
    """A reader before each of whose lines the database must be able to clean up."""

    check: Callable[[], bool]

    def write(self, text: str) -> int:
        eventually(self.check, what="nothing holds the database up")
        return super().write(text)


@pytest.mark.parametrize("shown", [True, False])
def test_a_slow_reader_of_lines_holds_nothing_up(
    both: Cli, desk: Desk, home: Path, monkeypatch: pytest.MonkeyPatch, shown: bool
) -> None:
    monkeypatch.setattr(queries, "STEP", 2)
    both.submit(simple_file(home, 3))
    [order] = both.json("order", "list")
    target = Slow()
    target.check = lambda: not held_up(desk.runtime.database)
    monkeypatch.setattr("sys.stdout", target)
    if shown:
        view.show_lines(desk.runtime, order["id"], None, json=True)
    else:
        assert export.export_order(desk.runtime, order["id"], None, "csv") == 3
    assert [line.count(number) for line, number in zip(target.getvalue().splitlines()[-3:], NUMBERS, strict=False)] == [
        1,
        1,
        1,
    ]


@pytest.mark.parametrize("name", ["found.ods", "found.XLS", "found.xlsb", "found.xlsm"])
def test_no_csv_is_written_under_a_spreadsheets_name(cli: Cli, tmp_path: Path, name: str) -> None:
    """What opens it by its name would call it damaged, and so do we."""
    path = tmp_path / name
    for command in (["number", "search", "--provider", "bird"], ["order", "export", "0"]):
        assert "name it .xlsx, .csv, .json or .ndjson" in cli.refused(*command, "-o", str(path))
    assert not path.exists()
