"""The line of a table that names its columns, and the delimiter."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from schemas.numbering.spelling import visible
from tasks.orderfile.text import Text

_DELIMITERS = (",", ";", "\t")
# a line for spreadsheets only, which no other program takes for a header
_SEP = re.compile(r'\s*"?sep=([,;\t|:])"?\s*', re.IGNORECASE)


def read_heading(text: Text, known: Callable[[str], Any], example: str) -> tuple[list[str], str]:
    """The names of the columns, as they stand there, and the delimiter; *known* tells a name of ours.

    The delimiter is that of a line `sep=;` before, else the one that finds the most known names, then the most names;
    a comma in doubt. Raises OrderFileError.
    """
    line, delimiter = _first(text), None
    if said := _SEP.fullmatch(line):
        line, delimiter = _first(text), said[1]
    if not line:
        raise text.error(f"is empty: the first line names the columns, like {example}")

    delimiter = delimiter or _delimiter(line, known)
    return _split(line, delimiter), delimiter


def lines_below(text: Text, known: Callable[[str], Any]) -> Iterator[tuple[int, list[str]]]:
    """Each further line, as the names that it would have as the header; up to one that is none."""
    with suppress(csv.Error):
        for line in text:
            yield text.number, _split(line, _delimiter(line, known))


def _delimiter(line: str, known: Callable[[str], Any]) -> str:
    def found(delimiter: str) -> tuple[int, int]:
        names = _split(line, delimiter)
        return sum(bool(known(name)) for name in names), len(names)

    return max(_DELIMITERS, key=found)


def _first(text: Text) -> str:
    """The next line with anything to be seen in it; '' at the end."""
    return next((line for line in text if visible(line).strip(";, ")), "")


def _split(line: str, delimiter: str) -> list[str]:
    cells = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    return [cell.strip() for cell in cells]
