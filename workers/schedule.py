"""What Celery beat sends, and when."""

from __future__ import annotations

from typing import Any

from schemas.config import Config
from tasks.entry import AUDIT
from tasks.providers.registry import lists_owned
from tasks.runtime import queue_of

TICK = 600.0
"""Seconds: the longest between two messages of one schedule.

The table knows when an account's audit is due. A message only has a worker ask, so that two beats, and a beat that
lost its file or was just started, change nothing.
"""


def beat_schedule(config: Config) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule`: an audit of each provider that shows what it sold."""
    return {
        f"audit {alias}": {
            "task": AUDIT,
            "schedule": (tick := min(provider.policy.audit_every, TICK)),
            "kwargs": {"provider": alias},
            # Without a worker they must not pile up.
            "options": {"queue": queue_of(alias), "expires": tick},
        }
        for alias, provider in config.providers.items()
        if provider.policy.audit_every and lists_owned(provider.kind)
    }
