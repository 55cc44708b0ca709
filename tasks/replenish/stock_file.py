"""A pool's stock file: CSV with the column `number`, `provider` where the pool has several, and `country` if wanted.

The whole file is checked before anything of it is bought. Options of a purchase may stand in it as in an order file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from schemas.config.kinds import Kind
from tasks.orderfile import Line, OrderFileError, Problem, read_order

MAX_ROWS = 100_000
"""All of it is read at each run that lacks a number."""

MAX_TOLD = 5

_NO_FILE = "no such file: mend stock_file, or put it there"
_COLUMNS = "a stock file has number, provider, country and options.*"


class StockFileError(ValueError):
    """A stock file that nothing is bought from; the message tells FILE:LINE of what is wrong, and the mend."""


class Listed(NamedTuple):
    """A number of the file; 100,000 of them are kept in little memory."""

    number: str
    provider: str
    options: Mapping[str, Any]


def read_stock(path: Path, kinds: Mapping[str, Kind], country: str) -> list[Listed]:
    """The file's numbers, in its order. *kinds* are the pool's providers, *country* that of national numbers.

    Raises StockFileError.
    """
    if not path.is_file():
        problem = "is a directory: have stock_file name a file in it" if path.is_dir() else _NO_FILE
        raise StockFileError(f"{path}: {problem}")
    default = next(iter(kinds)) if len(kinds) == 1 else None
    try:
        with path.open("rb") as source:
            rows = read_order(
                source, name=str(path), format="csv", kinds=kinds, default_provider=default, country=country
            )
            return _checked(path, rows)
    except OrderFileError as exc:
        raise StockFileError(str(exc)) from exc
    except OSError as exc:
        raise StockFileError(f"{path}: cannot be read: {exc.strerror}") from exc


def _checked(path: Path, rows: Iterator[Line | Problem]) -> list[Listed]:
    listed: list[Listed] = []
    told: list[str] = []
    for count, row in enumerate(rows, 1):
        if count > MAX_ROWS:
            raise StockFileError(f"{path}: has more than {MAX_ROWS:,} rows: leave out what is bought already")
        if isinstance(row, Line):
            listed.append(Listed(row.request.number, row.request.provider, row.request.options))
        told += [f"{path}:{problem.line}: {_text(problem)}" for problem in _problems(row)]
    if told:
        more = len(told) - MAX_TOLD
        raise StockFileError("; ".join(told[:MAX_TOLD]) + (f"; and {more} more" if more > 0 else ""))
    return listed


def _problems(row: Line | Problem) -> list[Problem]:
    if isinstance(row, Problem):
        return [row]
    given = {"idempotency_key": row.request.idempotency_key, "metadata": row.request.metadata}
    return [Problem(row.line, name, "a pool sets its own: remove the column") for name in given if given[name]]


def _text(problem: Problem) -> str:
    # an order file has other columns too
    message = f"unknown column: {_COLUMNS}" if problem.message.startswith("unknown column") else problem.message
    return f"{problem.column}: {message}" if problem.column else message
