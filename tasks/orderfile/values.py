"""What reading an order file yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.requests import BuyNumber


@dataclass(frozen=True, slots=True)
class Line:
    """One purchase. `line` counts from 1: lines of the file, or elements of a JSON list.

    `also` is the first line that buys the same number, from another provider.
    """

    line: int
    request: BuyNumber
    also: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on one line, in one column where it is about one, and the mend; `place` in a spreadsheet."""

    line: int
    column: str | None
    message: str
    place: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line before it is checked: what it says, by the columns' own names; nothing where it says nothing.

    `wish`: it has a count in place of a number.
    """

    line: int
    fields: Mapping[str, Any]
    wish: bool = False
