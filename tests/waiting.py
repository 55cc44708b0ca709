"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 180.0
"""Seconds that a process may take for what it does in one on a quiet machine: to start, to answer, to end."""


def eventually(check: Callable[[], T], *, seconds: float = PATIENCE, what: str = "") -> T:
    """The first true value of *check*, asked again and again; fails after *seconds*."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(0.02)
    raise AssertionError(f"did not happen in {seconds:g} s: {what or check}")
