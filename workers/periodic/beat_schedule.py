"""What Celery beat sends, and when.

The tables know when a pool and an account's audit are due; a message only has a worker look. So beat keeps nothing: a
second one, and one that was just started, change nothing, and what was missed is made up once.
"""

from __future__ import annotations

from typing import Any

from schemas.config.file import Config
from tasks.messages.celery_tasks import AUDIT, BALANCE, REPLENISH
from tasks.providers.registry import kinds
from tasks.runtime import PUBLIC_QUEUE, queue_of

__all__ = ["PUBLIC_QUEUE", "beat_schedule"]

POOL_TICK = 5.0
"""Seconds between two messages for one pool: how long one that is due, or lost a number, may have to wait."""

AUDIT_TICK = 60.0
"""Seconds: the longest between two messages for one provider's audit."""

BALANCE_TICK = 300.0
"""Seconds between two messages for one provider's balance, which is looked at once a day."""

EXPIRES = 300.0
"""Seconds after which a message is dropped: without a worker they must not pile up. Senders' clocks may be off."""


def beat_schedule(config: Config) -> dict[str, dict[str, Any]]:
    """Celery's `beat_schedule`: the pools, an audit of each provider that shows what it sold, and looks at balances."""
    pools = {f"replenish {name}": _entry(REPLENISH, POOL_TICK, PUBLIC_QUEUE, pool=name) for name in config.pools}
    audits = {
        f"audit {alias}": _entry(AUDIT, min(provider.policy.audit_every, AUDIT_TICK), queue_of(alias), provider=alias)
        for alias, provider in config.providers.items()
        if provider.policy.audit_every and kinds()[provider.kind].lists_owned
    }
    balances = {
        f"balance {alias}": _entry(BALANCE, BALANCE_TICK, queue_of(alias), provider=alias)
        for alias, provider in config.providers.items()
        if provider.low_balance is not None
    }
    return pools | audits | balances


def _entry(task: str, tick: float, queue: str, **kwargs: str) -> dict[str, Any]:
    return {"task": task, "schedule": tick, "kwargs": kwargs, "options": {"queue": queue, "expires": EXPIRES}}
