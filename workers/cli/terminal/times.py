"""Times and types of events as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from schemas.config.errors import did_you_mean
from schemas.config.rates import parse_duration
from schemas.events import EventType
from workers.views.errors import Failure

_PREFIX = "dialstock."


def point_in_time(text: str, option: str, now: datetime) -> datetime:
    """An ISO 8601 time, in UTC where it names no zone, or a duration before *now*. Raises Failure."""
    try:
        return now - timedelta(seconds=parse_duration(text.strip()))
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        hint = "write a time like 2026-01-31T12:00Z, or how long ago, like 90s, 30m, 6h, 2d"
        raise Failure(f"{option} {text!r} is no time: {hint}") from None


def event_type(text: str) -> str:
    """The full name of an event's type. Raises Failure."""
    name = text.strip().lower().removeprefix(_PREFIX)
    known = [kind.removeprefix(_PREFIX) for kind in EventType]
    if name not in known:
        raise Failure(f"--type {text!r} is no type of event: {did_you_mean(name, known)}")
    return _PREFIX + name
