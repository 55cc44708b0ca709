"""Reading what a provider answered. A body is hostile data: any type may stand anywhere, and nothing here raises."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from schemas.numbering.numbers import NumberError, parse_e164

MAX_RETRY_AFTER = 86_400.0
MAX_ID = 200

_NUMBER = re.compile(r"\+?[0-9][0-9 ().-]{4,30}")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def fields(value: Any) -> Mapping[str, Any]:
    """*value* where it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def entries(value: Any) -> list[Mapping[str, Any]]:
    """The JSON objects of a JSON array; empty for anything else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def identifier(value: Any) -> str | None:
    """A provider's id as text; None for what cannot be one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        return None
    return value


def e164(value: Any) -> str | None:
    """A foreign number, with or without the plus and separators, as E.164 with the plus; None where it is none.

    Providers document that they answer with the country code: their digits have one reading, unlike a caller's.
    """
    try:
        return parse_e164(f"+{_digits(value)}")
    except NumberError:
        return None


def same_number(value: Any, number: str) -> bool:
    """Whether a foreign number is *number* (E.164 with the plus), digit by digit."""
    return _digits(value) == number.removeprefix("+")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds, 0 to one day; None where it is absent or cannot be read.

    It may be seconds or an HTTP date, which is compared with the answer's own Date: our clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    then = http_date(text)
    if then is None:
        return None
    now = http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max((then - now).total_seconds(), 0.0), MAX_RETRY_AFTER)


def header_seconds(headers: Mapping[str, str], name: str) -> float | None:
    """A header that counts seconds, one day at most; None where it is absent or cannot be read."""
    text = headers.get(name, "").strip()
    return min(float(text), MAX_RETRY_AFTER) if _SECONDS.fullmatch(text) else None


def _digits(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return ""
    return re.sub(r"[^0-9]", "", value)


def http_date(text: str) -> datetime | None:
    """An HTTP date; None for what is none."""
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
