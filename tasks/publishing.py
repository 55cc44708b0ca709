"""The relay: events go from the outbox to the Redis stream and channel, at least once and in order.

One relay publishes at a time, by a lease in Redis; the script checks the lease and publishes in one step, so that a
relay that was frozen past its lease publishes nothing.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from schemas.events import CHANNEL, STREAM, cloud_event
from schemas.tables import EVENT, UNPUBLISHED
from tasks.runtime import Runtime

LEASE_KEY = "dialstock:relay"
LEASE = 10.0
"""Seconds that a relay may be silent before another one takes over."""

BATCH = 500
STREAM_LENGTH = 1_000_000
"""About how many events the stream keeps."""

_PUBLISH = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
for i = 4, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'event', ARGV[i])
  redis.call('PUBLISH', ARGV[2], ARGV[i])
end
return #ARGV - 3
"""

_LEASE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class Relay:
    """One worker's relay; `token` tells it from the others."""

    def __init__(self, runtime: Runtime, token: str, *, stream_length: int = STREAM_LENGTH) -> None:
        self._runtime = runtime
        self._token = token
        self._length = stream_length
        self._renew_at = 0.0
        self._publish = runtime.redis.register_script(_PUBLISH)
        self._lease = runtime.redis.register_script(_LEASE)

    def run_once(self) -> int | None:
        """Publish the next events. Returns how many, None where another relay has the lease.

        Raises redis.RedisError while Redis is away: the events stay in the outbox.
        """
        if not self._has_lease():
            return None
        rows = self._next()
        if not rows:
            return 0
        events = [json.dumps(cloud_event(row), ensure_ascii=False, separators=(",", ":")) for row in rows]
        keys = [LEASE_KEY, STREAM]
        if self._publish(keys=keys, args=[self._token, CHANNEL, self._length, *events]) < 0:
            self._renew_at = 0.0
            return None
        self._runtime.reached("published")
        self._mark([row["seq"] for row in rows])
        return len(rows)

    def _has_lease(self) -> bool:
        """Take or renew the lease, each third of its time: the publishing script checks it anyway."""
        if time.monotonic() < self._renew_at:
            return True
        taken = bool(self._lease(keys=[LEASE_KEY], args=[self._token, int(LEASE * 1000)]))
        self._renew_at = time.monotonic() + LEASE / 3 if taken else 0.0
        return taken

    def release(self) -> None:
        """Give the lease up, so that another relay takes over at once."""
        if self._runtime.redis.get(LEASE_KEY) == self._token.encode():
            self._runtime.redis.delete(LEASE_KEY)

    def _next(self) -> list[dict[str, Any]]:
        query = select(EVENT).where(UNPUBLISHED).order_by(EVENT.c.seq).limit(BATCH)
        with self._runtime.database.read() as conn:
            return [dict(row) for row in conn.execute(query).mappings()]

    def _mark(self, seqs: list[int]) -> None:
        with self._runtime.database.write() as conn:
            conn.execute(
                update(EVENT)
                .where(EVENT.c.seq.in_(bindparam("seqs", expanding=True)))
                .values(published_at=self._runtime.now()),
                {"seqs": seqs},
            )


def clean_up(runtime: Runtime, keep_seconds: float, limit: int = 1000) -> int:
    """Delete at most *limit* published events older than *keep_seconds*. Returns how many."""
    before = runtime.now() - timedelta(seconds=keep_seconds)
    old = select(EVENT.c.seq).where(EVENT.c.time < before, EVENT.c.published_at.is_not(None)).limit(limit)
    with runtime.database.write() as conn:
        return conn.execute(delete(EVENT).where(EVENT.c.seq.in_(old))).rowcount
