"""How long calls to providers take, and what they come to: counted in each process, gathered in Redis for the metrics.

A worker has no port of its own to be asked at: behind one address there may be many, and each that ends would take its
counts along. So it counts in memory, and a timer adds what is new to one hash, by one command every few seconds: no
call waits for it. What a worker that is killed had not handed over is not counted; after a time-out it may be twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any

from redis.exceptions import RedisError

from tasks.providers.transport.turns import Gate
from tasks.redis_keys import named

KEY = "dialstock:calls"

BOUNDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
"""Seconds: the upper bounds of the histogram's buckets, but for the last, which has none."""

_LAST = "inf"
_SUM = "sum"
_OUTCOME = "outcome"
_MICRO = 1_000_000

# HINCRBY would do, and is a right that users of Redis were not asked for before.
_ADD = """
for i = 1, #ARGV, 2 do
  local before = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or 0)
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f', before + ARGV[i + 1]))
end
return 1
"""


class Call(StrEnum):
    """What a call is for: to buy, to read (looks, searches, lists), or to give back."""

    BUY = "buy"
    READ = "read"
    RELEASE = "release"


class CallTimes:
    """One process's counts, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: Counter[str] = Counter()

    def timed(self, provider: str, call: Call, gate: Gate) -> Gate:
        """*gate*, after which a call is timed, from its first byte until it is over."""

        def go() -> Callable[[], None]:
            leave = gate()
            began = time.monotonic()

            def over() -> None:
                self._took(provider, call, time.monotonic() - began)
                if leave is not None:
                    leave()

            return over

        return go

    def ended(self, provider: str, outcome: str) -> None:
        """A call to buy came to *outcome*, for one of its numbers."""
        self._add({f"{_OUTCOME}:{outcome}:{provider}": 1})

    def hand_over(self, redis: Any) -> None:
        """Add what is new to what all have counted. Raises RedisError: then it is added the next time."""
        with self._lock:
            new, self._new = self._new, Counter()
        if not new:
            return
        try:
            redis.register_script(_ADD)(keys=[named(redis, KEY)], args=list(chain.from_iterable(new.items())))
        except RedisError:
            self._add(new)
            raise

    def _took(self, provider: str, call: Call, seconds: float) -> None:
        bucket = next((f"{bound:g}" for bound in BOUNDS if seconds <= bound), _LAST)
        self._add({f"{bucket}:{call}:{provider}": 1, f"{_SUM}:{call}:{provider}": round(seconds * _MICRO)})

    def _add(self, counts: Mapping[str, int]) -> None:
        with self._lock:
            self._new.update(counts)


@dataclass
class Histogram:
    """How many calls took so long: `buckets` has a count for each of BOUNDS, and one beyond; `sum` is in seconds."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    sum: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What all workers have counted since Redis was empty: by provider and call, and by provider and outcome."""

    times: dict[tuple[str, str], Histogram] = field(default_factory=dict)
    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)


def counted(redis: Any, providers: Iterable[str]) -> Counted:
    """The counts of *providers*. Raises RedisError."""
    found, known = Counted(), set(providers)
    places = {**{f"{bound:g}": place for place, bound in enumerate(BOUNDS)}, _LAST: len(BOUNDS)}
    for name, value in redis.hgetall(named(redis, KEY)).items():
        what, _, rest = name.decode().partition(":")
        of, _, provider = rest.partition(":")
        if provider not in known:
            continue
        if what == _OUTCOME:
            found.outcomes[provider, of] = int(value)
        elif what == _SUM:
            found.times.setdefault((provider, of), Histogram()).sum = int(value) / _MICRO
        elif what in places:
            found.times.setdefault((provider, of), Histogram()).buckets[places[what]] = int(value)
    return found
