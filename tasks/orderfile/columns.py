"""The columns of an order file and of an export.

An order has `number`, `provider`, `idempotency_key`, `options.NAME` and `metadata.NAME`; all but the names of
metadata are read without regard to case, to blanks for underscores and to what nobody can see. The number's column is
known by the other names that it usually has.
"""

from __future__ import annotations

import difflib
import re
from functools import cache

from schemas.outcomes import clip
from schemas.spelling import visible
from tasks.providers.registry import kinds

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
    "version",
)
EXPORTS = (EXPORT_COLUMNS, EXPORT_COLUMNS[:-1])
"""The columns of an export, of this release and of those before."""

# what an export says of the request; the rest is its result, and is not read again
REQUEST_COLUMNS = frozenset({"number", "provider", "metadata", "options", "idempotency_key"})

_DEVICES = ("phone", "telephone", "tel", "mobile", "mobilephone", "cell", "cellphone", "did", "ddi", "msisdn", "e164")
# letters and digits only: Phone Number, phone_number and Phone No. are one name
_NUMBER_NAMES = frozenset(
    {"number", "numbers", "phones", "numbere164", "phonenumbere164", "phonee164", "phonenumbers"}
    | {f"{device}{end}" for device in _DEVICES for end in ("", "no", "nr", "number")}
)
_MAX_NAME = 60


def canonical(name: str) -> str | None:
    """The column's own name, or None where there is no such column."""
    seen = visible(name).lower()
    if (column := re.sub(r"[ _-]+", "_", seen)) in _known():
        return column
    if re.sub(r"[^a-z0-9]", "", seen) in _NUMBER_NAMES and seen.isascii():
        return "number"
    group, _, rest = name.strip().partition(".")
    if visible(group).lower() == "metadata" and rest.strip():
        return f"metadata.{rest.strip()}"
    return None


def unknown(name: str) -> str:
    """Why a column cannot be read, and the mend."""
    if not name.strip():
        return "the column has no name: name it or remove it"
    near = difflib.get_close_matches(name.strip().lower()[:_MAX_NAME], _known(), 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_known())};"
    return f"unknown column {clip(name.strip(), _MAX_NAME)!r}: {hint} metadata.NAME carries extra data"


@cache
def _known() -> tuple[str, ...]:
    options = {f"options.{name}" for kind in kinds().values() for name in kind.options.model_fields}
    return "number", "provider", "idempotency_key", *sorted(options)
