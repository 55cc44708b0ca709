"""From the records of a table, of whatever file, to rows by the columns' own names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from schemas.numbering.spelling import quoted, visible
from tasks.orderfile.columns import OBJECT_COLUMNS, RESULT_COLUMNS, Naming, folded, unknown
from tasks.orderfile.export import could_be_quoted, unquoted
from tasks.orderfile.values import Problem, Row

_PHONE = re.compile(r"[+(]?[0-9][0-9 ().+-]{5,}")
_MAX_SHOWN = 60
_LAST = 10
"""The last line that is looked at for the header, where titles stand above it."""


class Header:
    """The columns of a table, in their order: None for what is passed over, '' for one without a name."""

    def __init__(self, names: Sequence[str], line: int, naming: Naming) -> None:
        # spreadsheets leave columns without a name beside the table
        self.names = [name if visible(name) else "" for name in names]
        self.line = line
        self._given = naming
        self._naming = naming = naming.of(self.names)
        self.columns = [(naming.column(name) or None) if name else "" for name in self.names]
        self._exported = any(visible(name) in (*RESULT_COLUMNS, *OBJECT_COLUMNS) for name in self.names)
        self._nameless = [index for index, name in enumerate(self.columns) if name == ""]

    def is_none(self) -> bool:
        """Whether the line is one of numbers, and the names of the columns are missing."""
        return not any(map(self._naming.known, self.names)) and any(_PHONE.fullmatch(visible(n)) for n in self.names)

    def below(self, records: Iterable[tuple[int, Sequence[str]]]) -> int | None:
        """The line that is the header, as it seems, where this one is a title above it. For a header with problems."""
        for line, names in records:
            if line > _LAST:
                break
            if self._is_title_of(names):
                return line
        return None

    def problems(self, *, provider_given: bool) -> Iterator[Problem]:
        """What is wrong with the columns, each once."""
        seen: dict[str, str] = {}
        for name in filter(None, self.names):
            yield from self._problem(name, seen)
        for name, column in self._naming.given.items():
            if name not in map(folded, self.names):
                yield Problem(self.line, column, f"there is no column {quoted(name, _MAX_SHOWN)}, which it is to be")
        if self._naming.wishes:
            return
        if "number" not in {*seen, *self._naming.given.values()}:
            missing = "the column is missing: the first line names the columns, like number,provider"
            yield Problem(self.line, "number", missing)
        if not provider_given and "provider" not in {*seen, *self._naming.given.values()}:
            missing = "the column is missing: add it, or name one provider for the whole file"
            yield Problem(self.line, "provider", missing)

    def row(self, line: int, cells: Sequence[str], mend: str) -> Row | Problem:
        """The row of *cells*; those that are missing at the end are empty. *mend* tells of cells that are too many."""
        for index in range(len(self.columns), len(cells)):
            if visible(cells[index]):
                counts = f"has {len(cells)} cells where the header has {len(self.columns)}"
                return Problem(line, None, f"{counts}, {_placed(cells, index)}: {mend}")
        for index in self._nameless:
            if index < len(cells) and visible(cells[index]):
                return Problem(line, None, f"has {_placed(cells, index)}, without a name: name the column, or empty it")
        fields: dict[str, Any] = {n: cell for n, cell in zip(self.columns, cells, strict=False) if n and cell}
        return self._key_problem(line, fields) or _opened(line, fields, wish=self._naming.wishes)

    def _is_title_of(self, names: Sequence[str]) -> bool:
        """Whether *names* have more of our columns, or others beside them: a cell of a row may be a name too."""
        if any(_PHONE.fullmatch(visible(name)) for name in names):
            return False
        naming = self._given.of(names)
        here = sum(self._naming.known(name) is not None for name in self.names)
        found = [column for name in names if (column := naming.known(name))]
        if here > len(found) or not {"number", "count"}.intersection(found):
            return False
        wider = sum(map(bool, map(visible, names))) > sum(map(bool, self.names))
        return wider or len(found) > max(here, 1) or (not here and len(names) == 1)

    def _problem(self, name: str, seen: dict[str, str]) -> Iterator[Problem]:
        column = self._naming.column(name)
        if column is None:
            yield Problem(self.line, name, unknown(name, wishes=self._naming.wishes))
        elif not column:
            return
        elif column not in seen:
            seen[column] = name
        elif folded(name) == folded(seen[column]):
            yield Problem(self.line, column, "the column is there twice: remove one")
        else:
            both = f"{quoted(seen[column], _MAX_SHOWN)} and {quoted(name, _MAX_SHOWN)}"
            mend = "keep one, or rename the other metadata.NAME"
            yield Problem(self.line, column, f"two columns may be it, {both}: {mend}")

    def _key_problem(self, line: int, fields: dict[str, Any]) -> Problem | None:
        """Have the key as it was before it was exported, where the table shows that it was."""
        key = fields.get("idempotency_key", "")
        if not could_be_quoted(key):
            return None
        if self._exported:
            fields["idempotency_key"] = unquoted(key)
            return None
        other = f"is {quoted(unquoted(key))} if it comes from an export, else {quoted(key)}"
        return Problem(line, "idempotency_key", f"{other}: give the file as NDJSON, or keep the export's other columns")


def table_rows(
    records: Iterable[tuple[int, Sequence[str] | Problem]], header: Header, mend: str, *, provider_given: bool
) -> Iterator[Row | Problem]:
    """The rows of the records below a header, or the problems of the header and then nothing."""
    problems = [*header.problems(provider_given=provider_given)]
    yield from problems
    if not problems:
        for line, cells in records:
            yield cells if isinstance(cells, Problem) else header.row(line, cells, mend)


def letters(index: int) -> str:
    """The letters of a column that spreadsheets show: A for 0, AA for 26."""
    text, rest = "", index + 1
    while rest:
        rest, digit = divmod(rest - 1, 26)
        text = chr(ord("A") + digit) + text
    return text


def _placed(cells: Sequence[str], index: int) -> str:
    return f"{quoted(cells[index], _MAX_SHOWN)} in column {letters(index)} (number {index + 1})"


def _opened(line: int, fields: dict[str, Any], *, wish: bool) -> Row | Problem:
    for group in [name for name in OBJECT_COLUMNS if name in fields]:
        try:
            found = json.loads(fields.pop(group))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            mend = f"leave it as it was exported, or empty; {group}.NAME carries one value"
            return Problem(line, group, f"is not a JSON object: {mend}")
        opened = {f"{group}.{name}": value for name, value in found.items()}
        if twice := next((name for name in opened if name in fields and fields[name] != opened[name]), None):
            return Problem(line, twice, f"is another in the column {group}: remove one of them")
        fields.update(opened)
    return Row(line, fields, wish)
