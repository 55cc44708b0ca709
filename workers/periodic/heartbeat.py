"""The sign of life of Celery beat: a key in Redis that each message it sends writes anew.

What beat does not send, nobody misses: workers only see pools and audits that are not due. So the key tells that
messages go out, and not only that a process runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

import redis
from celery import signals
from redis.exceptions import RedisError

from tasks.redis_keys import BEAT_KEY, named
from tasks.runtime import utc_now
from tasks.server_errors import explained

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two signs: many messages go out at one moment."""

LEAST_KEPT = 30.0
_TICKS_KEPT = 3


def kept_for(schedule: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Seconds after which a beat that gave no sign is taken for dead; None where it has nothing to send."""
    ticks = [float(entry["schedule"]) for entry in schedule.values()]
    return max(LEAST_KEPT, _TICKS_KEPT * min(ticks)) if ticks else None


def is_alive(client: redis.Redis) -> bool:
    """Whether a beat sent anything lately. Raises RedisError."""
    return bool(client.exists(named(client, BEAT_KEY)))


class Heartbeat:
    """Gives the sign; where Redis is away the messages do not go out either, and Celery says so."""

    def __init__(self, client: redis.Redis, kept: float | None) -> None:
        """*kept* is how long a sign is; None for a schedule that sends nothing to give one with."""
        self._client = client
        self.kept = kept
        self._last = float("-inf")

    def start(self) -> None:
        """Give a sign with each message that this process sends from now on."""
        signals.after_task_publish.connect(self.sent, weak=False)

    def sent(self, **_: Any) -> None:
        """A message went out."""
        if self.kept is None or time.monotonic() - self._last < EVERY:
            return
        try:
            self._client.set(named(self._client, BEAT_KEY), utc_now().isoformat(), px=int(self.kept * 1000))
            self._last = time.monotonic()
        except RedisError as exc:
            log.warning("no sign of life is given: Redis %s", explained(exc))
