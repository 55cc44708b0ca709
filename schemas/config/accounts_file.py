"""The accounts of a provider in a file of their own, `accounts_file`: one table for each.

Each is a provider as any other, with the alias NAME:ACCOUNT: what [providers.NAME] says, with its own table on top. No
alias of the configuration file has a colon, so none is two. It is a plain character in queues, keys, addresses of pages
and a results event's `source`, where a slash would begin another level.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from schemas.config.errors import ConfigError, Problem, Text, not_toml
from schemas.regular_file import read_regular
from schemas.wording import listed, nearest

FIELD = "accounts_file"
_SECRET = ("token_env", "token_file")
MISNAMED = None
"""The table of an alias of which no provider can be made, which is told already."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MAY_NAME = re.compile(rb"accounts_file|\\[uUx]")
"""What a file has that names one, be it escaped: a thousand tables are not parsed twice for nothing."""
_LONGEST = 40
"""Characters of an alias, and what a column holds of it."""


@dataclass(frozen=True)
class Contents:
    """What stands in a configuration file and in the accounts files that it names: bytes, or why one cannot be read."""

    main: bytes
    accounts: Mapping[str, bytes | str] = field(default_factory=dict)


@dataclass
class Expanded:
    """Tables by alias, with those of accounts among them; the accounts files by the provider; what is wrong."""

    tables: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Text] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def is_in_file(alias: str) -> bool:
    """Whether an alias is that of an account in an accounts file."""
    return ":" in alias


def name_of(alias: str) -> str:
    """The NAME in the alias NAME:ACCOUNT."""
    return alias.partition(":")[0]


def alias_hint(alias: str, known: Iterable[str]) -> str:
    """What to do about an *alias* that is not among the *known* ones.

    No account is proposed in place of another: what was meant for one customer would be bought at another's.
    """
    names = list(known)
    meant = alias.strip().lower().replace("/", ":")
    if meant in names:
        return f"did you mean {meant!r}?"
    name = name_of(meant)
    if not is_in_file(meant):
        near = nearest(alias, [one for one in names if not is_in_file(one)])
        return f"did you mean {near!r}?" if near else f"known are {listed(names)}"
    if any(one.startswith(f"{name}:") for one in names):
        return f"correct the account, or add it to the {FIELD} of [providers.{name}]"
    return f"known are {listed(names)}"


def read_contents(path: Path) -> Contents:
    """What stands in the configuration file *path*, and beside it, now. Raises ConfigError where it cannot be read."""
    try:
        main = read_regular(path)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    return Contents(main, {name: _read(path.parent / name) for name in _named(main)})


def expand(tables: Mapping[str, Any], contents: Mapping[str, bytes | str], folder: Path) -> Expanded:
    """The tables of the file, each that names an accounts file replaced by those of its accounts."""
    found = Expanded()
    taken: dict[str, str] = {}
    for name, table in tables.items():
        if message := _misnamed(f"alias {name!r}", name, _LONGEST):
            found.problems.append(Problem(("providers", name), message))
            found.tables[name] = MISNAMED
            continue
        if not isinstance(table, dict) or FIELD not in table:
            found.tables[name] = table
            continue
        try:
            _add(found, name, table, _text_of(name, table[FIELD], contents, folder, taken))
        except ConfigError as exc:
            found.problems.append(Problem(("providers", name, FIELD), f"{FIELD}: {exc}"))
    return found


def _add(found: Expanded, name: str, table: Mapping[str, Any], file: Text) -> None:
    accounts = _tables_in(file, name)
    found.files[name] = file
    if "account_id" in table:
        message = f"account_id: all accounts would be one: give it to each, in {file.name}"
        found.problems.append(Problem(("providers", name, "account_id"), message))
    if not isinstance(table.get("policy", {}), dict):
        message = f"policy must be a table: write [providers.{name}.policy]"
        found.problems.append(Problem(("providers", name, "policy"), message))
        return
    for account, own in accounts.items():
        alias = f"{name}:{account}"
        wrong = [*_wrong_in(alias, name, account, own)]
        found.problems += wrong
        found.tables[alias] = MISNAMED if wrong else _merged(table, own)


def misnamed_account(name: str, account: str) -> str | None:
    """Why *account* is no name of an account of [providers.NAME]; None where it is one."""
    return _misnamed(f"account {account!r}", account, _LONGEST - len(name) - 1)


def _wrong_in(alias: str, name: str, account: str, own: Any) -> Iterator[Problem]:
    path = ("providers", alias)
    if message := misnamed_account(name, account):
        yield Problem(path, message)
    if not isinstance(own, dict):
        yield Problem(path, f"{account} must be a table: write [{account}]")
        return
    for key in ("kind", FIELD):
        if key in own:
            yield Problem((*path, key), f"{key}: is said for all accounts, in [providers.{name}]: take it out")


def _misnamed(what: str, name: str, most: int) -> str | None:
    if _NAME.fullmatch(name) and len(name) <= most:
        return None
    return f"{what}: use at most {most} of a-z, 0-9, - and _, and begin with a letter or a digit"


def _merged(table: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider's table says, with the account's on top: of the policy each field, of a secret the whole."""
    aside = {FIELD, *(_SECRET if any(key in own for key in _SECRET) else ())}
    merged = {**{key: value for key, value in table.items() if key not in aside}, **own}
    if isinstance(merged.get("policy"), dict):
        merged["policy"] = {**table.get("policy", {}), **merged["policy"]}
    return merged


def _tables_in(file: Text, name: str) -> dict[str, Any]:
    try:
        accounts = tomllib.loads(file.text)
    except (ValueError, RecursionError) as exc:
        raise not_toml(exc, file.text, file.name) from exc
    if not accounts:
        # A write that was cut off must not take all accounts away.
        raise ConfigError(f"{file.name} names no account: add a table like [acme], or take [providers.{name}] out")
    return accounts


def _text_of(name: str, value: Any, contents: Mapping[str, bytes | str], folder: Path, taken: dict[str, str]) -> Text:
    if not isinstance(value, str) or not Path(value).name:
        raise ConfigError("must be the name of a file, as text")
    if (other := taken.setdefault(os.path.normpath(value), name)) != name:
        raise ConfigError(f"{value} is that of [providers.{other}] already: give each its own")
    content = contents.get(value, "it was not read")
    if isinstance(content, str):
        raise ConfigError(f"{folder / value} cannot be read: {content}")
    try:
        return Text(str(folder / value), content.decode("utf-8-sig"))
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{folder / value} cannot be read: {exc}") from exc


@lru_cache(maxsize=4)
def _named(main: bytes) -> tuple[str, ...]:
    """The accounts files that a configuration names; none where it cannot be read, which is told where it is parsed."""
    if not _MAY_NAME.search(main):
        return ()
    try:
        tables = tomllib.loads(main.decode("utf-8-sig")).get("providers")
    except (ValueError, RecursionError):
        return ()
    tables = tables.values() if isinstance(tables, dict) else ()
    names = [table.get(FIELD) for table in tables if isinstance(table, dict)]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def _read(path: Path) -> bytes | str:
    try:
        return read_regular(path)
    except OSError as exc:
        return exc.strerror or str(exc)
    except ValueError as exc:
        return str(exc)
