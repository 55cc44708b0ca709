"""How all of them say things: times, counts, ids, text that others wrote, and values in JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any


def as_json(document: Any) -> str:
    """A JSON document on one line: times are in UTC, with a Z."""
    return json.dumps(document, default=json_value)


def plain(text: str) -> str:
    """*text* without the characters that would steer a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else " " for c in text)


def moment(value: datetime | None) -> str:
    """A time for people: UTC, to the second."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def duration(seconds: float) -> str:
    """A length of time for people: '40 s', '3 min', '2.5 h', '12 days'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.0f} days"


def short_id(value: str | None) -> str:
    """An id as tables show it, which every command takes: its last 8 characters, for these are random."""
    return (value or "")[-8:]


def count(number: int, noun: str) -> str:
    """'1 line', '5,000 lines'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def json_value(value: Any) -> str:
    """A value that JSON has no type for."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return str(value)
