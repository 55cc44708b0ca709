"""Metadata in columns of its own, as order files have it: what comes back from a table as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from schemas.numbering.spelling import visible
from tasks.orderfile.columns import EXPORT_COLUMNS
from tasks.orderfile.export import FORMULA

MOST = 50
"""Columns of metadata in one table."""

_PREFIX = "metadata."
_LONGEST = 1_000
_NUMBER_OR_TIME = re.compile(r"(?=.*[0-9])[0-9.,:/+eE -]+")
_EXACT = re.compile(r"0|[1-9][0-9]{0,10}")


def metadata_columns(metadata: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns for what is in *metadata*, in the order in which it comes.

    A name has one where each of its values is a text that neither the reader nor a spreadsheet changes.
    """
    fit: dict[str, bool] = {}
    for one in metadata:
        for name, value in one.items():
            fit[name] = fit.get(name, _is_name(name)) and _is_plain(value)
    return tuple(f"{_PREFIX}{name}" for name, fits in fit.items() if fits)[:MOST]


def with_metadata(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns of an export with those before `metadata`, where the rest stands."""
    place = EXPORT_COLUMNS.index("metadata")
    return (*EXPORT_COLUMNS[:place], *columns, *EXPORT_COLUMNS[place:])


def spread(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The rows with what belongs into *columns* there, and the rest of their metadata as it is."""
    for row in rows:
        metadata = row["metadata"] or {}
        own = {name: value for name, value in metadata.items() if f"{_PREFIX}{name}" in columns and _is_plain(value)}
        rest = {name: value for name, value in metadata.items() if name not in own}
        yield {**row, **{f"{_PREFIX}{name}": value for name, value in own.items()}, "metadata": rest or None}


def _is_name(name: str) -> bool:
    return bool(name) and name.isprintable() and name == name.strip() == visible(name)


def _is_plain(value: Any) -> bool:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST:
        return False
    if not value.isprintable() or value != value.strip() or value.startswith((*FORMULA, "'")):
        return False
    if value.lower() in ("true", "false"):
        return False
    return bool(_EXACT.fullmatch(value)) or not _NUMBER_OR_TIME.fullmatch(value)
