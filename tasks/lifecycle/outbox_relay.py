"""The relay: events go from the outbox to the Redis stream and channel, at least once and in order.

One relay publishes at a time, by a lease in Redis; the script checks the lease and publishes in one step, so that a
relay that was frozen past its lease publishes nothing. A batch has a name, so that one whose answer was lost is not
published again when it is sent again; nor is it once another relay has published, for that one sent it too, and newer
events after it. What is not marked then is read again.

What was published is marked in the outbox. Where that cannot be written (a database that only reads), the relay
remembers it, tries the mark again ever later, and publishes none of it again; what has room in its memory still goes
out. Another relay that takes over, and one that begins anew, publishes it once more: at least once.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from redis.exceptions import ResponseError
from sqlalchemy import ColumnElement, Integer, bindparam, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from schemas.events import CHANNEL, STREAM, STREAM_LENGTH, cloud_event
from schemas.tables.purchases import EVENT, UNPUBLISHED
from tasks.ledger.among import among
from tasks.redis_keys import named
from tasks.runtime import Runtime
from tasks.server_errors import explained
from tasks.telemetry.traces import Step, tell_events
from tasks.transactions import with_retry

log = logging.getLogger(__name__)

LEASE_KEY = "dialstock:relay"
BATCH_KEY = "dialstock:relay:batch"
LEASE = 10.0
"""Seconds that a relay may be silent before another one takes over."""

STANDBY = 0.5
"""Seconds between two tries of a relay to get the lease of another."""

BATCH = 500

UNMARKED = 4 * BATCH
"""Events that a relay remembers as published and not marked; with so many it publishes nothing more."""

MARK_AGAIN = 0.5
"""Seconds until a mark that could not be written is tried again; doubled each time, up to MARK_AGAIN_MAX."""

MARK_AGAIN_MAX = 30.0

_PUBLISH = """
local refused = ''
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {-1, refused} end
if redis.call('GET', KEYS[3]) == ARGV[4] then return {0, refused} end
for i = 5, #ARGV do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'event', ARGV[i])
  local heard = redis.pcall('PUBLISH', ARGV[2], ARGV[i])
  if type(heard) == 'table' then refused = heard.err end
end
redis.call('SET', KEYS[3], ARGV[4])
return {1, refused}
"""
# What a script has written stays, also where it is refused the rest: the channel's refusal must not end it.

# Asked twenty times a second by the relay that works, so built once.
_NEXT = select(EVENT).where(UNPUBLISHED).order_by(EVENT.c.seq).limit(bindparam("most", type_=Integer))
_ANY = select(EVENT.c.seq).where(UNPUBLISHED).order_by(EVENT.c.seq).limit(1)
_MARK = (
    update(EVENT)
    .where(among(EVENT.c.seq, "seqs"), among(EVENT.c.id, "ids"), EVENT.c.replays == bindparam("count"), UNPUBLISHED)
    .values(published_at=bindparam("now"))
)

_LEASE = """
local owner, last = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2]) or ''
if owner and owner ~= ARGV[1] then return {0, last} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, last}
"""


def relay_token() -> str:
    """A name for this process's relay that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


class Relay:
    """One worker's relay; `token` tells it from the others. `holds` is whether it has the lease, as far as it knows.

    `trouble` is why the last mark could not be written, as long as it cannot.
    """

    def __init__(self, runtime: Runtime, token: str, *, stream_length: int = STREAM_LENGTH) -> None:
        self.trouble: SQLAlchemyError | None = None
        self._runtime, self._token, self._length = runtime, token, stream_length
        self.holds = self._refused = False
        self._ask_at = 0.0
        self._named = partial(named, runtime.redis)
        self._publish = runtime.redis.register_script(_PUBLISH)
        self._lease = runtime.redis.register_script(_LEASE)
        self._batch: list[dict[str, Any]] = []
        self._name = self._last = b""
        self._unmarked: dict[tuple[int, str], int] = {}
        self._mark_at = self._mark_wait = 0.0

    def run_once(self) -> int | None:
        """Publish the next events. Returns how many, None where another relay has the lease.

        Raises redis.RedisError while Redis is away: the events stay in the outbox. Where they cannot be marked,
        `trouble` says why.
        """
        if not self._has_lease():
            return None
        if self._unmarked and not self._mark():
            return 0
        if not self._batch:
            self._batch, self._name = self._next(), os.urandom(8).hex().encode()
        if not self._batch:
            return 0
        sent = self._send()
        if sent is not None:
            self._runtime.reached("published")
            self._mark()
        return sent

    def _send(self) -> int | None:
        """Publish the batch, which stays where no answer comes: it may be published. None: the lease was lost."""
        rows = self._batch
        events = [json.dumps(cloud_event(row), ensure_ascii=False, separators=(",", ":")) for row in rows]
        keys = [self._named(LEASE_KEY), self._named(STREAM), self._named(BATCH_KEY)]
        args = [self._token, self._named(CHANNEL), self._length, self._name, *events]
        with Step() as step:
            done, refused = self._publish(keys=keys, args=args)
        self._batch = []
        if done < 0:
            self.holds, self._ask_at = False, 0.0
            return None
        self._tell_channel(refused.decode())
        self._last = self._name
        self._unmarked |= {_identity(row): row["replays"] for row in rows}
        if done:
            tell_events(step, rows)
        return len(rows)

    def _tell_channel(self, refused: str) -> None:
        """Tell once that the channel does not get what the stream does."""
        if refused and not self._refused:
            trouble = explained(ResponseError(refused))
            log.warning("events go to the stream, and not to the channel %s: Redis %s", self._named(CHANNEL), trouble)
        self._refused = bool(refused)

    def _has_lease(self) -> bool:
        """Take or renew the lease, each third of its time: the publishing script checks it anyway."""
        now = time.monotonic()
        if now >= self._ask_at:
            keys = [self._named(LEASE_KEY), self._named(BATCH_KEY)]
            holds, last = self._lease(keys=keys, args=[self._token, int(LEASE * 1000)])
            if last not in (self._last, self._name):
                # Another relay published since the batch was read.
                self._batch = []
            self.holds, self._last = bool(holds), last
            self._ask_at = now + (LEASE / 3 if holds else STANDBY)
        return self.holds

    def release(self) -> None:
        """Give the lease up, so that another relay takes over at once."""
        self.holds, self._ask_at, key = False, 0.0, self._named(LEASE_KEY)
        if self._runtime.redis.get(key) == self._token.encode():
            self._runtime.redis.delete(key)

    def _next(self) -> list[dict[str, Any]]:
        """The oldest events that this relay has not published, as many as it could remember."""
        known = self._unmarked
        if not self._runtime.database.may_find(_ANY):
            return []
        with self._runtime.database.read() as conn:
            rows = [dict(row) for row in conn.execute(_NEXT, {"most": BATCH + len(known)}).mappings()]
        return [row for row in rows if known.get(_identity(row)) != row["replays"]][: min(BATCH, UNMARKED - len(known))]

    def _mark(self) -> bool:
        """Mark what was published, if its time has come; False where it has not."""
        if time.monotonic() < self._mark_at:
            return False
        try:
            with_retry(partial(mark_published, self._runtime, self._unmarked))
        except SQLAlchemyError as exc:
            self._put_off(exc)
        else:
            if self.trouble:
                log.info("%d published events are marked now", len(self._unmarked))
            self.trouble, self._unmarked = None, {}
            self._mark_at = self._mark_wait = 0.0
        return True

    def _put_off(self, exc: SQLAlchemyError) -> None:
        if self.trouble is None:
            log.warning("published events cannot be marked, and are remembered: the database %s", explained(exc))
        self.trouble = exc
        self._mark_wait = min(max(2 * self._mark_wait, MARK_AGAIN), MARK_AGAIN_MAX)
        self._mark_at = time.monotonic() + self._mark_wait


def _identity(row: Mapping[str, Any]) -> tuple[int, str]:
    """An event by its number and its id: a database that went back in time gives its numbers again."""
    return row["seq"], row["id"]


def mark_published(runtime: Runtime, sent: Mapping[tuple[int, str], int]) -> None:
    """Mark the events with these numbers and ids as published, each only as of that count of replays.

    One that was put back since waits to be published again, whatever a relay that was frozen says of it.
    """
    with runtime.database.write() as conn:
        for count in sorted(set(sent.values())):
            these = [named for named, replays in sent.items() if replays == count]
            seqs, ids = [seq for seq, _ in these], [id_ for _, id_ in these]
            conn.execute(_MARK, {"seqs": seqs, "ids": ids, "count": count, "now": runtime.now()})


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
    meanwhile, the present batch is sent; *wait* is in seconds. Raises redis.RedisError while Redis is away, and
    sqlalchemy.exc.SQLAlchemyError where *relay* cannot mark what it sent.
    """
    last = 0
    with runtime.database.read() as conn:
        top = conn.execute(select(func.max(EVENT.c.seq)).where(*selection.where())).scalar() or 0
    while seqs := with_retry(partial(_put_back, runtime, selection, last, top)):
        while _unpublished(runtime, seqs[0], seqs[-1]):
            if not relay.run_once():
                time.sleep(wait)
            if relay.trouble:
                raise relay.trouble
        yield len(seqs)
        last = seqs[-1]


def _put_back(runtime: Runtime, selection: Selection, last: int, top: int) -> list[int]:
    at = EVENT.c
    query = select(at.seq).where(*selection.where(), at.seq > last, at.seq <= top).order_by(at.seq).limit(BATCH)
    with runtime.database.write() as conn:
        # Locked: what is cleaned up or put back by another meanwhile is none of ours.
        seqs = list(conn.execute(query.with_for_update()).scalars())
        conn.execute(update(EVENT).where(at.seq.in_(seqs)).values(published_at=None, replays=at.replays + 1))
    return seqs


def _unpublished(runtime: Runtime, first: int, last: int) -> bool:
    query = select(EVENT.c.seq).where(UNPUBLISHED, EVENT.c.seq >= first, EVENT.c.seq <= last).limit(1)
    with runtime.database.read() as conn:
        return conn.execute(query).first() is not None


def clean_up(runtime: Runtime, keep_seconds: float, limit: int = 1000) -> int:
    """Delete at most *limit* published events older than *keep_seconds*. Returns how many."""
    old = EVENT.c.time < runtime.now() - timedelta(seconds=keep_seconds), EVENT.c.published_at.is_not(None)
    some = select(EVENT.c.seq).where(*old).limit(limit)
    with runtime.database.write() as conn:
        # Asked twice: one that a replay puts back between the two must not go.
        return conn.execute(delete(EVENT).where(EVENT.c.seq.in_(some), *old)).rowcount
