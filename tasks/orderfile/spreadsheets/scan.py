"""A sheet's XML, scanned for what the reader of its cells does not tell, and for how far the sheet reaches.

Elements and attributes are those of ECMA-376 part 1, 18.3.1, and of OpenDocument 1.3 part 3, 9.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any
from xml.parsers import expat

from tasks.orderfile.spreadsheets.formats import REASON, differs

MAX_CELLS = 8_000_000
MAX_BROKEN = 100_000

_REF = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_SPANS = ("table:number-rows-spanned", "table:number-columns-spanned")
_NO_VALUE = "has a formula whose value is not stored: open the file in a spreadsheet, and save it"
_ERROR = "has the error {}: mend the formula"
_HIDDEN = (
    "has rows that nobody sees, the first is {:,}: show all, or copy those that are meant into a sheet of their own"
)


class ScanError(Exception):
    """A sheet that cannot be read: the message says why."""


class Scan:
    """What was found: `broken` has a text and a reason for each cell without a value, by row and by column, from 0; no
    text where the value is there, and shown as another.

    `sheet` is the one that is scanned now.
    """

    def __init__(self, sheet: str) -> None:
        self.sheet = sheet
        self.broken: dict[int, dict[int, tuple[str | None, str]]] = {}
        self._count = 0
        self._last_row = self._last_column = -1
        self._hidden = False
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self.start
        self._text: list[str] = []

    def feed(self, blocks: Iterable[bytes]) -> None:
        """Scan the whole file. Raises ScanError, and expat.ExpatError for what is no XML."""
        for block in blocks:
            self._parser.Parse(block, False)  # noqa: FBT003 - as expat calls it
        self._parser.Parse(b"", True)  # noqa: FBT003
        self.settle()

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        raise NotImplementedError

    def settle(self) -> None:
        """The cell before is complete."""
        raise NotImplementedError

    def listen(self, *, to_text: bool) -> None:
        """Keep what is written in the elements from here on, or no more: it takes time."""
        self._text.clear()
        self._parser.CharacterDataHandler = self._text.append if to_text else None

    def heard(self) -> str:
        """What was written since."""
        return "".join(self._text).strip()

    def reach(self, row: int, column: int) -> None:
        """A cell with a value. Raises ScanError in a hidden row, and where the rectangle of all is too large."""
        if self._hidden:
            raise ScanError(_HIDDEN.format(row + 1))
        if row > self._last_row or column > self._last_column:
            self._last_row, self._last_column = max(row, self._last_row), max(column, self._last_column)
            if (self._last_row + 1) * (self._last_column + 1) > MAX_CELLS:
                far = f"reaches to row {self._last_row + 1:,} and column {self._last_column + 1:,}"
                raise ScanError(f"{far}: delete what stands far from the table")

    def mark(self, row: int, column: int, text: str | None, reason: str) -> None:
        """A cell that has no value, or is shown as another."""
        self.reach(row, column)
        self.broken.setdefault(row, {})[column] = (text, reason)
        self._count += 1
        if self._count > MAX_BROKEN:
            raise ScanError(f"has more than {MAX_BROKEN:,} cells that cannot be read: one {reason}")


class XlsxScan(Scan):
    """A worksheet of an .xlsx: `c` is a cell of the style `s`, in it `f` a formula and `v` its value, of the type `t`.

    *adding* are the styles whose format adds to a number what is none of it.
    """

    def __init__(self, sheet: str, adding: frozenset[str] = frozenset()) -> None:
        super().__init__(sheet)
        self._row = self._column = -1
        self._adding = adding
        self._type = self._style = ""
        self._formula = self._value = self._listens = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = name.rpartition(":")[2] if ":" in name else name
        if name == "c":
            self.settle()
            self._cell(attributes)
        elif name in ("v", "is"):
            self._value = True
            self.reach(self._row, self._column)
            if self._formula or self._type == "e":
                self.listen(to_text=True)
                self._listens = True
        elif name == "f":
            self._formula = True
        elif name == "row":
            self.settle()
            self._row, self._column = int(attributes.get("r", self._row + 2)) - 1, -1
            self._hidden = attributes.get("hidden", "0") in ("1", "true")
        elif name == "mergeCell":
            raise ScanError(f"has merged cells, {attributes.get('ref')}: unmerge them, and fill each")

    def settle(self) -> None:
        """The cell before is complete."""
        if self._type == "e":
            self.mark(self._row, self._column, self.heard() or "#ERROR", _ERROR.format(self.heard() or "of a formula"))
        elif self._formula and not (self.heard() or (self._type == "str" and self._value)):
            self.mark(self._row, self._column, "(formula)", _NO_VALUE)
        elif self._value and self._type in ("", "n") and self._style in self._adding:
            self.mark(self._row, self._column, None, REASON)
        if self._listens:
            self.listen(to_text=False)
        self._type, self._formula, self._value, self._listens = "", False, False, False

    def _cell(self, attributes: dict[str, str]) -> None:
        self._type, self._style = attributes.get("t", ""), attributes.get("s", "0")
        reference = attributes.get("r")
        if reference is None:
            self._column += 1
            return
        letters = reference.rstrip("0123456789")
        self._column = _index(letters)
        if reference[len(letters) :] != str(self._row + 1):
            raise ScanError(f"is damaged: cell {reference[:20]} stands in row {self._row + 1}")


class OdsScan(Scan):
    """The tables of an .ods, where cells and rows that are alike are written once, with their number.

    The reader holds all of them, so that each is bounded; what else is found is of *chosen*, or of the first.
    """

    def __init__(self, chosen: str | None) -> None:
        super().__init__(chosen or "")
        self._chosen = chosen
        self._within = False
        self._row, self._repeated = -1, 1
        self._next = 0
        self._mark: tuple[int, int] | None = None
        self._number: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if name == "text:p":
            return
        if name == "table:table":
            self.settle()
            self._begin(attributes.get("table:name", ""))
        elif name == "table:table-row":
            self.settle()
            self._begin_row(attributes)
        elif name in ("table:table-cell", "table:covered-table-cell"):
            self.settle()
            self._cell(attributes)
        elif name == "office:annotation" and self._mark is not None:
            self._parser.CharacterDataHandler = None
            self._parser.EndElementHandler = self._noted

    def _noted(self, name: str) -> None:
        """A remark beside the cell has ended."""
        if name == "office:annotation":
            self._parser.CharacterDataHandler = self._text.append
            self._parser.EndElementHandler = None

    def _begin(self, table: str) -> None:
        self.sheet = table
        if self._chosen is None:
            self._chosen = table
        self._within = table == self._chosen
        self._last_row = self._last_column = self._row = -1
        self._repeated = 1

    def settle(self) -> None:
        """The cell before is complete."""
        if self._mark is not None:
            text = self.heard()
            if self._number is None:
                self._spread(*self._mark, text or "#ERROR", _ERROR.format(text or "of a formula"))
            elif differs(self._number, text):
                self._spread(*self._mark, None, REASON)
            self.listen(to_text=False)
            self._mark = self._number = None

    def _begin_row(self, attributes: dict[str, str]) -> None:
        self._row += self._repeated
        self._repeated = _times(attributes, "table:number-rows-repeated")
        self._hidden = self._within and attributes.get("table:visibility", "visible") != "visible"
        self._next = 0

    def _cell(self, attributes: dict[str, str]) -> None:
        column, times = self._next, _times(attributes, "table:number-columns-repeated")
        self._next += times
        if self._within and (_times(attributes, _SPANS[0]) > 1 or _times(attributes, _SPANS[1]) > 1):
            raise ScanError(f"has merged cells in row {self._row + 1:,}: unmerge them, and fill each")
        value = attributes.get("office:value-type") or attributes.get("calcext:value-type")
        if value is None and "table:formula" not in attributes:
            return
        self.reach(self._row + self._repeated - 1, self._next - 1)
        if not self._within:
            return
        if attributes.get("calcext:value-type") == "error":
            self._mark = (column, times)
            self.listen(to_text=True)
        elif value in ("float", "currency", "percentage") and "office:value" in attributes:
            self._mark, self._number = (column, times), attributes["office:value"]
            self.listen(to_text=True)
        elif value is None:
            self._spread(column, times, "(formula)", _NO_VALUE)

    def _spread(self, column: int, times: int, text: str | None, reason: str) -> None:
        if times * self._repeated > MAX_BROKEN:
            raise ScanError(f"row {self._row + 1:,} {reason}")
        for row in range(self._row, self._row + self._repeated):
            for one in range(column, column + times):
                self.mark(row, one, text, reason)


def _times(attributes: dict[str, Any], name: str) -> int:
    return int(attributes.get(name, 1))


@cache
def _index(letters: str) -> int:
    """The column of its letters, from 0."""
    if not _REF.fullmatch(f"{letters}1"):
        raise ScanError(f"is damaged: a cell is in column {letters[:20]!r}")
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("A") + 1
    return index - 1
