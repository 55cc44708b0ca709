"""What keys, streams and channels are called in a Redis that installations share: each has a prefix for all of them."""

from __future__ import annotations

from typing import Any

BEAT_KEY = "dialstock:beat"
"""The sign of life of Celery beat. It stands here for who looks at Redis without Celery, which is slow to import."""


def named(redis: Any, name: str) -> str:
    """The *name* as this installation has it; the client knows its prefix, so that nobody can forget it."""
    return f"{getattr(redis, 'key_prefix', '')}{name}"
