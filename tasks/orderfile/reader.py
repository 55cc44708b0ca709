"""Reading an order file of any format, in memory that grows only with the numbers seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from schemas.config.kinds import Kind
from tasks.orderfile.check import Checker
from tasks.orderfile.columns import Naming
from tasks.orderfile.objects import read_json, read_ndjson
from tasks.orderfile.spreadsheets.archive import OLE, ZIP, Archive
from tasks.orderfile.tables import read_table
from tasks.orderfile.text import MAX_ROWS, Format, OrderFileError, Text, read_fully
from tasks.orderfile.values import Line, Problem, Row, Sheets
from tasks.orderfile.wishes import Take

_AS_THEY_ARE = Naming()


def read_order(
    source: BinaryIO,
    *,
    name: str,
    format: Format | None,
    kinds: Mapping[str, Kind],
    default_provider: str | None,
    country: str | None,
    naming: Naming = _AS_THEY_ARE,
    sheet: str | None = None,
    on_wish: Take | None = None,
    on_sheet: Callable[[Sheets], None] | None = None,
) -> Iterator[Line | Problem]:
    """Yield a Line for each purchase of the file, and every Problem of those that are none, in the file's order.

    *name* is the file's name for messages and, where *format* is None, for the format by its suffix. *kinds* maps
    the configured aliases; *default_provider* is one of them, for rows that name none. *country* (ISO 3166-1
    alpha-2) is that of numbers without a plus whose row names none; they are never read as another's. *naming* tells
    of columns that have names of their own, and *sheet* which one of a spreadsheet is read; the first where it is None.
    A row with a count in place of a number yields nothing where it is right: it is handed to *on_wish* with its line,
    and refused where that is None. *on_sheet* hears which sheet of a spreadsheet is read, before its rows.
    Raises OrderFileError for the file as a whole, at the call or while it is read: take nothing from a file before
    the end is reached.
    """
    checker = Checker(kinds, default_provider, country, on_wish)
    provider_given = default_provider is not None
    head = read_fully(source, len(OLE))
    if format is None and head.startswith((ZIP, OLE)):
        from tasks.orderfile.spreadsheets.sheets import Sheet  # noqa: PLC0415 - so that nothing else waits for it

        found = Sheet(Archive(source, head, name), sheet)
        if on_sheet is not None and found.sheets is not None:
            on_sheet(found.sheets)
        checked = _checked(name, found.rows(naming, provider_given=provider_given), checker, found.elsewhere)
        return (found.place(x) if isinstance(x, Problem) else x for x in checked)
    if sheet is not None:
        raise OrderFileError(f"{name}: is no spreadsheet, and has no sheet {sheet!r}: leave it out")
    text = Text(source, name, head)
    rows = _rows(text, format or text.guess_format(), naming, provider_given=provider_given)
    return _checked(name, rows, checker)


def _rows(text: Text, format: Format, naming: Naming, *, provider_given: bool) -> Iterator[Row | Problem]:
    if format == "csv":
        return read_table(text, naming, provider_given=provider_given)
    return read_json(text, naming) if format == "json" else read_ndjson(text, naming)


def _checked(
    name: str, rows: Iterator[Row | Problem], checker: Checker, elsewhere: str = ""
) -> Iterator[Line | Problem]:
    count, line = 0, 0
    for row in rows:
        # several problems of one line are one row
        count, line = count + (row.line != line), row.line
        if count > MAX_ROWS:
            raise OrderFileError(f"{name}: has more than {MAX_ROWS:,} rows: split it into several files")
        if isinstance(row, Problem):
            yield row
        else:
            yield from checker.check(row)
    if not count:
        raise OrderFileError(f"{name}: has no rows: nothing to buy{elsewhere}")
