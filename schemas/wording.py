"""What pydantic finds wrong, in plain words with the mend; and many names in a few."""

from __future__ import annotations

import difflib
from bisect import bisect
from collections.abc import Iterable, Mapping
from typing import Any

_WORDS: dict[str, str] = {
    "string_type": "must be text, in quotes",
    "string_too_short": "is too short: give {min_length} characters or more",
    "string_too_long": "is too long: {max_length} characters at most",
    "string_unicode": "holds half of a surrogate pair: send whole characters",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "too_short": "has too few entries: give {min_length} or more",
    "too_long": "has {actual_length} entries: {max_length} at most, split it",
    "dict_type": "must be an object of names and values",
    "model_type": "must be an object of names and values",
    "model_attributes_type": "must be an object of names and values",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "literal_error": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "uuid_parsing": "must be a UUID, like 01890a5d-ac96-774b-bcce-b302099a8057",
    "uuid_type": "must be a UUID, like 01890a5d-ac96-774b-bcce-b302099a8057",
    "string_pattern_mismatch": "{allowed}",
}
_EMPTY = {"string_too_short": "is empty: give at least one character", "too_short": "is empty: give at least one"}

_LISTED = 20
_COMPARED = 50
ACCOUNT_ID = r"^[!-?A-~][!-~]*$"
_ALLOWED = {
    ACCOUNT_ID: "use letters, digits and signs of ASCII, without spaces, and not @ at its beginning",
    r"^[!-~]+$": "use letters, digits and signs of ASCII, without spaces",
    r"^[A-Za-z0-9-]+$": "use letters, digits and -",
    r"^[^\x00-\x1f]+$": "leave out control characters",
}


def plain_words(error: Mapping[str, Any]) -> str:
    """One entry of pydantic's `ValidationError.errors()`, without the place."""
    context = error.get("ctx", {})
    pattern = context.get("pattern", "")
    known = _ALLOWED.get(pattern)
    allowed = f"has a character that it cannot have: {known}" if known else f"must match {pattern}"
    least = context.get("min_length")
    words = (_EMPTY if least == 1 else _WORDS).get(error["type"], _WORDS.get(error["type"]))
    if words is None:
        return str(error["msg"]).removeprefix("Value error, ")
    plain = {name: int(value) for name, value in context.items() if isinstance(value, float) and value.is_integer()}
    return words.format(**{**context, **plain, "allowed": allowed})


def listed(names: Iterable[str]) -> str:
    """Names for a message: all of them, as far as a person reads them, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - _LISTED:,} more" if known[_LISTED:] else ""
    return f"{', '.join(known[:_LISTED])}{more}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of *known* that *name* is most like, if it is like any.

    Of very many, those are compared that stand beside it in their order: a row with a slip must not cost more, the more
    accounts there are.
    """
    names = sorted(known)
    if len(names) > _COMPARED:
        here = bisect(names, name.strip().lower())
        names = names[max(0, here - _COMPARED // 2) : here + _COMPARED // 2]
    near = difflib.get_close_matches(name, names, 1)
    return near[0] if near else None
