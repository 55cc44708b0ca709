"""Pace: when the next call to a provider may go, over all workers together.

GCRA with reservation, all windows of a provider at once, in one Lua script on Redis's own clock. A caller learns
*when* its call may go, sleeps, and goes; beyond the horizon nothing is taken. For a limit of N calls in W seconds
with burst b and guard g, calls are spaced (W + g) / (N - b + 1) seconds apart after the burst, so that no window of
W + g seconds, wherever it begins, holds more than N. A limiter that Redis does not know (any more) starts empty:
it waits until every slot that may have been given out before has passed, and has no burst saved up. So does one whose
arrivals lie further ahead than its limit can bring them: the limit or a clock was set anew.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from schemas.policy import Policy
from schemas.rates import RateLimit

HORIZON = 2.0
"""Seconds: the longest that a task sleeps for its slot."""

NOTICE = 0.03
"""Seconds: a purchase's first slot is never nearer, so that its claim and its thread are ready when it comes.

One that is missed costs another, and the limit a call.
"""

_MICRO = 1_000_000

# KEYS[1] the lane; ARGV: mode, horizon or delay or slot, and notice in microseconds, then field, interval, burst of
# each window.
# Fields of the lane: a theoretical arrival time for each window, `until` of a penalty, `last` slot given.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local mode, amount = ARGV[1], tonumber(ARGV[2])
local lane = KEYS[1]
local until_ = tonumber(redis.call('HGET', lane, 'until') or 0)
local last = tonumber(redis.call('HGET', lane, 'last') or 0)
if mode == 'penalise' then
  if now + amount > until_ then redis.call('HSET', lane, 'until', string.format('%.0f', now + amount)) end
  return {1, 0, now}
end
if mode == 'lift' then redis.call('HDEL', lane, 'until') end
if mode == 'lift' or mode == 'cools' then return {until_ > now, math.max(0, until_ - now), now} end
local go = math.max(now, until_)
if mode == 'reserve' then go = math.max(go, now + math.min(ARGV[3], amount)) end
local arrivals = {}
for i = 4, #ARGV, 3 do
  local interval, burst = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local arrival = tonumber(redis.call('HGET', lane, ARGV[i]) or -1)
  local empty = now + HORIZON + burst * interval
  if arrival < 0 or arrival > empty then
    arrival = empty
    redis.call('HSET', lane, ARGV[i], string.format('%.0f', arrival))
  end
  arrivals[i] = arrival
  go = math.max(go, arrival - (burst - 1) * interval)
end
if mode == 'refund' then
  if amount ~= last then return {0, 0, now} end
  for i = 4, #ARGV, 3 do
    redis.call('HSET', lane, ARGV[i], string.format('%.0f', arrivals[i] - tonumber(ARGV[i + 1])))
  end
  redis.call('HSET', lane, 'last', 0)
  return {1, 0, now}
end
if mode == 'peek' or go > now + amount then return {0, go - now, 0} end
for i = 4, #ARGV, 3 do
  local arrival = math.max(go, arrivals[i]) + tonumber(ARGV[i + 1])
  redis.call('HSET', lane, ARGV[i], string.format('%.0f', arrival))
end
redis.call('HSET', lane, 'last', string.format('%.0f', go))
return {1, go - now, string.format('%.0f', go)}
""".replace("HORIZON", str(int(HORIZON * _MICRO)))


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What shares one set of limits: all purchase calls of an account, or all its look-ups."""

    key: str
    windows: tuple[tuple[str, int, int], ...]

    @property
    def interval(self) -> float:
        """Seconds between calls at the lane's sustained pace."""
        return max(interval for _, interval, _ in self.windows) / _MICRO

    def calls_within(self, seconds: float) -> int:
        """How many calls the lane has room for in the next *seconds*, at the least 1."""
        return max(1, min(burst + int(seconds * _MICRO / interval) for _, interval, burst in self.windows))


@dataclass(frozen=True)
class Slot:
    """The call may go `wait` seconds after `since` (time.monotonic). `token` gives the slot back."""

    wait: float
    token: int
    since: float = field(default_factory=time.monotonic)

    @property
    def at(self) -> float:
        """When the call may go (time.monotonic)."""
        return self.since + self.wait


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
        self._local = threading.local()
        self._ahead = -math.inf
        self._cool_at: dict[str, float] = {}

    def reserve(self, lane: Lane, horizon: float = HORIZON, *, notice: float = 0.0) -> Slot | Later:
        """Take the next slot from *notice* seconds on, if it is at most *horizon* away (HORIZON at most)."""
        asked = time.monotonic()
        given, wait, token = self._run(lane, "reserve", _micro(min(horizon, HORIZON)), _micro(notice))
        if not given:
            return Later(wait / _MICRO)
        since = self._our_time((int(token) - wait) / _MICRO, asked, time.monotonic())
        return Slot(wait / _MICRO, int(token), since)

    def next_in(self, lane: Lane) -> float:
        """Seconds until the lane's next slot; takes nothing."""
        return float(self._run(lane, "peek", 0)[1]) / _MICRO

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
        return float(self._run(lane, "cools", 0)[1]) / _MICRO

    def cooling(self, lane: Lane) -> bool:
        """Whether this process was told to wait: slots that it had before are not to be used. Asks nobody."""
        return time.monotonic() < self._cool_at.get(lane.key, 0.0)

    def _our_time(self, theirs: float, asked: float, heard: float) -> float:
        """What time.monotonic said at Redis's time *theirs*, between *asked* and *heard*; never too early.

        An answer that came late, or waited for its thread, must not make the call late: the quickest answers tell
        by how much Redis's clock is ahead. Where that contradicts the present answer, a clock was set.
        """
        ahead = self._ahead = min(max(self._ahead, theirs - heard), theirs - asked)
        return theirs - ahead

    def _run(self, lane: Lane, mode: str, amount: int, notice: int = 0) -> tuple[int, int, Any]:
        arguments: list[Any] = [mode, amount, notice]
        for window in lane.windows:
            arguments += window
        given, wait, token = self._script()(keys=[lane.key], args=arguments)
        return given, int(wait), token

    def _script(self) -> Any:
        """On a connection for each thread: to take one from the pool and give it back is a third of a call's cost."""
        script = getattr(self._local, "script", None)
        if script is None:
            script = self._local.script = self._redis.client().register_script(_SCRIPT)
        return script


def _micro(seconds: float) -> int:
    return round(seconds * _MICRO)


def _window(rate: RateLimit, burst: int, guard: float) -> tuple[str, int, int]:
    # Whole microseconds first: a binary fraction would be rounded up by one.
    interval = math.ceil(_micro(rate.window + guard) / (rate.limit - burst + 1))
    # Not the limit: workers with an old and a new one, in a rolling restart, go by the same arrivals.
    return f"{rate.window:g}", interval, burst


def _key(account: str, use: str) -> str:
    return f"dialstock:pace:{hashlib.sha256(account.encode()).hexdigest()[:16]}:{use}"
