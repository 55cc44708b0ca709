"""The rejected rows of a file in a file of their own, which can be mended and submitted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tasks.orderfile import Format
from tasks.orderfile.objects import list_elements
from tasks.orderfile.spreadsheets.archive import OLE, ZIP, Archive
from tasks.orderfile.text import SUFFIXES, Text, read_fully
from workers.cli.terminal.input_file import STDIN
from workers.cli.terminal.output import say
from workers.views.errors import Failure
from workers.views.whole_file import whole_file
from workers.views.words import count

if TYPE_CHECKING:
    from workers.views.orders.check_file import Checked


def write_rejects(file: str, target: Path, checked: Checked, *, how: Mapping[str, Any]) -> None:
    """Write the rows of *file* that have a problem to *target*, as they stand there, with the header of a table.

    Rows of a spreadsheet go to an .xlsx, all cells as text, or to a CSV: cells that are not what they show are marked
    there. *how* is how the file was read. Raises Failure where that cannot be, and where *target* is there already.
    """
    if file == STDIN:
        raise Failure("--rejects reads the file again: name it, standard input is gone")
    if not Path(file).is_file():
        raise Failure(f"--rejects reads the file again: {file} is a pipe or a device, write a file of it first")
    bad = {problem["line"] for problem in checked.problems}
    with Path(file).open("rb") as source:
        head = read_fully(source, len(OLE))
        if how["format"] is None and head.startswith((ZIP, OLE)):
            _write_cells(Archive(source, head, file), target, bad, how)
        else:
            _write_text(Text(source, file, head), target, checked, bad, how["format"])
    say(f"{target}: {count(len(bad), 'bad row')}, to be mended and submitted")


def _write_cells(archive: Archive, target: Path, bad: set[int], how: Mapping[str, Any]) -> None:
    from tasks.orderfile.spreadsheets.sheets import Sheet  # noqa: PLC0415 - so that nothing else waits for it
    from tasks.orderfile.spreadsheets.writer import write_cells  # noqa: PLC0415

    suffix = target.suffix.lower()
    if suffix not in (".xlsx", ".csv"):
        raise Failure(f"--rejects {target}: the rows are a spreadsheet's: name it like bad.xlsx or bad.csv")
    rows = Sheet(archive, how["sheet"]).some(bad, how["naming"])
    with _created(target) as written:
        if suffix == ".xlsx":
            write_cells(rows, written.buffer)
        else:
            csv.writer(written, lineterminator="\r\n").writerows(rows)


def _write_text(text: Text, target: Path, checked: Checked, bad: set[int], format: Format | None) -> None:
    found = format or text.guess_format()
    if SUFFIXES.get(target.suffix.lower()) != found:
        raise Failure(f"--rejects {target}: the rows are {found}: name it like bad.{found}")
    starts = bad | {line for line, _ in checked.lines} | {*checked.wish_lines}
    rows = _elements(text, bad) if found == "json" else _lines(text, bad, starts, header=found == "csv")
    with _created(target) as written:
        written.writelines(rows)


def _created(target: Path) -> AbstractContextManager[TextIO]:
    if target.exists():
        raise Failure(f"--rejects {target}: is there already: name another file")
    # with a mark, without which spreadsheets take it for another encoding
    return whole_file(target, encoding="utf-8-sig", anew=True)


def _lines(text: Text, bad: set[int], starts: set[int], *, header: bool) -> Iterator[str]:
    """The header, and each line from the start of a bad row to that of the next row."""
    kept = header
    for line in text:
        if text.number in starts:
            kept = text.number in bad
        if kept:
            yield line if line.endswith(("\n", "\r")) else f"{line}\n"


def _elements(text: Text, bad: set[int]) -> Iterator[str]:
    separator = "[\n"
    for position, element in enumerate(list_elements(text), 1):
        if position in bad:
            yield separator + json.dumps(element, ensure_ascii=False)
            separator = ",\n"
    yield "\n]\n"
