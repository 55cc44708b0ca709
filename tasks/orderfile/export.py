"""Writing an order's results, line by line. An export reads as an order of its numbers."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TextIO

from tasks.orderfile.columns import EXPORT_COLUMNS
from tasks.orderfile.text import Format

ExportFormat = Literal["csv", "json", "ndjson", "xlsx"]

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_QUOTED = {"number": (), "idempotency_key": (*FORMULA, "'")}
"""What gets an apostrophe before it, in the columns that are read again: a key must come back as it was."""


def write_export(
    rows: Iterable[Mapping[str, Any]], target: TextIO, format: Format, columns: Sequence[str] = EXPORT_COLUMNS
) -> None:
    """Write *rows* to *target* as they come, each with *columns*; what a row does not have is empty.

    In CSV, metadata and options are a column of JSON each, and a text that a spreadsheet would run as a formula is
    quoted by an apostrophe; the number keeps its plus.
    """
    if format == "csv":
        _write_csv(rows, target, columns)
    elif format == "json":
        _write_json(rows, target, columns)
    else:
        target.writelines(f"{_object(row, columns)}\n" for row in rows)


def _write_csv(rows: Iterable[Mapping[str, Any]], target: TextIO, columns: Sequence[str]) -> None:
    # with "\n" alone Python 3.11 leaves a carriage return in a cell unquoted, and it would end the row
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(column, row.get(column)) for column in columns] for row in rows)


def _write_json(rows: Iterable[Mapping[str, Any]], target: TextIO, columns: Sequence[str]) -> None:
    separator = "[\n"
    for row in rows:
        target.write(f"{separator}{_object(row, columns)}")
        separator = ",\n"
    target.write("[]\n" if separator == "[\n" else "\n]\n")


def _object(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    return json.dumps({column: row.get(column) for column in columns}, ensure_ascii=False, default=_plain)


def _cell(column: str, value: Any) -> str:
    text = plain_cell(value)
    quotes = not isinstance(value, Mapping | bool) and text.startswith(_QUOTED.get(column, FORMULA))
    return f"'{text}" if quotes else text


def plain_cell(value: Any) -> str:
    """A value as the text of a cell that no spreadsheet runs."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else _plain(value)


def could_be_quoted(key: str) -> bool:
    """Whether an export may have put an apostrophe before this key."""
    return key.startswith("'") and key[1:].startswith(_QUOTED["idempotency_key"])


def unquoted(key: str) -> str:
    """The idempotency key of a cell that an export wrote."""
    return key[1:] if could_be_quoted(key) else key


def unquoted_result(text: str) -> str:
    """A text of another column that an export wrote, without what keeps spreadsheets from running it."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
