"""The text of an accounts file with an account more, or without one: what people wrote beside it stays."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import takewhile

from schemas.config.errors import header_of, key_of
from workers.views.errors import Failure

_FIELD = re.compile(r"[a-z][a-z0-9_]*")


def with_account(text: str, account: str, fields: Mapping[str, str]) -> str:
    """*text* with the table of an account at its end. Raises Failure for what is no name of a field."""
    for name in fields:
        if not _FIELD.fullmatch(name):
            raise Failure(
                f"{name!r} is no field: `dialstock provider kinds` lists them; a policy is written in the file"
            )
    # a string of JSON is one of TOML
    table = [f"[{account}]", *(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())]
    before = text.rstrip()
    return "\n".join([*([before, ""] if before else []), *table, ""])


def without_account(text: str, account: str) -> str | None:
    """*text* without an account's tables; None where these are written so that only a person can take them out."""
    kept = "".join(line for section in _sections(text) for line in _left(section, account))
    wanted = {name: table for name, table in tomllib.loads(text).items() if name != account}
    try:
        return kept if tomllib.loads(kept) == wanted else None
    except ValueError:
        return None


def _sections(text: str) -> Iterator[list[str]]:
    """The lines before the first header, then those of each table with its header."""
    section: list[str] = []
    for line in text.splitlines(keepends=True):
        if header_of(line):
            yield section
            section = []
        section.append(line)
    yield section


def _left(section: list[str], account: str) -> list[str]:
    header = header_of(section[0]) if section else None
    if header is None:
        return [line for line in section if (key_of(line) or ("",))[0] != account]
    if header[0] != account:
        return section
    # what stands before the next table is said of that
    return [*takewhile(_says_nothing, reversed(section))][::-1]


def _says_nothing(line: str) -> bool:
    return not line.partition("#")[0].strip()
