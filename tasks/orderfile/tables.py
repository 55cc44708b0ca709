"""CSV: a header row that names the columns, then one purchase a line."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from schemas.numbering.spelling import visible
from tasks.orderfile.columns import Naming
from tasks.orderfile.heading import lines_below, read_heading
from tasks.orderfile.rows import Header, table_rows
from tasks.orderfile.text import END_OF_FILE, Text
from tasks.orderfile.values import Problem, Row


def read_table(text: Text, naming: Naming, *, provider_given: bool) -> Iterator[Row | Problem]:
    """The rows of a CSV file, or the problems of its header and then nothing. Raises OrderFileError."""
    names, delimiter = read_heading(text, naming.known, "number,provider")
    header = Header(names, text.number, naming)
    if any(header.problems(provider_given=provider_given)):
        below = header.below(lines_below(text, naming.known))
        if below is not None:
            raise text.error(f"line {below} seems to be the header: delete the lines above it")
    if header.is_none():
        raise text.error(f"line {header.line} is no header: the first line must name the columns, like number,provider")
    mend = f"quote a cell that holds {delimiter!r}"
    yield from table_rows(_records(text, delimiter), header, mend, provider_given=provider_given)


def _records(text: Text, delimiter: str) -> Iterator[tuple[int, list[str] | Problem]]:
    """Each record in which anything is to be seen, its cells stripped, with the line on which it begins."""
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = text.number + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as exc:
            if "expected after" not in str(exc):
                raise text.error(f"line {line}: a quote opens a cell and never closes it ({exc})") from exc
            yield line, Problem(line, None, "its quotes do not match: inside a quoted cell a quote is written twice")
            continue
        whole = "".join(cells)
        if whole.strip(END_OF_FILE) and (whole.isascii() or visible(whole)):
            yield line, cells
