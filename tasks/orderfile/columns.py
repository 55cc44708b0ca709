"""The columns of an order file and of an export.

An order has `number`, `provider`, `country`, `idempotency_key`, `options.NAME` and `metadata.NAME`; all but the names
of metadata are read without regard to case, to blanks for underscores and to what nobody can see. The columns of the
number, of the provider and of the country are known by the other names that they usually have, and by those that a
person gives them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from schemas.numbering.spelling import quoted, visible
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
    "monthly_price",
    "setup_price",
    "currency",
    "metadata",
    "options",
    "idempotency_key",
    "version",
    "wish",
)

# what an export says of the request; the rest is its result, and is not read again
REQUEST_COLUMNS = frozenset({"number", "provider", "metadata", "options", "idempotency_key"})
RESULT_COLUMNS = frozenset(EXPORT_COLUMNS) - REQUEST_COLUMNS
OBJECT_COLUMNS = ("metadata", "options")
"""What an export writes as a JSON object each."""

WISH_COLUMNS = ("count", "country", "prefix", "type", "features", "contains", "max_price", "at_least")
"""What rows have, beside `provider` and `metadata.NAME`, that name no number."""

Others = Literal["refuse", "ignore", "metadata"]

_COLUMNS = ("number", "provider", "country", "idempotency_key")
_DEVICES = ("phone", "telephone", "tel", "mobile", "mobilephone", "cell", "cellphone", "did", "ddi", "msisdn", "e164")
# letters and digits only: Phone Number, phone_number and Phone No. are one name
_NUMBER_NAMES = frozenset(
    {"number", "numbers", "phones", "numbere164", "phonenumbere164", "phonee164", "phonenumbers"}
    | {f"{device}{end}" for device in _DEVICES for end in ("", "no", "nr", "number")}
)
_PROVIDER_NAMES = frozenset({"provider", "providername", "carrier", "carriername"})
_COUNTRY_NAMES = frozenset(
    {"country", "countrycode", "countryiso", "countryiso2", "countryisocode", "isocountry", "isocountrycode", "iso2"}
)
# a column of its own in many files, and no misspelt country
_COUNTY = "county"
_MAX_NAME = 60
_NEARLY = 0.8


def canonical(name: str) -> str | None:
    """The column's own name, or None where there is no such column."""
    seen = visible(name).lower()
    if (column := re.sub(r"[ _-]+", "_", seen)) in _known():
        return column
    plain = re.sub(r"[^a-z0-9]", "", seen) if seen.isascii() else ""
    if plain in _NUMBER_NAMES:
        return "number"
    if plain in _PROVIDER_NAMES:
        return "provider"
    if plain in _COUNTRY_NAMES:
        return "country"
    group, _, rest = name.strip().partition(".")
    if visible(group).lower() == "metadata" and rest.strip():
        return f"metadata.{rest.strip()}"
    return None


def wish_column(name: str) -> str | None:
    """The column's own name in a table without a number, or None where there is no such column."""
    seen = re.sub(r"[ _-]+", "_", visible(name).lower())
    column = canonical(name)
    return seen if seen in WISH_COLUMNS else column if _of_wishes(column) else None


def _of_wishes(column: str | None) -> bool:
    return column == "provider" or (column or "").startswith("metadata.")


def unknown(name: str, *, wishes: bool = False) -> str:
    """Why a column cannot be read, and the mend."""
    if not name.strip():
        return "the column has no name: name it or remove it"
    if not wishes and wish_column(name) == "count":
        return "a row has a number, or a count in place of it: put those into a file of their own"
    seen, known = name.strip().lower()[:_MAX_NAME], (*WISH_COLUMNS, "provider") if wishes else _COLUMNS
    near = [] if wishes or seen == _COUNTY else difflib.get_close_matches(seen, _options(), 1, _NEARLY)
    near = near or [one for one in difflib.get_close_matches(seen, known, 1) if seen != _COUNTY]
    more = "" if wishes else ", options.NAME"
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}{more};"
    return f"unknown column {quoted(name.strip(), _MAX_NAME)}: {hint} metadata.NAME carries extra data"


@dataclass(frozen=True, slots=True)
class Naming:
    """How a file names its columns.

    *given* maps names of the file, as `folded` has them, to our columns: such a column is found by that name alone.
    *others* is what becomes of columns that are none of ours. *wishes*: the rows have a count in place of a number;
    *mixed*: they have both, which is told once, of the count.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    others: Others = "refuse"
    wishes: bool = False
    mixed: bool = False

    def of(self, names: Iterable[str]) -> Naming:
        """The naming of a table, or an object, with these names: of wishes where it has a count and no number."""
        seen = list(names)
        if "count" not in map(wish_column, seen):
            return self
        mixed = any(self.known(name) == "number" for name in seen)
        return replace(self, wishes=not mixed, mixed=mixed)

    def known(self, name: str) -> str | None:
        """The column that *name* is, None for none of ours."""
        if own := self.given.get(folded(name)):
            return own
        column = wish_column(name) if self.wishes else canonical(name)
        return None if column in self.given.values() else column

    def column(self, name: str) -> str | None:
        """The column to read *name* as, one of OBJECT_COLUMNS too; '' to pass it over, None to refuse it.

        The results of an export are passed over. What is nearly one of ours, or an option, never is: perhaps it was
        meant to be.
        """
        column, seen = self.known(name), visible(name)
        if column is not None or seen in OBJECT_COLUMNS:
            return column or seen
        if self.others != "metadata" and seen in RESULT_COLUMNS:
            return ""
        if self.others == "refuse" or _meant(seen.lower()):
            return "" if self.mixed and (of := wish_column(name)) in WISH_COLUMNS and of != "count" else None
        return f"metadata.{seen}" if self.others == "metadata" else ""


def folded(name: str) -> str:
    """A name for comparison: without regard to case, to how accents are coded and to what nobody can see."""
    return unicodedata.normalize("NFC", visible(name)).casefold()


def is_column(name: str) -> bool:
    """Whether *name* is a column's own name, not one of its other names."""
    return name in _known() or (name.startswith("metadata.") and bool(name.removeprefix("metadata.").strip()))


def _meant(seen: str) -> bool:
    if not seen or seen.startswith(("options.", "metadata.")):
        return True
    if canonical(seen) is not None or seen == _COUNTY:
        return False
    return bool(difflib.get_close_matches(seen[:_MAX_NAME], _known(), 1, _NEARLY))


@cache
def _known() -> tuple[str, ...]:
    return *_COLUMNS, *_options()


@cache
def _options() -> tuple[str, ...]:
    return tuple(sorted({f"options.{name}" for kind in kinds().values() for name in kind.options.model_fields}))
