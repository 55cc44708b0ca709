"""Where a problem of the configuration stands and how it is told: FILE:LINE: what is wrong and the mend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.config.policy import Policy
from schemas.wording import listed, nearest, plain_words

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_PATH = rf"({_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"\s*\[\[?\s*{_PATH}\s*\]")
_KEY = re.compile(rf"\s*{_PATH}\s*=")
_TOML_LINE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")

# other words for what a field says
_MEANT = {"area": "prefix", "area_code": "prefix", "areacode": "prefix", "interval": "schedule", "crontab": "schedule"}

TomlPath = tuple[str, ...]
_Lines = tuple[str, dict[TomlPath, int]]

_MOST = 50
"""Problems that are told at once: a slip in a file of accounts may be one in each of a thousand."""


class ConfigError(ValueError):
    """A configuration that cannot be used; one line for each problem, with where it is and how to mend it."""


@dataclass(frozen=True)
class Problem:
    """What is wrong at `path`, the keys that lead to a place in the file."""

    path: TomlPath
    message: str


@dataclass(frozen=True)
class Text:
    """A file's name and what it says."""

    name: str
    text: str


def report(
    problems: Iterable[Problem], text: str, name: str, accounts: Mapping[str, Text] = MappingProxyType({})
) -> ConfigError:
    """The problems in the order of their lines in *text*, the file *name*; behind them those in accounts files.

    *accounts* are these, by the provider that names them. Of very many problems only the first are told.
    """
    lines = _lines(text)
    theirs = {provider: (file.name, _lines(file.text)) for provider, file in accounts.items()}
    placed = [(*_place_of(one.path, (name, lines), theirs), one.message) for one in problems]
    # what is wrong in the table of all accounts is wrong with each
    told = sorted(dict.fromkeys(placed), key=lambda place: (place[0] != name, *place[:2]))
    more = [f"and {len(told) - _MOST:,} more problems"] if told[_MOST:] else []
    return ConfigError("\n".join([*(f"{file}:{line}: {message}" for file, line, message in told[:_MOST]), *more]))


def not_toml(exc: Exception, text: str, name: str) -> ConfigError:
    """What tomllib says, at the line that it names; it names none where the text ends too early."""
    match = _TOML_LINE.search(str(exc))
    line = int(match[1]) if match else max(1, len(text.splitlines()))
    return ConfigError(f"{name}:{line}: is not TOML: {_TOML_LINE.sub('', str(exc)).strip()}")


def describe(exc: ValidationError, model: type[BaseModel], table: TomlPath, field_path: str = "") -> list[Problem]:
    """The problems of one *table* of the file, which *model* checked; *field_path* goes before the fields' names."""
    return [_describe(error, model, table, field_path) for error in exc.errors(include_url=False)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of *known*, or all of them."""
    names = [str(name) for name in known]
    near = nearest(name, names)
    return f"did you mean {near!r}?" if near else f"known are {listed(names)}"


def _describe(error: Any, model: type[BaseModel], table: TomlPath, field_path: str) -> Problem:
    path = tuple(str(part) for part in error["loc"] if part != "[key]")
    field = ".".join((field_path, *path) if field_path else path)
    message = plain_words(error)
    if error["type"] == "extra_forbidden":
        return Problem((*table, *path), f"unknown field {field!r}: {_place_for(path[-1], model, table)}")
    if error["type"] == "missing":
        return Problem((*table, *path), f"{field!r} is missing: [{heading(table)}] needs it")
    if path:
        return Problem((*table, *path), f"{field}: {message}")
    # a check of the whole table names the field to mend at the beginning of its message
    named, _, _ = message.partition(":")
    prefix = f"{field_path}." if field_path else ""
    if named in model.model_fields:
        return Problem((*table, named), f"{prefix}{message}")
    return Problem(table, f"[{heading(table)}]: {message}")


def _place_for(field: str, model: type[BaseModel], table: TomlPath) -> str:
    if "policy" in model.model_fields and field in Policy.model_fields:
        return f"it belongs in [{heading(table)}.policy]"
    if (meant := _MEANT.get(field)) in model.model_fields:
        return f"did you mean {meant!r}?"
    return did_you_mean(field, model.model_fields)


def _place_of(path: TomlPath, main: _Lines, theirs: Mapping[str, _Lines]) -> tuple[str, int]:
    """The file in which *path* is mended, and the line: what an account has of its provider's table stands in that."""
    provider, _, account = path[1].partition(":") if len(path) > 1 else ("", "", "")
    name, lines = theirs.get(provider, main) if account else main
    if lines is main[1]:
        return name, _line_of(path, lines)
    own, for_all = (account, *path[2:]), ("providers", provider, *path[2:])
    if len(own) > 1 and own not in lines and for_all in main[1]:
        return main[0], _line_of(for_all, main[1])
    return name, _line_of(own, lines)


def heading(table: TomlPath) -> str:
    """How a table's line begins in its file."""
    account = table[1].partition(":")[2] if len(table) > 1 else ""
    return ".".join((account, *table[2:]) if account else table)


def header_of(line: str) -> TomlPath | None:
    """The table that a line of a file begins; None where it begins none."""
    match = _HEADER.match(line)
    return _split(match[1]) if match else None


def key_of(line: str) -> TomlPath | None:
    """The key, in its table, that a line gives a value; None where it gives none."""
    match = _KEY.match(line)
    return _split(match[1]) if match else None


def _lines(text: str) -> dict[TomlPath, int]:
    """The line of each key and table that the text shows."""
    lines: dict[TomlPath, int] = {}
    table: TomlPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := header_of(line):
            table = header
            lines[table] = number
        elif key := key_of(line):
            path = (*table, *key)
            for length in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def _split(path: str) -> TomlPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))


def _line_of(path: TomlPath, lines: dict[TomlPath, int]) -> int:
    """The line of the deepest part of *path* that the text shows; 1 where it shows none."""
    for length in range(len(path), 0, -1):
        if line := lines.get(path[:length]):
            return line
        if inside := [line for known, line in lines.items() if known[:length] == path[:length]]:
            return min(inside)
    return 1
