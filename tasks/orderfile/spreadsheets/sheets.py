"""The rows of one sheet. Each problem names the sheet and the cell as a spreadsheet shows them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers.expat import ExpatError

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from schemas.numbering.spelling import quoted, visible
from tasks.orderfile.columns import Naming
from tasks.orderfile.rows import Header, letters
from tasks.orderfile.spreadsheets.archive import CONTENT, STYLES, Archive
from tasks.orderfile.spreadsheets.formats import styles_that_add
from tasks.orderfile.spreadsheets.scan import OdsScan, Scan, ScanError, XlsxScan
from tasks.orderfile.text import OrderFileError
from tasks.orderfile.values import Problem, Row, Sheets, listed

EXACT = 10**15
"""Spreadsheets keep 15 digits of a number: from here on the last are lost, or zeros."""

_DATE = "is a date to the spreadsheet: format the column as text, and write it again"
_LONG = "is a number of more than 15 digits, of which spreadsheets lose the last: write it as text"
MARK = " (mend this cell)"
_DAMAGED = (CalamineError, ExpatError, ParseError, ValueError)


class Sheet:
    """One sheet of a spreadsheet. Raises OrderFileError, at once or while it is read."""

    sheets: Sheets | None = None

    def __init__(self, archive: Archive, sheet: str | None) -> None:
        self._archive = archive
        self._header: Header | None = None
        try:
            # the reader takes all of an .ods as it opens it, and of an .xlsx one sheet, by name
            scan: Scan | None = self._scanned(OdsScan(sheet), CONTENT) if archive.kind == "ods" else None
            self._book = CalamineWorkbook.from_filelike(archive.opened())
            self.name = self._chosen(sheet)
            self.sheets = Sheets(self.name, self._others(self.name))
            scan = scan or self._scanned(XlsxScan(self.name, _adding(archive)), _member(archive, self.name))
            self._broken = scan.broken
            self._cells: CalamineSheet = self._book.get_sheet_by_name(self.name)
        except OrderFileError:
            raise
        except BaseException as exc:
            # what stops the reader in Rust is no Exception
            if isinstance(exc, _DAMAGED) or type(exc).__name__ == "PanicException":
                raise archive.damaged() from exc
            raise

    def rows(self, naming: Naming, *, provider_given: bool) -> Iterator[Row | Problem]:
        """The rows below the header, or the problems of the header and then nothing."""
        records = self._records()
        line, names = next(records, (0, []))
        if not line:
            raise self._error("is empty: the first row names the columns, like number, provider")
        self._header = header = Header(names, line, naming)
        problems = [*header.problems(provider_given=provider_given)]
        if problems and (below := header.below(records)) is not None:
            raise self._error(f"row {below} seems to be the header: delete the rows above it")
        if header.is_none():
            raise self._error(f"row {line} is no header: the first row must name the columns, like number, provider")
        yield from problems
        if not problems:
            for line, cells in records:
                yield self._problem(line, cells, header) or header.row(line, cells, "name the columns, or empty them")

    def some(self, wanted: Collection[int], naming: Naming) -> Iterator[list[str]]:
        """The header, and of the rows those that are *wanted* by their number, as texts.

        What is not what stands in its cell is marked: as a text it would be taken for that.
        """
        records = self._records()
        line, names = next(records)
        yield names
        columns = Header(names, line, naming).columns
        for line, cells in records:
            if line in wanted:
                pairs = zip_longest(columns[: len(cells)], cells)
                yield [f"{cell}{MARK}" if _is_broken(column, cell) else cell for column, cell in pairs]

    def place(self, problem: Problem) -> Problem:
        """The problem, with where it is."""
        index = self._index(problem)
        cell = f"row {problem.line}" if index is None else f"cell {letters(index)}{problem.line}"
        return replace(problem, place=f"sheet {quoted(self.name)}, {cell}")

    def _index(self, problem: Problem) -> int | None:
        if self._header is not None and problem.column is not None:
            for names in (self._header.columns, self._header.names):
                if problem.column in names:
                    return names.index(problem.column)
        return None

    def _error(self, message: str) -> OrderFileError:
        return self._archive.error(f"sheet {quoted(self.name)} {message}{self.elsewhere}")

    @property
    def elsewhere(self) -> str:
        """The end of a message that the sheet cannot be read: the others, where they are known."""
        return self.sheets.elsewhere if self.sheets is not None else ""

    def _others(self, name: str) -> tuple[str, ...]:
        found = (one.name for one in self._book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet)
        return tuple(one for one in found if one != name)

    def _chosen(self, sheet: str | None) -> str:
        names = self._book.sheet_names
        if not names:
            raise self._archive.error("has no sheet")
        if sheet is None:
            if self._book.sheets_metadata[0].visible != SheetVisibleEnum.Visible:
                others = listed(self._others(names[0]))
                hidden = f"the first sheet, {quoted(names[0])}, is hidden: say which one by --sheet"
                raise self._archive.error(f"{hidden}; there is {others}" if others else hidden)
            return names[0]
        if sheet not in names:
            raise self._archive.error(f"has no sheet {quoted(sheet, 60)}: there is {listed(names)}")
        return sheet

    def _scanned(self, scan: Scan, member: str) -> Scan:
        try:
            scan.feed(self._archive.blocks(member))
        except ScanError as exc:
            raise self._archive.error(f"sheet {quoted(scan.sheet)} {exc}{self.elsewhere}") from exc
        return scan

    def _records(self) -> Iterator[tuple[int, list[Any]]]:
        """Each row with anything to be seen, from the first column on; its number as the spreadsheet shows it."""
        start = self._cells.start
        if start is None:
            return
        beside = [""] * start[1]
        for index, values in enumerate(self._cells.iter_rows()):
            cells = beside + [_text(value) for value in values]
            for column, (text, reason) in self._broken.get(index, {}).items():
                cells += [""] * (column + 1 - len(cells))
                if text is not None:
                    cells[column] = Broken(text, reason)
                elif not isinstance(cells[column], Broken):
                    cells[column] = Broken(cells[column], reason, shown=True)
            if any(map(visible, cells)):
                yield index + 1, cells

    def _problem(self, line: int, cells: Sequence[str], header: Header) -> Problem | None:
        for column, cell in zip(header.columns, cells, strict=False):
            if isinstance(cell, Broken) and _is_broken(column, cell):
                return Problem(line, column, cell.reason)
        return None


class Broken(str):
    """A cell that is not what stands in it. `shown`: as extra data it may be taken for that."""

    __slots__ = ("reason", "shown")

    def __new__(cls, text: str, reason: str, *, shown: bool = False) -> Broken:
        """The text of a cell with what is wrong with it."""
        cell = super().__new__(cls, text)
        cell.reason, cell.shown = reason, shown
        return cell

    reason: str
    shown: bool


def _is_broken(column: str | None, cell: str) -> bool:
    if not column or not isinstance(cell, Broken):
        return False
    return not (cell.shown and column.startswith("metadata."))


def _text(value: Any) -> str:
    """A cell as text: a number in all its digits, without an exponent."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        if abs(value) >= EXACT:
            return Broken(str(value), f"{value!r} {_LONG}")
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, date | datetime | time | timedelta):
        text = str(value) if isinstance(value, timedelta) else value.isoformat()
        return Broken(text, f"{text} {_DATE}", shown=True)
    return Broken(str(value), f"{str(value)[:60]!r} is nothing that can be read: format the column as text")


def _adding(archive: Archive) -> frozenset[str]:
    return styles_that_add(archive.blocks(STYLES)) if archive.has(STYLES) else frozenset()


def _member(archive: Archive, sheet: str) -> str:
    """The file of a sheet in an .xlsx: ECMA-376 part 1, 18.2.20, and part 2, 6.5."""
    book, relations = (fromstring(archive.small(name)) for name in ("xl/workbook.xml", "xl/_rels/workbook.xml.rels"))  # noqa: S314 - within bounds, and expat stops what grows
    ids = [_attribute(one, "id") for one in book.iter() if _local(one.tag) == "sheet" and one.get("name") == sheet]
    targets = [one.get("Target", "") for one in relations if ids and one.get("Id") == ids[0]]
    if len(ids) != 1 or len(targets) != 1:
        raise archive.damaged()
    return targets[0].lstrip("/") if targets[0].startswith("/") else f"xl/{targets[0]}"


def _attribute(element: Element, name: str) -> str:
    return next((value for key, value in element.attrib.items() if "}" in key and _local(key) == name), "")


def _local(name: str) -> str:
    return name.rpartition("}")[2]
