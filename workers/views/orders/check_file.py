"""The first pass over an order file: every row is checked before any is accepted.

What is right goes to a temporary file, so that loading reads neither the file nor standard input again.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

from schemas.by_criteria.wishes import Wish
from schemas.metadata import Metadata
from schemas.requests import BuyNumber
from tasks.chunks import chunks
from tasks.ledger.requests.accept import key_conflicts
from tasks.orderfile import Line, Problem, Sheets, read_order
from tasks.orders import CHUNK
from tasks.pools.reserved import reserved
from tasks.runtime import Runtime
from workers.views.errors import Failure

_METADATA: TypeAdapter[dict[str, Any]] = TypeAdapter(Metadata)

_SHOWN = 3


def bounded(metadata: dict[str, Any]) -> dict[str, Any]:
    """An order's metadata, within the bounds that messages have. Raises Failure."""
    try:
        return _METADATA.validate_python(metadata)
    except ValidationError as exc:
        raise Failure(f"--metadata {exc.errors()[0]['msg'].removeprefix('Value error, ')}") from exc


class Spool:
    """JSON values in a temporary file: written once, then read as often as wanted."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", prefix="dialstock-")  # noqa: SIM115 - see close
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        with _named():
            self._file.seek(0)
        for text in self._file:
            yield json.loads(text)

    def add(self, value: Any) -> None:
        """Append one value. Raises Failure."""
        with _named():
            self._file.write(json.dumps(value) + "\n")
        self._count += 1

    def close(self) -> None:
        """Give the file back to the system, and what is not written yet."""
        with suppress(OSError):
            self._file.close()


@contextmanager
def _named() -> Iterator[None]:
    """Tell what is full: a temporary file has no name."""
    try:
        yield
    except OSError as exc:
        folder = tempfile.gettempdir()
        raise Failure(f"{folder}: cannot be written: {exc.strerror}: TMPDIR names another folder") from exc


@dataclass
class Checked:
    """What the check of a file found; `bad_rows` counts the lines that the problems are on, `providers` the others.

    `twice` counts the lines that buy a number from a second provider; `twice_shown` names some of them. `wishes` are
    the rows with a count: a file has those or lines. `sheets`: of a spreadsheet.
    """

    lines: Spool = field(default_factory=Spool)
    problems: Spool = field(default_factory=Spool)
    bad_rows: int = 0
    providers: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    twice_shown: list[str] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    wish_lines: list[int] = field(default_factory=list)
    sheets: Sheets | None = None
    _last_bad: int = -1

    def requests(self) -> Iterator[tuple[int, BuyNumber]]:
        """The purchases of the file, with their lines."""
        for line, fields in self.lines:
            yield line, BuyNumber.model_construct(**fields)

    def document(self) -> dict[str, Any]:
        """As plain data: the problems, and of a spreadsheet the sheet that was read, and those that were not."""
        sheets = self.sheets and {"sheet": self.sheets.read, "other_sheets": [*self.sheets.others]}
        return {"bad_rows": self.bad_rows, "problems": list(self.problems), **(sheets or {})}

    def add_line(self, line: Line) -> None:
        """Keep a purchase."""
        request = line.request
        self.providers[request.provider] += 1
        if line.also is not None:
            self.twice += 1
            if len(self.twice_shown) < _SHOWN:
                self.twice_shown.append(f"{request.number} (lines {line.also} and {line.line})")
        self.lines.add([line.line, {name: getattr(request, name) for name in BuyNumber.model_fields}])

    def add_problem(self, problem: Problem) -> None:
        """Keep a problem; those of one line come one after the other."""
        place = {"place": problem.place} if problem.place else {}
        self.problems.add({"line": problem.line, "column": problem.column, "message": problem.message, **place})
        self.bad_rows += problem.line != self._last_bad
        self._last_bad = problem.line

    def close(self) -> None:
        """Give back the temporary files."""
        self.lines.close()
        self.problems.close()


def check_file(
    runtime: Runtime,
    source: BinaryIO,
    *,
    provider: str | None,
    advance: Callable[[int], None] | None = None,
    **how: Any,
) -> Checked:
    """Check every row of *source*; its keys against all that came before, its numbers against the pools' too.

    *provider* is that of rows that name none; *advance* hears of each so many rows that are checked.
    *how* are the other arguments of `read_order`. Raises OrderFileError.
    """
    checked = Checked()
    take, sheets = partial(_take, checked), partial(setattr, checked, "sheets")
    try:
        found = read_order(source, kinds=runtime.kinds, default_provider=provider, on_wish=take, on_sheet=sheets, **how)
        for batch in chunks(found, CHUNK):
            _keep(checked, _out_of_pools(runtime, batch), _conflicts(runtime, batch))
            if advance is not None:
                advance(len(batch))
    except BaseException:
        checked.close()
        raise
    return checked


def _take(checked: Checked, line: int, wish: Wish) -> None:
    checked.wishes.append(wish)
    checked.wish_lines.append(line)


def _keep(checked: Checked, batch: Iterable[Line | Problem], conflicts: dict[str, str]) -> None:
    for item in batch:
        if isinstance(item, Problem):
            checked.add_problem(item)
        elif owner := conflicts.get(item.request.idempotency_key or ""):
            message = (
                f"{item.request.idempotency_key!r} came before with another request (purchase {owner}): "
                "give the new request a new key; where an export lost its metadata or options, take its key out too"
            )
            checked.add_problem(Problem(item.line, "idempotency_key", message))
        else:
            checked.add_line(item)


def _conflicts(runtime: Runtime, batch: Iterable[Line | Problem]) -> dict[str, str]:
    keyed = [item.request for item in batch if isinstance(item, Line) and item.request.idempotency_key is not None]
    if not keyed:
        return {}
    with runtime.database.read() as conn:
        return key_conflicts(conn, keyed)


def _out_of_pools(runtime: Runtime, batch: Iterable[Line | Problem]) -> list[Line | Problem]:
    """The batch, with a problem in place of each line whose number stands in a pool."""
    lines = [item for item in batch if isinstance(item, Line)]
    told = reserved(runtime, [item.request for item in lines])
    problems = {lines[n].line: Problem(lines[n].line, "number", mend) for n, mend in told.items()}
    return [problems.get(item.line, item) if isinstance(item, Line) else item for item in batch]
