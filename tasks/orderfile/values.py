"""What reading an order file yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.numbering.spelling import quoted
from schemas.requests import BuyNumber

_MAX_NAMES = 10
_MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Sheets:
    """Which sheet of a spreadsheet is read, and which others it has."""

    read: str
    others: tuple[str, ...]

    def __str__(self) -> str:
        """For a person, where there are others."""
        return f"sheet {quoted(self.read, _MAX_NAME)} is read, and not {listed(self.others)}: --sheet names another"

    @property
    def elsewhere(self) -> str:
        """The end of a message that the sheet cannot be read."""
        return f"; --sheet names another: {listed(self.others)}" if self.others else ""


def listed(names: Sequence[str]) -> str:
    """Names for a message, and how many there are more."""
    more = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(quoted(name, _MAX_NAME) for name in names[:_MAX_NAMES]) + more


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
