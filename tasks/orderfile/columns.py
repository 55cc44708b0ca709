"""The columns of an order file and of an export.

An order has `number`, `provider`, `idempotency_key`, `options.NAME` and `metadata.NAME`; all but the names of
metadata are read without regard to case.
"""

from __future__ import annotations

import difflib

from schemas.outcomes import clip
from schemas.requests import OPTIONS

EXPORT_COLUMNS = (
    "line",
    "number",
    "provider",
    "status",
    "success",
    "error_code",
    "error",
    "provider_number_id",
    "already_owned",
    "attempts",
    "purchase_id",
    "finished_at",
    "metadata",
    "options",
    "idempotency_key",
)
# what an export says of the request; the rest is its result, and is not read again
REQUEST_COLUMNS = frozenset({"number", "provider", "metadata", "options", "idempotency_key"})

_OPTIONS = sorted({f"options.{name}" for model in OPTIONS.values() for name in model.model_fields})
_KNOWN = ("number", "provider", "idempotency_key", *_OPTIONS)
_MAX_NAME = 60


def canonical(name: str) -> str | None:
    """The column's own name, or None where there is no such column."""
    name = name.strip()
    if name.lower() in _KNOWN:
        return name.lower()
    group, _, rest = name.partition(".")
    if group.strip().lower() == "metadata" and rest.strip():
        return f"metadata.{rest.strip()}"
    return None


def unknown(name: str) -> str:
    """Why a column cannot be read, and the mend."""
    if not name.strip():
        return "the column has no name: name it or remove it"
    near = difflib.get_close_matches(name.strip().lower()[:_MAX_NAME], _KNOWN, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_KNOWN)};"
    return f"unknown column {clip(name.strip(), _MAX_NAME)!r}: {hint} metadata.NAME carries extra data"
