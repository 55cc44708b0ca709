"""What commands print: results on standard output, everything else on standard error.

Text from files, requests and providers is data: it goes through `plain`, never through Rich markup.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from workers.views.words import as_json, json_value, moment, plain, short_id

Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON on standard output, nothing else.")]

_WIDE = 400
"""Columns of a table that goes into a pipe or a file: nothing is cut there."""

_IDS = frozenset({"id", "order", "purchase", "order_id", "purchase_id"})
"""Columns of tables that hold ids of ours."""

_COPIED = _IDS | {"number", "provider", "pool", "stock_item_id"}
"""Columns of tables that hold what commands take."""

_PLAIN_EVERY = 5.0
"""Seconds between lines of progress where there is no terminal."""


def say(message: str = "", style: str | None = None) -> None:
    """One message for people, on standard error."""
    _console(sys.stderr).print(Text(plain(message), style=style or ""), soft_wrap=True)


def show(message: str = "", style: str | None = None) -> None:
    """One line of the result, on standard output."""
    _console(sys.stdout).print(Text(plain(message), style=style or ""), soft_wrap=True)


def show_line(line: str) -> None:
    """One of very many lines, on standard output, without the cost of a console."""
    sys.stdout.write(f"{plain(line)}\n")


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, numbers: Sequence[str] = ()) -> None:
    """A table on standard output; the columns in *numbers* stand to the right.

    What people copy is never broken over lines, however narrow the terminal is: ids are shown by their end.
    """
    cells = [[_in_table(name, value) for name, value in zip(columns, row, strict=True)] for row in rows]
    console = _console(sys.stdout)
    if not console.is_terminal and (lines := _aligned([[*columns], *cells], [name in numbers for name in columns])):
        sys.stdout.write("\n".join([*lines, ""]))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(
            name,
            justify="right" if name in numbers else "left",
            overflow="fold",
            no_wrap=name in _COPIED or name in numbers,
            min_width=max(map(len, name.split()), default=0),
        )
    for row in cells:
        table.add_row(*map(Text, row))
    if console.measure(table, options=console.options.update(width=_WIDE)).maximum > console.width:
        table.padding = (0, 1, 0, 0)
    # Cut at the edge, nothing could be copied.
    console.print(table, crop=False)


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str] | None:
    """The lines of a table where nothing is to be broken over lines, as Rich has them, in a fortieth of its time."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    if sum(widths) + 2 * len(widths) > _WIDE or any("\n" in cell or "\t" in cell for row in rows for cell in row):
        return None
    lines = []
    for row in rows:
        gaps = [" " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        padded = [gap + cell if end else cell + gap for cell, gap, end in zip(row, gaps, right, strict=True)]
        lines.append("  ".join(padded))
    return lines


def show_fields(fields: Mapping[str, Any]) -> None:
    """Names and values, one a line; what is None or empty is left out."""
    shown = {name: _cell(value) for name, value in fields.items() if value not in (None, "", {}, [])}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        show(f"{name:<{width}}  {value}")


def emit_json(document: Any) -> None:
    """One JSON document on one line."""
    sys.stdout.write(as_json(document) + "\n")
    sys.stdout.flush()


def error_console() -> Console:
    """Standard error for live displays."""
    return _console(sys.stderr)


@contextmanager
def working(title: str) -> Iterator[None]:
    """Show on a terminal that something takes its time."""
    console = error_console()
    if not console.is_terminal:
        yield
        return
    with console.status(Text(title)):
        yield


class Meter:
    """Progress of long work on standard error: a bar on a terminal, a plain line now and then elsewhere."""

    def __init__(self, title: str, total: int | None = None) -> None:
        self._title = title
        self._total = total
        self._done = 0
        self._said = time.monotonic()
        console = error_console()
        columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
        self._bar = Progress(*columns, console=console, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, count: int) -> None:
        """*count* more are done."""
        self._done += count
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)
        elif time.monotonic() - self._said > _PLAIN_EVERY:
            self._said = time.monotonic()
            of_total = f" of {self._total:,}" if self._total else ""
            say(f"{self._title}: {self._done:,}{of_total}")


def _console(stream: Any) -> Console:
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    return console if console.is_terminal else Console(file=stream, width=_WIDE, markup=False, emoji=False)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping | list):
        return plain(json.dumps(value, ensure_ascii=False, default=json_value))
    return plain(str(value))


def _in_table(column: str, value: Any) -> str:
    return short_id(value) if column in _IDS else _cell(value)
