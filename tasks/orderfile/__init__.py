"""Order files: read CSV, JSON and NDJSON line by line, and write a result of each line."""

from tasks.orderfile.columns import EXPORT_COLUMNS, Naming, Others
from tasks.orderfile.export import ExportFormat, write_export
from tasks.orderfile.reader import read_order
from tasks.orderfile.text import MAX_BYTES, MAX_ROWS, Format, OrderFileError
from tasks.orderfile.values import Line, Problem, Sheets

__all__ = [
    "EXPORT_COLUMNS",
    "MAX_BYTES",
    "MAX_ROWS",
    "ExportFormat",
    "Format",
    "Line",
    "Naming",
    "OrderFileError",
    "Others",
    "Problem",
    "Sheets",
    "read_order",
    "write_export",
]
