"""Whose trace a request is part of: its caller's `traceparent` (https://www.w3.org/TR/trace-context/).

It comes in the headers of the caller's Celery message, where OpenTelemetry's own instrumentation of Celery writes it.
A purchase lives long and in many processes, so it stands in the tables, and goes out with the events.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Of a later version than 00, only what 00 has is read: https://www.w3.org/TR/trace-context/#versioning-of-traceparent
_FORM = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<ids>(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2})(?P<rest>-.*)?"
)

_present: ContextVar[str | None] = ContextVar("traceparent", default=None)


def read(value: object) -> str | None:
    """A `traceparent` as version 00; None for what is none: no request is refused for its trace."""
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None or (found["version"] == "00" and found["rest"]):
        return None
    return f"00-{found['ids']}"


def present() -> str | None:
    """The `traceparent` of the request that is worked on here, for the rows and events that it makes."""
    return _present.get()


@contextmanager
def within(traceparent: str | None) -> Iterator[None]:
    """Have what is accepted here be part of that trace."""
    token = _present.set(traceparent)
    try:
        yield
    finally:
        _present.reset(token)
