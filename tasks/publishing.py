"""The relay: events go from the outbox to the Redis stream and channel, at least once and in order.

One relay publishes at a time, by a lease in Redis; the script checks the lease and publishes in one step, so that a
relay that was frozen past its lease publishes nothing.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, select, update

from schemas.events import CHANNEL, STREAM, STREAM_LENGTH, cloud_event
from schemas.tables import EVENT, UNPUBLISHED
from tasks.runtime import Runtime

LEASE_KEY = "dialstock:relay"
LEASE = 10.0
"""Seconds that a relay may be silent before another one takes over."""

STANDBY = 0.5
"""Seconds between two tries of a relay to get the lease of another."""

BATCH = 500

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


def relay_token() -> str:
    """A name for this process's relay that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


class Relay:
    """One worker's relay; `token` tells it from the others."""

    def __init__(self, runtime: Runtime, token: str, *, stream_length: int = STREAM_LENGTH) -> None:
        self._runtime = runtime
        self._token = token
        self._length = stream_length
        self._holds = False
        self._ask_at = 0.0
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
            self._holds, self._ask_at = False, 0.0
            return None
        self._runtime.reached("published")
        self._mark([row["seq"] for row in rows])
        return len(rows)

    def _has_lease(self) -> bool:
        """Take or renew the lease, each third of its time: the publishing script checks it anyway."""
        now = time.monotonic()
        if now >= self._ask_at:
            self._holds = bool(self._lease(keys=[LEASE_KEY], args=[self._token, int(LEASE * 1000)]))
            self._ask_at = now + (LEASE / 3 if self._holds else STANDBY)
        return self._holds

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


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which kept events to send again: from *since* on, before *until*; of these types and this subject, if given."""

    since: datetime
    until: datetime | None = None
    types: tuple[str, ...] = ()
    subject: str | None = None

    def where(self) -> list[ColumnElement[bool]]:
        """The conditions on the outbox. An event that was never published goes out by itself."""
        at = EVENT.c
        conditions = [at.time >= self.since, at.published_at.is_not(None)]
        if self.until is not None:
            conditions.append(at.time < self.until)
        if self.types:
            conditions.append(at.type.in_(self.types))
        if self.subject is not None:
            conditions.append(at.subject == self.subject)
        return conditions


def count_kept(runtime: Runtime, selection: Selection) -> int:
    """How many events a replay would send again."""
    with runtime.database.read() as conn:
        query = select(func.count()).select_from(EVENT).where(*selection.where())
        return int(conn.execute(query).scalar_one())


def replay(runtime: Runtime, relay: Relay, selection: Selection, wait: float = 0.05) -> Iterator[int]:
    """Send kept events again, with their ids and in their order, by batches; yields how many each batch had.

    A batch goes back into the outbox, and whichever relay has the lease publishes it: *relay* where no other does.
    New events go out between two batches, so that live readers wait for none but the present one. Whatever dies
    meanwhile, the present batch is sent; *wait* is in seconds. Raises redis.RedisError while Redis is away.
    """
    last = 0
    with runtime.database.read() as conn:
        top = conn.execute(select(func.max(EVENT.c.seq)).where(*selection.where())).scalar() or 0
    while seqs := _put_back(runtime, selection, last, top):
        while _unpublished(runtime, seqs[0], seqs[-1]):
            if not relay.run_once():
                time.sleep(wait)
        yield len(seqs)
        last = seqs[-1]


def _put_back(runtime: Runtime, selection: Selection, last: int, top: int) -> list[int]:
    at = EVENT.c
    query = select(at.seq).where(*selection.where(), at.seq > last, at.seq <= top).order_by(at.seq).limit(BATCH)
    with runtime.database.write() as conn:
        seqs = list(conn.execute(query).scalars())
        conn.execute(update(EVENT).where(at.seq.in_(seqs)).values(published_at=None))
    return seqs


def _unpublished(runtime: Runtime, first: int, last: int) -> bool:
    query = select(EVENT.c.seq).where(UNPUBLISHED, EVENT.c.seq >= first, EVENT.c.seq <= last).limit(1)
    with runtime.database.read() as conn:
        return conn.execute(query).first() is not None


def clean_up(runtime: Runtime, keep_seconds: float, limit: int = 1000) -> int:
    """Delete at most *limit* published events older than *keep_seconds*. Returns how many."""
    before = runtime.now() - timedelta(seconds=keep_seconds)
    old = select(EVENT.c.seq).where(EVENT.c.time < before, EVENT.c.published_at.is_not(None)).limit(limit)
    with runtime.database.write() as conn:
        return conn.execute(delete(EVENT).where(EVENT.c.seq.in_(old))).rowcount
