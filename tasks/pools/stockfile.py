"""A pool's stock file: CSV with the column `number`, and `provider` where the pool has several.

The whole file is checked before anything of it is bought. Options of a purchase may stand in it as in an order file.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from schemas.policy import Kind
from schemas.requests import BuyNumber
from tasks.orderfile import Line, OrderFileError, Problem, read_order

MAX_ROWS = 100_000
"""All of it is read at each run that lacks a number."""

MAX_TOLD = 5


class StockFileError(ValueError):
    """A stock file that nothing is bought from; the message tells FILE:LINE of what is wrong, and the mend."""


def read_stock(path: Path, kinds: Mapping[str, Kind], country: str) -> list[BuyNumber]:
    """The file's numbers, in its order. *kinds* are the pool's providers, *country* that of national numbers.

    Raises StockFileError.
    """
    if not path.is_file():
        raise StockFileError(f"{path}: no such file: mend stock_file, or put it there")
    default = next(iter(kinds)) if len(kinds) == 1 else None
    try:
        with path.open("rb") as source:
            rows = read_order(
                source, name=str(path), format="csv", kinds=kinds, default_provider=default, country=country
            )
            found = list(islice(rows, MAX_ROWS + 1))
    except (OSError, OrderFileError) as exc:
        raise StockFileError(str(exc) if isinstance(exc, OrderFileError) else f"{path}: {exc.strerror}") from exc
    if len(found) > MAX_ROWS:
        raise StockFileError(f"{path}: has more than {MAX_ROWS:,} rows: leave out what is bought already")
    problems = [problem for row in found for problem in _problems(row)]
    if problems:
        raise StockFileError(_told(path, problems))
    return [row.request for row in found if isinstance(row, Line)]


def _problems(row: Line | Problem) -> list[Problem]:
    if isinstance(row, Problem):
        return [row]
    given = {"idempotency_key": row.request.idempotency_key, "metadata": row.request.metadata}
    return [Problem(row.line, name, "a pool sets its own: remove the column") for name in given if given[name]]


def _told(path: Path, problems: list[Problem]) -> str:
    lines = [
        f"{path}:{problem.line}: {problem.column}: {problem.message}"
        if problem.column
        else f"{path}:{problem.line}: {problem.message}"
        for problem in problems[:MAX_TOLD]
    ]
    more = len(problems) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")
