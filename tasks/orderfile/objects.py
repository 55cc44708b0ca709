"""JSON and NDJSON: one purchase an object, as in a message; dotted names as in a CSV header are taken too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from tasks.orderfile.columns import OBJECT_COLUMNS, Naming, unknown
from tasks.orderfile.text import END_OF_FILE, MAX_LINE, Text
from tasks.orderfile.values import Problem, Row

_BLOCK = 65_536
_BLANKS = re.compile(rf"[ \t\r\n{END_OF_FILE}]*")
_SHAPE = 'must be a list of objects, or an object {"requests": [...]} and nothing else'


class Exponential(float):
    """A number that was written with an exponent, 1.41556e+10: digits of it may have been rounded away."""

    __slots__ = ()


def read_ndjson(text: Text, naming: Naming) -> Iterator[Row | Problem]:
    """One object a line. Raises OrderFileError."""
    for line in text:
        if not line.strip():
            continue
        try:
            element = _DECODER.decode(line)
        except (ValueError, RecursionError) as exc:
            yield Problem(text.number, None, f"is not JSON: {_reason(exc)}: write one object on each line")
        else:
            yield from _flatten(text.number, element, naming)


def read_json(text: Text, naming: Naming) -> Iterator[Row | Problem]:
    """The objects of a list, in little memory: the text is decoded element by element. Raises OrderFileError."""
    for position, element in enumerate(list_elements(text), 1):
        yield from _flatten(position, element, naming)


def list_elements(text: Text) -> Iterator[Any]:
    """The elements of a list as they are, in little memory. Raises OrderFileError."""
    return _Stream(text).elements()


class _Stream:
    """Decodes a JSON list while its text comes in."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self._buffer = ""
        self._at = 0
        self._count = 0

    def elements(self) -> Iterator[Any]:
        if not self._peek():
            raise self._text.error("is empty: it " + _SHAPE)
        wrapped = self._peek() == "{"
        if wrapped:
            self._open_requests()
        self._expect("[")
        while self._peek() != "]" or self._count:
            self._count += 1
            yield self._value()
            if self._peek() != ",":
                break
            self._at += 1
        self._expect("]")
        if wrapped:
            self._expect("}")
        if self._peek():
            raise self._text.error("something follows the list: with one object on each line, the format is ndjson")

    def _open_requests(self) -> None:
        self._expect("{")
        if self._peek() != '"' or self._value() != "requests":
            raise self._text.error(_SHAPE)
        self._expect(":")

    def _peek(self) -> str:
        """The next character that is not blank, '' at the end."""
        while True:
            blanks = _BLANKS.match(self._buffer, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def _expect(self, character: str) -> None:
        if (found := self._peek()) != character:
            place = f"after element {self._count}" if self._count else "at the beginning"
            shown = repr(found) if found else "the end"
            raise self._text.error(f"{place} stands {shown} instead of {character!r}: it {_SHAPE}")
        self._at += 1

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError) as exc:
                # perhaps the rest of it is still to come
                if len(self._buffer) - self._at > MAX_LINE or not self._more():
                    raise self._text.error(f"element {self._count} is not JSON: {_reason(exc)}") from exc
                continue
            # a number may go on in the next block
            if end == len(self._buffer) and self._more():
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        block = self._text.read(_BLOCK)
        self._buffer = self._buffer[self._at :] + block
        self._at = 0
        return bool(block)


def _flatten(line: int, element: Any, naming: Naming) -> Iterator[Row | Problem]:
    if not isinstance(element, dict):
        yield Problem(line, None, 'must be an object like {"number": "+14155550100", "provider": "NAME"}')
        return
    naming = naming.of(element)
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, value in _pairs(line, element, naming, problems):
        if name in fields:
            problems.append(Problem(line, name, "is given twice: remove one"))
        fields[name] = value
    if problems:
        yield from problems
    else:
        yield Row(line, fields, naming.wishes)


def _pairs(line: int, element: dict[str, Any], naming: Naming, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    for name, value in element.items():
        column = naming.column(name)
        if column is None:
            problems.append(Problem(line, name[:60], unknown(name, wishes=naming.wishes)))
        if not column:
            continue
        if column in OBJECT_COLUMNS:
            yield from _opened(line, column, value, problems)
        elif value not in (None, "") or column.startswith("metadata."):
            yield column, value


def _opened(line: int, column: str, value: Any, problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"{column}.{key}", inner) for key, inner in value.items())
    elif value is not None:
        problems.append(Problem(line, column, "must be an object"))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _reason(exc: Exception) -> str:
    if isinstance(exc, RecursionError):
        return "it is nested too deeply"
    return exc.msg if isinstance(exc, json.JSONDecodeError) else str(exc)


def _float(text: str) -> float:
    return float(text) if text.replace(".", "").lstrip("-").isdigit() else Exponential(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_float)
