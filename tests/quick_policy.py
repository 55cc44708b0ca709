"""A policy for tests that play hours in seconds: the defaults' minutes as seconds."""

from __future__ import annotations

from typing import Any

QUICK: dict[str, Any] = {
    "timeout": 2.0,
    "connect_timeout": 1.0,
    "send_within": 1.0,
    "take_within": 2.0,
    "reconcile_after": [1, 2, 3],
    "poll_every": 1,
    "poll_for": 60,
    "backoff_initial": 0.2,
    "backoff_max": 1.0,
    "pause_cooldown": 1.0,
    "daily_limit": 0,
}
