"""Writing an order's results to a file that is there whole or not at all, or to standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from tasks.orderfile import ExportFormat, write_export
from tasks.orderfile.columns import EXPORT_COLUMNS
from tasks.orderfile.metadata_columns import metadata_columns, spread, with_metadata
from tasks.reports.queries import each_metadata, each_result
from tasks.runtime import Runtime
from workers.views.errors import Failure
from workers.views.whole_file import whole_file

_SUFFIXES: dict[str, ExportFormat] = {".xlsx": "xlsx", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}

_OTHER_SPREADSHEETS = frozenset({".ods", ".xls", ".xlsb", ".xlsm"})


def format_of(output: Path | None, *, json: bool) -> ExportFormat:
    """The format by the file's name; CSV unless *json* asks for a document on standard output.

    Raises Failure for the name of a spreadsheet that is not written here.
    """
    if output is not None:
        if (suffix := output.suffix.lower()) in _OTHER_SPREADSHEETS:
            raise Failure(f"{output}: no {suffix} is written: name it .xlsx, .csv, .json or .ndjson")
        return _SUFFIXES.get(suffix, "csv")
    return "json" if json else "csv"


def export_order(runtime: Runtime, order_id: str, output: Path | None, format: ExportFormat) -> int:
    """Write the order's lines; returns how many. Raises Failure where the file cannot be written."""
    rows = each_result(runtime.database.read, order_id)
    if format in ("json", "ndjson"):
        return write_rows(rows, EXPORT_COLUMNS, output, format)
    own = metadata_columns(each_metadata(runtime.database.read, order_id))
    return write_rows(spread(rows, own), with_metadata(own), output, format)


def write_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], output: Path | None, format: ExportFormat
) -> int:
    """Write rows of *columns*; returns how many. Raises Failure where the file cannot be written."""
    sheet = _Sheet(rows, columns)
    if output is None:
        _write(sheet, sys.stdout, format)
    else:
        with whole_file(output) as target:
            _write(sheet, target, format)
    return sheet.count


class _Sheet:
    """Rows, counted while they go by, and their columns."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
        self._rows, self.columns = rows, columns
        self.count = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _write(rows: _Sheet, target: TextIO, format: ExportFormat) -> None:
    if format != "xlsx":
        write_export(rows, target, format, rows.columns)
        return
    from tasks.orderfile.spreadsheets.writer import write_workbook  # noqa: PLC0415 - so that nothing else waits for it

    write_workbook(rows, target.buffer, rows.columns)
