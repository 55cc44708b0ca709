"""What Celery beat sends, and when.

The tables know when a pool and an account's audit are due; a message only has a worker look. So beat keeps nothing: a
second one, and one that was just started, change nothing, and what was missed is made up once. Of all accounts one
message has a worker look, which sends one for each that is due: a thousand that are not cost nothing.
"""

from __future__ import annotations

from typing import Any

from schemas.config.file import Config
from tasks.messages.celery_tasks import AUDIT, BALANCE, REPLENISH
from tasks.messages.daily_looks import EXPIRES
from tasks.providers.registry import kinds
from tasks.runtime import PUBLIC_QUEUE

__all__ = ["PUBLIC_QUEUE", "beat_schedule"]

POOL_TICK = 5.0
"""Seconds between two messages for one pool: how long one that is due, or lost a number, may have to wait."""

AUDIT_TICK = 60.0
"""Seconds: the longest between two messages for the audits that are due."""

BALANCE_TICK = 300.0
"""Seconds between two messages for the balances that are due, each once a day."""


def beat_schedule(config: Config) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule`: the pools, the audits of providers that show what they sold, and looks at balances."""
    found = {f"replenish {name}": _entry(REPLENISH, POOL_TICK, pool=name) for name in config.pools}
    every = [
        provider.policy.audit_every
        for provider in config.providers.values()
        if provider.policy.audit_every and kinds()[provider.kind].lists_owned
    ]
    if every:
        found["audits"] = _entry(AUDIT, min(*every, AUDIT_TICK), provider=None)
    if any(provider.low_balance is not None for provider in config.providers.values()):
        found["balances"] = _entry(BALANCE, BALANCE_TICK, provider=None)
    return found


def _entry(task: str, tick: float, **kwargs: str | None) -> dict[str, Any]:
    options = {"queue": PUBLIC_QUEUE, "expires": EXPIRES.total_seconds()}
    return {"task": task, "schedule": tick, "kwargs": kwargs, "options": options}
