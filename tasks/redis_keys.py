"""What keys, streams and channels are called in a Redis that installations share: each has a prefix for all of them."""

from __future__ import annotations

from typing import Any


def named(redis: Any, name: str) -> str:
    """The *name* as this installation has it; the client knows its prefix, so that nobody can forget it."""
    return f"{getattr(redis, 'key_prefix', '')}{name}"
