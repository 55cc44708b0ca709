"""CSV: a header row that names the columns, then one purchase a line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from schemas.spelling import visible
from tasks.orderfile.columns import EXPORTS, REQUEST_COLUMNS, canonical, unknown
from tasks.orderfile.export import unquoted
from tasks.orderfile.heading import read_heading
from tasks.orderfile.text import END_OF_FILE, Text
from tasks.orderfile.values import Problem, Row

# only an export has these columns
_OBJECTS = ("metadata", "options")
_PHONE = re.compile(r"[+(]?[0-9][0-9 ().+-]{5,}")


def read_table(text: Text, *, provider_given: bool) -> Iterator[Row | Problem]:
    """The rows of a CSV file, or the problems of its header and then nothing. Raises OrderFileError."""
    names, delimiter = read_heading(text, canonical, "number,provider")
    if not any(map(canonical, names)) and any(_PHONE.fullmatch(visible(name)) for name in names):
        raise text.error(f"line {text.number} is no header: the first line must name the columns, like number,provider")
    # spreadsheets leave columns without a name beside the table
    named = [name if visible(name) else "" for name in names]
    if tuple(filter(None, named)) in EXPORTS:
        columns = [name if name in REQUEST_COLUMNS or not name else None for name in named]
    else:
        problems = [*_header_problems(named, text.number, provider_given=provider_given)]
        yield from problems
        if problems:
            return
        columns = [name and canonical(name) for name in named]
    yield from _rows(text, delimiter, columns)


def _rows(text: Text, delimiter: str, columns: Sequence[str | None]) -> Iterator[Row | Problem]:
    nameless = [index for index, name in enumerate(columns) if name == ""]
    for line, cells in _records(text, delimiter):
        if isinstance(cells, Problem):
            yield cells
        elif any(map(visible, cells[len(columns) :])):
            counts = f"has {len(cells)} cells where the header has {len(columns)}"
            yield Problem(line, None, f"{counts}: quote a cell that holds {delimiter!r}")
        elif full := next((cells[index] for index in nameless if index < len(cells) and visible(cells[index])), None):
            yield Problem(line, None, f"has {full[:60]!r} in a column without a name: name the column, or empty it")
        else:
            yield _row(line, columns, cells)


def _row(line: int, columns: Sequence[str | None], cells: Sequence[str]) -> Row | Problem:
    """*cells* may be fewer than *columns*: those that are missing at the end are empty."""
    fields: dict[str, Any] = {name: cell for name, cell in zip(columns, cells, strict=False) if name and cell}
    if "metadata" in columns and "idempotency_key" in fields:
        fields["idempotency_key"] = unquoted(fields["idempotency_key"])
    for group in [name for name in _OBJECTS if name in fields]:
        try:
            found = json.loads(fields.pop(group))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            return Problem(line, group, "is not a JSON object: leave it as it was exported, or empty")
        fields.update({f"{group}.{name}": value for name, value in found.items()})
    return Row(line, fields)


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


def _header_problems(names: Sequence[str], line: int, *, provider_given: bool) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name in filter(None, names):
        column = canonical(name)
        if column is None:
            yield Problem(line, name, unknown(name))
        elif column not in seen:
            seen[column] = name
        elif visible(name).lower() == visible(seen[column]).lower():
            yield Problem(line, column, "the column is there twice: remove one")
        else:
            both = f"{seen[column][:60]!r} and {name[:60]!r}"
            yield Problem(line, column, f"two columns may be it, {both}: keep one, or rename the other metadata.NAME")
    if "number" not in seen:
        yield Problem(line, "number", "the column is missing: the first line names the columns, like number,provider")
    if "provider" not in seen and not provider_given:
        yield Problem(line, "provider", "the column is missing: add it, or name one provider for the whole file")
