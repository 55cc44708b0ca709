"""CSV: a header row that names the columns, then one purchase a line."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.orderfile.columns import EXPORT_COLUMNS, REQUEST_COLUMNS, canonical, unknown
from tasks.orderfile.export import unquoted
from tasks.orderfile.text import Text
from tasks.orderfile.values import Problem, Row

_DELIMITERS = (",", ";", "\t")
# only an export has these columns
_OBJECTS = ("metadata", "options")
_PHONE = re.compile(r"[+(]?[0-9][0-9 ().+-]{5,}")


def read_table(text: Text, *, provider_given: bool) -> Iterator[Row | Problem]:
    """The rows of a CSV file, or the problems of its header and then nothing. Raises OrderFileError."""
    header = next((line for line in text if line.strip(" \t\r\n;,")), None)
    if header is None:
        raise text.error("is empty: the first line names the columns, like number,provider")
    delimiter = _delimiter(header)
    names = _split(header, delimiter)
    if not any(map(canonical, names)) and any(_PHONE.fullmatch(name) for name in names):
        raise text.error(f"line {text.number} is no header: the first line must name the columns, like number,provider")
    if names == list(EXPORT_COLUMNS):
        columns = [name if name in REQUEST_COLUMNS else None for name in names]
    else:
        problems = [*_header_problems(names, text.number, provider_given=provider_given)]
        yield from problems
        if problems:
            return
        columns = [canonical(name) for name in names]
    yield from _rows(text, delimiter, columns)


def _rows(text: Text, delimiter: str, columns: Sequence[str | None]) -> Iterator[Row | Problem]:
    for line, cells in _records(text, delimiter):
        if isinstance(cells, Problem):
            yield cells
        elif len(cells) != len(columns):
            counts = f"has {len(cells)} cells where the header has {len(columns)}"
            yield Problem(line, None, f"{counts}: quote a cell that holds {delimiter!r}, and leave none out")
        else:
            yield _row(line, columns, cells)


def _row(line: int, columns: Sequence[str | None], cells: Sequence[str]) -> Row | Problem:
    fields: dict[str, Any] = {
        name: cell for name, cell in zip(columns, cells, strict=True) if name is not None and cell
    }
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
    """Each record that is not blank, its cells stripped, with the line on which it begins."""
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
        if any(cells):
            yield line, cells


def _delimiter(header: str) -> str:
    """The one that finds the most known columns, then the most columns; a comma in doubt."""

    def found(delimiter: str) -> tuple[int, int]:
        names = _split(header, delimiter)
        return sum(canonical(name) is not None for name in names), len(names)

    return max(_DELIMITERS, key=found)


def _split(header: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([header], delimiter=delimiter, skipinitialspace=True))
    return [cell.strip() for cell in cells]


def _header_problems(names: Sequence[str], line: int, *, provider_given: bool) -> Iterator[Problem]:
    seen: set[str] = set()
    for name in names:
        column = canonical(name)
        if column is None:
            yield Problem(line, name or None, unknown(name))
        elif column in seen:
            yield Problem(line, column, "the column is there twice: remove one")
        else:
            seen.add(column)
    if "number" not in seen:
        yield Problem(line, "number", "the column is missing: the first line names the columns, like number,provider")
    if "provider" not in seen and not provider_given:
        yield Problem(line, "provider", "the column is missing: add it, or name one provider for the whole file")
