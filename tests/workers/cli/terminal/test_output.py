"""Tables on a terminal."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.status import Status
from tests import forked
from tests.forked import DIALSTOCK
from tests.workers.cli.running import NUMBERS, Cli, csv_file, purchases, settle
from workers.cli.terminal.output import show_table
from workers.views.desk import Desk

LONG = "the provider refused it: " + "this number is not for sale any more, " * 3


def on_a_terminal(*arguments: str, columns: int = 80) -> list[str]:
    """The lines that a command writes on a terminal of so many *columns*."""
    near, far = pty.openpty()
    environ = {**os.environ, "COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    done = forked.start([*DIALSTOCK, *arguments], stdin=far, stdout=far, stderr=subprocess.DEVNULL, env=environ)
    os.close(far)
    written = b""
    try:
        while more := os.read(near, 65536):
            written += more
    except OSError:
        pass  # how Linux tells that nobody writes there any more
    os.close(near)
    assert done.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", written.decode()).splitlines()


@pytest.mark.parametrize("columns", [80, 60])
def test_ids_and_numbers_can_be_copied_from_a_narrow_terminal(cli: Cli, desk: Desk, home: Path, columns: int) -> None:
    order = cli.submit(csv_file(home, [f"{NUMBERS[0]},signalwire", f"{NUMBERS[1]},signalwire"]), "--name", "n" * 60)
    settle(desk, NUMBERS[0], Status.FAILED, error=LONG, error_code="gone")
    for arguments, copied in (
        (["purchase", "list"], [purchases(desk)[NUMBERS[0]]["id"][-8:], NUMBERS[0], NUMBERS[1], "signalwire"]),
        (["order", "list"], [order[-8:]]),
        (["order", "show", "last"], [order, "signalwire"]),
        (["provider", "list"], ["signalwire", "timepay"]),
    ):
        lines = on_a_terminal(*arguments, columns=columns)
        words = {word for line in lines for word in line.split()}
        assert set(copied) <= words, "\n".join(lines)
        if columns == 80 and arguments[1] == "list" and arguments[0] != "provider":
            assert max(map(len, map(str.rstrip, lines))) <= columns


def test_a_table_in_a_file_is_as_rich_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["acme", 12_345, "waits: 号码 [bold]"], ["a", None, ""], ["\u0301e", 0, "x" * 300]]
    show_table(("provider", "queued", "state"), rows, numbers=["queued"])
    table = Table(box=None, pad_edge=False)
    for name, justify in (("provider", "left"), ("queued", "right"), ("state", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for first, second, third in rows:
        table.add_row(Text(str(first)), Text("" if second is None else f"{second:,}"), Text(str(third)))
    written = StringIO()
    Console(file=written, width=400).print(table)
    assert capsys.readouterr().out == written.getvalue()


def test_a_cell_that_is_too_wide_for_a_file_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("provider", "state"), [["acme", "x" * 500]])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 400
    assert "".join(lines).count("x") == 500
