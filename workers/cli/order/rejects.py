"""The rejected rows of a file in a file of their own, which can be mended and submitted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tasks.orderfile import Format, OrderFileError
from tasks.orderfile.objects import list_elements
from tasks.orderfile.text import SUFFIXES, Text
from workers.cli.terminal.errors import Failure
from workers.cli.terminal.input_file import STDIN
from workers.cli.terminal.output import count, say

if TYPE_CHECKING:
    from workers.cli.order.check_file import Checked


def write_rejects(file: str, target: Path, checked: Checked, format: Format | None) -> None:
    """Write the rows of *file* that have a problem to *target*, as they stand there, with the header of a CSV.

    Raises Failure where that cannot be, and where *target* is there already.
    """
    if file == STDIN:
        raise Failure("--rejects reads the file again: name it, standard input is gone")
    bad = {problem["line"] for problem in checked.problems}
    with Path(file).open("rb") as source:
        text, found = _read(source, file, target, format)
        starts = bad | {line for line, _ in checked.lines}
        rows = _elements(text, bad) if found == "json" else _lines(text, bad, starts, header=found == "csv")
        try:
            # with a mark, without which spreadsheets take it for another encoding
            with target.open("x", encoding="utf-8-sig", newline="") as written:
                written.writelines(rows)
        except OSError as exc:
            raise Failure(f"--rejects {target}: cannot be written: {exc.strerror}") from exc
    say(f"{target}: {count(len(bad), 'bad row')}, to be mended and submitted")


def _read(source: BinaryIO, name: str, target: Path, format: Format | None) -> tuple[Text, Format]:
    try:
        text = Text(source, name)
    except OrderFileError as exc:
        raise Failure("--rejects is for CSV, JSON and NDJSON: mend a spreadsheet itself") from exc
    found = format or text.guess_format()
    if SUFFIXES.get(target.suffix.lower()) != found:
        raise Failure(f"--rejects {target}: the rows are {found}: name it like bad.{found}")
    return text, found


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
