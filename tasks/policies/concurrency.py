"""Concurrency: how many calls to an account may be under way at once, over all workers together.

For providers that count calls at once and not calls a second. A call takes a place right before its first byte, and
gives it back with its answer. A place that is not given back, its process died, is free again once the longest call
would be over. All of it is one Lua script on Redis's own clock; a server that does not know the account, or became a
master since (`pace` tells how that is seen), gives no place until every call that it may not know of is over.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError

from schemas.config.policy import Policy
from tasks.policies.backoff import call_length
from tasks.redis_keys import named

POLL = 0.005
"""Seconds until a process asks again for a place where all are taken."""

MARGIN = 2.0
"""Seconds that a place is kept beyond the longest call, from its intent on."""

_MICRO = 1_000_000

# KEYS[1] the account's places; ARGV: the place, how many there are (0 to give it back), and the longest call in
# microseconds. Fields: `replid` of the server that wrote it, `closed` until when it gives none, and for each place
# that is taken until when; its name ends with the longest call of who took it, for aliases and workers may differ in
# that, and so does the name of `closing`, which is `closed` again.
_SCRIPT = """
local time = redis.call('TIME')
local now, longest = time[1] * 1000000 + time[2], tonumber(ARGV[3])
local key, place, places = KEYS[1], ARGV[1], tonumber(ARGV[2])
local function whole(number) return string.format('%.0f', number) end
if places == 0 then return redis.call('HDEL', key, place) end
local info = redis.call('INFO', 'replication')
local found, ends = string.find(info, 'master_replid:', 1, true)
if not found then return redis.error_reply('ERR this server tells no master_replid in INFO replication') end
local replid, kept, taken = string.sub(info, ends + 1, ends + 40), {}, 0
local stored = redis.call('HGETALL', key)
for i = 1, #stored, 2 do kept[stored[i]] = stored[i + 1] end
if kept['replid'] ~= replid then
  redis.call('DEL', key)
  kept = {closed = whole(now + longest), ['closing:' .. whole(longest)] = whole(now + longest)}
  redis.call('HSET', key, 'replid', replid)
  for name, till in pairs(kept) do redis.call('HSET', key, name, till) end
end
local closed = tonumber(kept['closed'])
if closed > now + longest then
  closed = now + longest
  redis.call('HSET', key, 'closed', whole(closed))
end
for name, till in pairs(kept) do
  if name ~= 'replid' and name ~= 'closed' then
    till = tonumber(till)
    local last = now + (tonumber(string.match(name, ':(%d+)$')) or longest)
    if till > last then
      till = last
      redis.call('HSET', key, name, whole(till))
    end
    if till <= now then redis.call('HDEL', key, name)
    elseif string.match(name, '^closing:') then closed = math.max(closed, till)
    else taken = taken + 1 end
  end
end
redis.call('PEXPIRE', key, 86400000)
if closed > now then return -1 end
if taken >= places then return 0 end
redis.call('HSET', key, place, whole(now + longest))
return 1
"""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The places of an account: `limit` calls at once, none of which takes longer than `longest` seconds."""

    key: str
    limit: int
    longest: float


def places_of(account: str, policy: Policy) -> Places | None:
    """An account's places; None where its calls at once are not limited. Aliases of one account share them."""
    if policy.max_concurrent_calls is None:
        return None
    name = hashlib.sha256(account.encode()).hexdigest()[:16]
    longest = call_length(policy) + MARGIN
    return Places(key=f"dialstock:calls:{name}", limit=policy.max_concurrent_calls, longest=longest)


@dataclass
class Concurrency:
    """Places in Redis, for all threads of a process."""

    redis: Any
    _local: threading.local = field(default_factory=threading.local)
    _asking: defaultdict[str, threading.Lock] = field(default_factory=lambda: defaultdict(threading.Lock))

    def take(self, places: Places, until: float, sleep: Callable[[float], None]) -> Callable[[], None] | None:
        """Wait for a place until *until* (time.monotonic). Returns what gives it back, None where none became free.

        Raises redis.RedisError while Redis is away: no place, no call.
        """
        place = f"{uuid4().hex}:{self._longest(places)}"
        # One thread of a process asks at a time: the others would only make Redis busy.
        asking = self._asking[places.key]
        while time.monotonic() < until:
            if asking.acquire(timeout=max(0.0, until - time.monotonic())):
                try:
                    if self._run(places, place, places.limit) > 0:
                        return lambda: self._give_back(places, place)
                    sleep(POLL)
                finally:
                    asking.release()
        return None

    def _give_back(self, places: Places, place: str) -> None:
        # It is free by itself once the longest call would be over.
        with suppress(RedisError):
            self._run(places, place, 0)

    def _run(self, places: Places, place: str, limit: int) -> int:
        return int(self._script()(keys=[named(self.redis, places.key)], args=[place, limit, self._longest(places)]))

    def _script(self) -> Any:
        """On a connection for each thread, as the pace's: who waits asks often."""
        script = getattr(self._local, "script", None)
        if script is None:
            script = self._local.script = self.redis.client().register_script(_SCRIPT)
        return script

    def _longest(self, places: Places) -> int:
        # Behind Sentinel, a server that another one took over from may still give places.
        return round((places.longest + float(getattr(self.redis, "overlap", 0.0))) * _MICRO)
