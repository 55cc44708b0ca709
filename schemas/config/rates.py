"""Limits and durations as people write them: '20/second', '13800/10 seconds', '6h'."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

MAX_DURATION = 366 * 86400.0
MAX_LIMIT = 1_000_000

_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_RATE = re.compile(r"\s*([0-9]+)\s*(?:/|per)\s*([0-9]+)?\s*([a-z]+?)s?\s*", re.IGNORECASE)
_DURATION = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([smhd])\s*", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class RateLimit:
    """At most `limit` calls in any `window` seconds."""

    window: float
    limit: int

    @property
    def per_second(self) -> float:
        """The average rate."""
        return self.limit / self.window

    def __str__(self) -> str:
        for name, seconds in _UNITS.items():
            if self.window == seconds:
                return f"{self.limit}/{name}"
        # not :g, which rounds 8640000 to 8.64e+06
        return f"{self.limit}/{self.window:.0f} seconds"


def parse_rate(value: Any) -> RateLimit:
    """Read 'N/unit' or 'N/M units'; the unit is second, minute, hour or day. Raises ValueError."""
    if isinstance(value, RateLimit):
        return value
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    unit = match and _UNITS.get(match[3].lower())
    if not match or not unit:
        raise ValueError(f"{value!r} is no rate limit: write it like '20/second', '13800/10 seconds', '100/hour'")
    # A number of so many digits that Python reads it no more is out of range, too.
    limit, count = int(match[1][:20]), int((match[2] or "1")[:20])
    if limit < 1 or count < 1:
        raise ValueError(f"{value!r} lets nothing through: a limit and its window are 1 or more")
    if limit > MAX_LIMIT or unit * count > MAX_DURATION:
        raise ValueError(f"{_short(value)!r} is out of range: at most {MAX_LIMIT:,} calls, in at most 366 days")
    return RateLimit(window=unit * count, limit=limit)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}\N{HORIZONTAL ELLIPSIS}"


def parse_duration(value: Any) -> float:
    """Read seconds as a number, or '90s', '30m', '6h', '2d': 0 to 366 days, in seconds. Raises ValueError."""
    seconds = _seconds(value)
    if seconds is None:
        raise ValueError(f"{value!r} is no duration: write seconds, or '90s', '30m', '6h', '2d'")
    if not 0 <= seconds <= MAX_DURATION:
        raise ValueError(f"{value!r} is out of range: a duration is from 0 to 366 days")
    return float(seconds)


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) * {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[match[2].lower()] if match else None


Rate = Annotated[RateLimit, BeforeValidator(parse_rate), PlainSerializer(str)]
Seconds = Annotated[float, BeforeValidator(parse_duration)]
