"""Reading a file of decisions on held purchases: CSV with a header, JSON, or NDJSON.

Columns: id (or the number with its plus), decision (bought, retry or fail); if wanted provider_number_id, note, and the
version of the purchase that was decided on, as an export or `purchase list --json` gives it. An order's export is read
too where decisions were written into it: it names its purchases in purchase_id, rows without a decision are left as
they are, and what else it has is its result.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, BinaryIO
from uuid import UUID

from schemas.numbering.spelling import visible
from schemas.settling import Verdict
from tasks.ledger.resolve import Resolution
from tasks.orderfile.columns import EXPORT_COLUMNS
from tasks.orderfile.export import unquoted_result
from tasks.orderfile.heading import read_heading
from tasks.orderfile.objects import list_elements
from tasks.orderfile.text import END_OF_FILE, MAX_ROWS, Text
from tasks.orderfile.values import Problem

COLUMNS = ("id", "decision", "provider_number_id", "note", "version")
_EXPORTED = "purchase_id"
_RESULT = frozenset(EXPORT_COLUMNS) - frozenset(COLUMNS)
_COMPUTED = re.compile(r"[0-9]+([.,][0-9]+)?E\+[0-9]+", re.IGNORECASE)
_VERSION = re.compile(r"r[0-9]{1,10}-[0-9a-f]{1,16}")
DECISIONS = (Verdict.BOUGHT, Verdict.RETRY, Verdict.FAIL)
MAX_NOTE = 500
MAX_ID = 200

Row = tuple[int, Mapping[str, Any]]


def read_decisions(source: BinaryIO, name: str) -> Iterator[Resolution | Problem]:
    """Each row's decision, or what is wrong with it. *name* is the file's, for messages.

    Raises OrderFileError for the file as a whole, at the call or while it is read.
    """
    text = Text(source, name)
    rows = {"csv": _table, "json": _json, "ndjson": _ndjson}[text.guess_format()](text)
    return _read(text, rows)


def _read(text: Text, rows: Iterator[Row | Problem]) -> Iterator[Resolution | Problem]:
    count = told = 0
    seen: set[Resolution] = set()
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            raise text.error(f"has more than {MAX_ROWS:,} rows: split it into several files")
        for item in (row,) if isinstance(row, Problem) else _decided(*row, seen):
            told += 1
            yield item
    if not count:
        raise text.error("has no rows: nothing to settle")
    if not told:
        raise text.error(f"has no decision: write one of {', '.join(DECISIONS)} where a purchase is to be settled")


def _decided(line: int, fields: Mapping[str, Any], seen: set[Resolution]) -> Iterator[Resolution | Problem]:
    """What a row says; of an export nothing where no decision was written, nor where another line said the same.

    Lines of one number share their purchase.
    """
    if _EXPORTED not in fields or "id" in fields:
        yield from _checked(line, fields)
        return
    if not visible(_text(fields.get("decision"))):
        return
    for item in _checked(line, _as_decision(fields)):
        if isinstance(item, Problem):
            yield item
        elif (same := replace(item, line=None)) not in seen:
            seen.add(same)
            yield replace(item, number=_text(fields.get("number")) or None)


def _as_decision(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of an export as one of decisions: the provider's id goes with *bought* only, as the purchase has it."""
    own = {name: value for name, value in fields.items() if name not in _RESULT and not name.startswith("metadata.")}
    known = unquoted_result(_text(fields.get("provider_number_id")))
    bought = visible(_text(fields.get("decision"))).lower() == Verdict.BOUGHT
    return {**own, "id": fields[_EXPORTED], "provider_number_id": known if bought else ""}


def _ndjson(text: Text) -> Iterator[Row | Problem]:
    for line in text:
        if not line.strip():
            continue
        try:
            element = json.loads(line)
        except (ValueError, RecursionError):
            element = None
        yield _row(text.number, element, "write one on each line, ")


def _json(text: Text) -> Iterator[Row | Problem]:
    for position, element in enumerate(list_elements(text), 1):
        yield _row(position, element, "")


def _row(line: int, element: Any, how: str) -> Row | Problem:
    if isinstance(element, dict):
        return line, element
    return Problem(line, None, f'is not a JSON object: {how}like {{"id": "...", "decision": "bought"}}')


def _table(text: Text) -> Iterator[Row | Problem]:
    names, delimiter = read_heading(text, lambda name: _column(name) in (*COLUMNS, _EXPORTED), "id,decision")
    columns = [_column(name) for name in names]
    problems = list(_header_problems(columns, text.number))
    yield from problems
    if not problems:
        yield from _cells(text, delimiter, columns)


def _column(name: str) -> str:
    return visible(name).lower().replace(" ", "_")


def _header_problems(columns: Sequence[str], line: int) -> Iterator[Problem]:
    exported = _RESULT if _EXPORTED in columns and "id" not in columns else ()
    for name in filter(None, columns):
        if name not in (*COLUMNS, *exported):
            yield Problem(line, name[:60] or None, f"is no column: known are {', '.join(COLUMNS)}; remove it")
        elif columns.count(name) > 1:
            yield Problem(line, name, "the column is there twice: remove one")
    for name in (_EXPORTED if exported else "id", "decision"):
        if name not in columns:
            yield Problem(line, name, "the column is missing: the first line names the columns, like id,decision")


def _cells(text: Text, delimiter: str, columns: Sequence[str]) -> Iterator[Row | Problem]:
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = text.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            raise text.error(
                f"line {line}: its quotes do not match ({exc}): a quote in a cell is written twice"
            ) from exc
        if cells is None:
            return
        if not visible("".join(cells)).strip(END_OF_FILE):
            continue
        yield _by_column(line, cells, columns, delimiter)


def _by_column(line: int, cells: Sequence[str], columns: Sequence[str], delimiter: str) -> Row | Problem:
    beside = [cell for name, cell in zip_longest(columns[: len(cells)], cells) if not name and visible(cell)]
    if beside:
        where = "beside the table, in a column without a name"
        return Problem(line, None, f"has {beside[0][:60]!r} {where}: empty it, and quote a cell with {delimiter!r}")
    # cells that are missing at the end are empty
    return line, {name: cell for name, cell in zip(columns, cells, strict=False) if name}


def _checked(line: int, fields: Mapping[str, Any]) -> Iterator[Resolution | Problem]:
    problems = [
        Problem(line, name[:60] or None, f"is no column: known are {', '.join(COLUMNS)}; remove it")
        for name in fields
        if name not in COLUMNS
    ]
    values = {name: _text(fields.get(name)) for name in COLUMNS}
    values |= {name: visible(values[name]) for name in COLUMNS if name != "note"}
    problems += [Problem(line, name, why) for name, value in values.items() if (why := _problem(name, value, values))]
    yield from problems
    if not problems:
        yield Resolution(
            purchase_id=values["id"] if _is_number(values["id"]) else str(UUID(values["id"])),
            verdict=Verdict(values["decision"].lower()),
            provider_number_id=values["provider_number_id"] or None,
            note=values["note"] or None,
            line=line,
            version=values["version"] or None,
        )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _problem(name: str, value: str, values: Mapping[str, str]) -> str | None:
    """What is wrong with one column, and the mend; None where nothing is."""
    match name:
        case "id":
            wrong = f"{value[:60]!r} is no id of a purchase: give the whole id, or its number with the plus"
            return None if _is_id(value) or _is_number(value) else wrong
        case "decision":
            known = ", ".join(DECISIONS)
            return None if value.lower() in DECISIONS else f"{value[:60]!r} is no decision: write one of {known}"
        case "provider_number_id":
            return _problem_of_id(value, values["decision"])
        case "version":
            wrong = f"{value[:60]!r} is no version: leave it as it was exported"
            return None if not value or _VERSION.fullmatch(value) else wrong
        case _:
            return None if len(value) <= MAX_NOTE else f"is longer than {MAX_NOTE} characters: shorten it"


def _problem_of_id(value: str, decision: str) -> str | None:
    if value and decision.lower() != Verdict.BOUGHT:
        return "goes with the decision bought only: leave it empty"
    if _COMPUTED.fullmatch(value):
        return f"{value!r} was computed by a spreadsheet: have the column as text, and paste the id again"
    fits = len(value) <= MAX_ID and value.isprintable()
    return None if fits else f"must be at most {MAX_ID} printable characters"


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    return text.startswith("+")
