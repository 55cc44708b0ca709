"""Pace: when the next call to a provider may go, over all workers together.

GCRA with reservation, all windows of a provider at once, in one Lua script on Redis's own clock. A caller learns
*when* its call may go, sleeps, and goes; beyond the horizon nothing is taken. For a limit of N calls in W seconds
with burst b and guard g, calls are spaced (W + g) / (N - b + 1) seconds apart after the burst, so that no window of
W + g seconds, wherever it begins, holds more than N. A limiter that Redis does not know (any more) starts empty:
it waits until every slot that may have been given out before has passed, and has no burst saved up. So does one whose
arrivals lie further ahead than its limit can bring them (the clock was set back), one whose clock was seen to be set
ahead (slots that were given before would have others beside them), and one that may have come back from the past: that
of a promoted replica, or of a restored snapshot.

Such a one is told by `master_replid`, which a server makes anew whenever it starts as a master and whenever it is
promoted (https://redis.io/docs/latest/operate/oss_and_stack/management/replication, "Replication ID explained"), and
so names one server's one time as a master. Its run id would not do: it outlives a demotion and a promotion. The script
asks for it each time, because a connection may go on to another server behind a proxy, and a call that is sent again
after a reconnection has its arguments from before. A planned restart costs the wait, too. Behind Redis Sentinel two
servers may be masters for a while, each for who is still connected to it: the wait is longer by that `overlap`, which
the client knows.

Workers with different limits for one account (a rolling restart, aliases) each keep their own, and count the calls of
all: a call moves every arrival that the lane knows. So all together stay within the looser limit.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from redis.exceptions import NoScriptError

from schemas.config.policy import Policy
from schemas.config.rates import RateLimit
from tasks.chunks import chunks
from tasks.policies.concurrency import Concurrency
from tasks.policies.redis_clock import RedisClock
from tasks.redis_keys import named

HORIZON = 2.0
"""Seconds: the longest that a task sleeps for its slot."""

NOTICE = 0.03
"""Seconds: a purchase's first slot is never nearer, so that its claim and its thread are ready when it comes.

One that is missed costs another, and the limit a call.
"""

WAKING = 0.005
"""Seconds that a call may be late for its slot under any rate guard: what a busy process's threads take to wake up."""

SLEEPABLE = 0.0005
"""Seconds: below this a sleep takes longer than it says, and the rate guard covers it."""

_MICRO, CHUNK = 1_000_000, 200

# GIVEN: how far ahead slots may lie that a server without our lane, or before it, has given, in microseconds.
# KEYS[1] the lane; ARGV: mode, horizon or delay or slot, and notice in microseconds, then interval and burst of each
# window.
# Fields of the lane: `replid` of the server that wrote it, `until` of a penalty and its length `penalty`, `last` slot
# given, and a theoretical arrival time for each interval:burst that workers go by.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local mode, amount = ARGV[1], tonumber(ARGV[2])
local lane, kept = KEYS[1], {}
local function keep(...) redis.call('HSET', lane, ...) end
local function whole(number) return string.format('%.0f', number) end
local stored = redis.call('HGETALL', lane)
for i = 1, #stored, 2 do kept[stored[i]] = stored[i + 1] end
local until_, penalty = tonumber(kept['until'] or 0), tonumber(kept['penalty'] or DAY)
if until_ > now + penalty then
  until_ = now + penalty
  keep('until', whole(until_))
end
if mode == 'penalise' then
  if now + amount > until_ then keep('until', whole(now + amount), 'penalty', whole(amount)) end
  return {1, 0, now}
end
if mode == 'lift' then redis.call('HDEL', lane, 'until', 'penalty') end
if mode == 'forget' then redis.call('HDEL', lane, 'replid') end
if mode == 'lift' or mode == 'forget' or mode == 'cools' then return {until_ > now, math.max(0, until_ - now), now} end
local info = redis.call('INFO', 'replication')
local found, ends = string.find(info, 'master_replid:', 1, true)
if not found then return redis.error_reply('ERR this server tells no master_replid in INFO replication') end
local replid = string.sub(info, ends + 1, ends + 40)
if kept['replid'] ~= replid then
  redis.call('DEL', lane)
  keep('replid', replid)
  if until_ > now then keep('until', whole(until_), 'penalty', whole(penalty)) end
  kept = {}
end
local go = math.max(now, until_)
if mode == 'reserve' then go = math.max(go, now + math.min(ARGV[3], amount)) end
for i = 4, #ARGV, 2 do
  local interval, burst = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local name, empty = ARGV[i] .. ':' .. ARGV[i + 1], now + GIVEN + burst * interval
  local arrival = tonumber(kept[name] or -1)
  if arrival < 0 or arrival > empty then
    arrival = empty
    kept['last'] = 0
    keep(name, whole(arrival), 'last', 0)
  end
  kept[name] = arrival
  go = math.max(go, arrival - (burst - 1) * interval)
end
local refund = mode == 'refund'
if refund and amount ~= tonumber(kept['last'] or 0) then return {0, 0, now} end
if not refund and (mode == 'peek' or go > now + amount) then return {0, go - now, 0} end
local fields = {'last', refund and 0 or whole(go)}
for name, arrival in pairs(kept) do
  local interval, burst = string.match(name, '^(%d+):(%d+)$')
  if interval then
    arrival = refund and arrival - interval or math.max(go, arrival) + interval
    table.insert(fields, name)
    table.insert(fields, whole(arrival))
  end
end
keep(unpack(fields))
if refund then return {1, 0, now} end
return {1, go - now, whole(go)}
""".replace("DAY", str(86_400 * _MICRO))


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What shares one set of limits: all purchase calls of an account, or all its look-ups.

    `windows` has the interval in microseconds and the burst of each.
    """

    key: str
    windows: tuple[tuple[int, int], ...]

    @property
    def interval(self) -> float:
        """Seconds between calls at the lane's sustained pace."""
        return max(interval for interval, _ in self.windows) / _MICRO

    def calls_within(self, seconds: float) -> int:
        """How many calls the lane has room for in the next *seconds*, at the least 1."""
        return max(1, min(burst + int(seconds * _MICRO / interval) for interval, burst in self.windows))


@dataclass(frozen=True)
class Slot:
    """The call may go `wait` seconds after `since` (time.monotonic), or up to `unsure` seconds before.

    `token` gives the slot back.
    """

    wait: float
    token: int
    since: float = field(default_factory=time.monotonic)
    unsure: float = 0.0

    @property
    def at(self) -> float:
        """When the call may go (time.monotonic)."""
        return self.since + self.wait

    def missed(self, guard: float) -> bool:
        """Whether it is too late for it under a rate guard of *guard* seconds: half of that is for the way."""
        return time.monotonic() - self.at > max(WAKING, guard / 2 - self.unsure)


@dataclass(frozen=True)
class Later:
    """Nothing was taken: the lane has its next slot in `wait` seconds, beyond the horizon."""

    wait: float


def buying_lane(account: str, policy: Policy) -> Lane:
    """The lane of an account's purchase calls; aliases of one account share it."""
    windows = [_window(rate, policy.burst, policy.rate_guard) for rate in policy.rate_limits]
    return Lane(key=_key(account, "buy"), windows=tuple(windows))


def looking_lane(account: str, policy: Policy) -> Lane:
    """The lane of an account's reading calls."""
    windows = [_window(rate, 1, policy.rate_guard) for rate in policy.lookup_rate_limits]
    return Lane(key=_key(account, "look"), windows=tuple(windows))


class Pace:
    """Reservations in Redis. Every method raises redis.RedisError while Redis is away: no slot, no call."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self.concurrency = Concurrency(redis)
        self._given = HORIZON + float(getattr(redis, "overlap", 0.0))
        self._local = threading.local()
        self._clock = RedisClock()
        self._steps: dict[str, int] = {}
        self._cool_at: dict[str, float] = {}

    def reserve(self, lane: Lane, horizon: float = HORIZON, *, notice: float = 0.0) -> Slot | Later:
        """Take the next slot from *notice* seconds on, if it is at most *horizon* away (HORIZON at most)."""
        if not self._clock.known:
            self._clock.ask(lambda: int(self._run(lane, "cools", 0)[2]) / _MICRO)
        steps, asked = self._clock.steps, time.monotonic()
        given, wait, token = self._run(lane, "reserve", _micro(min(horizon, HORIZON)), _micro(notice))
        if not given:
            return Later(wait / _MICRO)
        theirs = (int(token) - wait) / _MICRO
        ahead = self._clock.hear(theirs, asked, time.monotonic())
        if self._steps.get(lane.key, 0) < self._clock.steps:
            self._forget(lane)
        elif steps == self._clock.steps:
            return Slot(wait / _MICRO, int(token), theirs - ahead.least, ahead.most - ahead.least)
        return self.reserve(lane, horizon, notice=notice)

    def next_in(self, lane: Lane) -> float:
        """Seconds until the lane's next slot; takes nothing."""
        return self.all_next_in([lane])[0]

    def all_next_in(self, lanes: Iterable[Lane]) -> list[float]:
        """The same of each of *lanes*: one that Redis does not know starts empty now, and not at its first call."""
        return [float(wait) / _MICRO for _, wait, _ in self._each(lanes, "peek")]

    def refund(self, lane: Lane, slot: Slot) -> bool:
        """Give back a slot that was not used; only the latest one can be."""
        return bool(self._run(lane, "refund", slot.token)[0])

    def penalise(self, lane: Lane, seconds: float) -> None:
        """Give no slot for the next *seconds* (429 with Retry-After); never shortens an earlier penalty."""
        # Slots that were given before are over by then.
        until = time.monotonic() + min(seconds, HORIZON)
        self._cool_at[lane.key] = max(self._cool_at.get(lane.key, 0.0), until)
        self._run(lane, "penalise", _micro(seconds))

    def lift(self, lane: Lane) -> bool:
        """Take back what `penalise` said. False where nothing was to take back."""
        return bool(self._run(lane, "lift", 0)[0])

    def cools_for(self, lane: Lane) -> float:
        """Seconds that a penalty lasts yet; 0.0 without one."""
        return self.all_cool_for([lane])[0]

    def all_cool_for(self, lanes: Sequence[Lane]) -> list[float]:
        """The same of each of *lanes*."""
        return [float(wait) / _MICRO for _, wait, _ in self._each(lanes, "cools")]

    def cooling(self, lane: Lane) -> bool:
        """Whether this process was told to wait: slots that it had before are not to be used. Asks nobody."""
        return time.monotonic() < self._cool_at.get(lane.key, 0.0)

    def _forget(self, lane: Lane) -> None:
        """Have the lane start empty, once for each time that the clock was set ahead."""
        steps = self._clock.steps
        self._run(lane, "forget", 0)
        self._steps[lane.key] = steps

    def _each(self, lanes: Iterable[Lane], mode: str) -> list[tuple[int, int, Any]]:
        """What takes nothing, of many lanes: a round trip for CHUNK of them."""
        return [answer for some in chunks(lanes, CHUNK) for answer in self._ask(some, mode)]

    def _ask(self, lanes: Iterable[Lane], mode: str, *, has_script: bool = True) -> list[tuple[int, int, Any]]:
        script = self._script()
        with self._redis.pipeline(transaction=False) as pipe:
            for lane in lanes:
                script(keys=[named(self._redis, lane.key)], args=[mode, 0, 0, *chain(*lane.windows)], client=pipe)
            if has_script:
                pipe.scripts.clear()  # which it asks for first, each time
            try:
                return list(pipe.execute())
            except NoScriptError:
                return self._ask(lanes, mode, has_script=False)

    def _run(self, lane: Lane, mode: str, amount: int, notice: int = 0) -> tuple[int, int, Any]:
        key = named(self._redis, lane.key)
        given, wait, token = self._script()(keys=[key], args=[mode, amount, notice, *chain(*lane.windows)])
        return given, int(wait), token

    def _script(self) -> Any:
        """On a connection for each thread: to take one from the pool and give it back is a third of a call's cost."""
        script = getattr(self._local, "script", None)
        if script is None:
            text = _SCRIPT.replace("GIVEN", str(_micro(self._given)))
            script = self._local.script = self._redis.client().register_script(text)
        return script


def _micro(seconds: float) -> int:
    return round(seconds * _MICRO)


def _window(rate: RateLimit, burst: int, guard: float) -> tuple[int, int]:
    # Whole microseconds first: a binary fraction would be rounded up by one.
    return math.ceil(_micro(rate.window + guard) / (rate.limit - burst + 1)), burst


def _key(account: str, use: str) -> str:
    return f"dialstock:pace:{hashlib.sha256(account.encode()).hexdigest()[:16]}:{use}"
