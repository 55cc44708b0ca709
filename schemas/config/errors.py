"""Where a problem of the configuration stands and how it is told: FILE:LINE: what is wrong and the mend."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.config.policy import Policy
from schemas.wording import plain_words

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_PATH = rf"({_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"\s*\[\[?\s*{_PATH}\s*\]")
_KEY = re.compile(rf"\s*{_PATH}\s*=")
_TOML_LINE = re.compile(r"\(at line ([0-9]+), column [0-9]+\)")

# other words for what a field says
_MEANT = {"area": "prefix", "area_code": "prefix", "areacode": "prefix", "interval": "schedule", "crontab": "schedule"}

TomlPath = tuple[str, ...]


class ConfigError(ValueError):
    """A configuration that cannot be used; one line for each problem, with where it is and how to mend it."""


@dataclass(frozen=True)
class Problem:
    """What is wrong at `path`, the keys that lead to a place in the file."""

    path: TomlPath
    message: str


def report(problems: Iterable[Problem], text: str, name: str) -> ConfigError:
    """All problems in the order of their lines in *text*, the file *name*."""
    lines = _lines(text)
    placed = sorted(((_line_of(problem.path, lines), problem.message) for problem in problems), key=lambda p: p[0])
    return ConfigError("\n".join(f"{name}:{line}: {message}" for line, message in placed))


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
    near = difflib.get_close_matches(name, names, 1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"


def _describe(error: Any, model: type[BaseModel], table: TomlPath, field_path: str) -> Problem:
    path = tuple(str(part) for part in error["loc"])
    field = ".".join((field_path, *path) if field_path else path)
    message = plain_words(error)
    if error["type"] == "extra_forbidden":
        return Problem((*table, *path), f"unknown field {field!r}: {_place_for(path[-1], model, table)}")
    if error["type"] == "missing":
        return Problem((*table, *path), f"{field!r} is missing: [{'.'.join(table)}] needs it")
    if path:
        return Problem((*table, *path), f"{field}: {message}")
    # a check of the whole table names the field to mend at the beginning of its message
    named, _, _ = message.partition(":")
    prefix = f"{field_path}." if field_path else ""
    if named in model.model_fields:
        return Problem((*table, named), f"{prefix}{message}")
    return Problem(table, f"[{'.'.join(table)}]: {message}")


def _place_for(field: str, model: type[BaseModel], table: TomlPath) -> str:
    if "policy" in model.model_fields and field in Policy.model_fields:
        return f"it belongs in [{'.'.join(table)}.policy]"
    if (meant := _MEANT.get(field)) in model.model_fields:
        return f"did you mean {meant!r}?"
    return did_you_mean(field, model.model_fields)


def _lines(text: str) -> dict[TomlPath, int]:
    """The line of each key and table that the text shows."""
    lines: dict[TomlPath, int] = {}
    table: TomlPath = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _split(header[1])
            lines[table] = number
        elif key := _KEY.match(line):
            path = (*table, *_split(key[1]))
            for length in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def _split(path: str) -> TomlPath:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))


def _line_of(path: TomlPath, lines: dict[TomlPath, int]) -> int:
    """The line of the deepest part of *path* that the text shows; 1 where it shows none."""
    for length in range(len(path), 0, -1):
        inside = [line for known, line in lines.items() if known[:length] == path[:length]]
        if line := lines.get(path[:length], min(inside, default=0)):
            return line
    return 1
