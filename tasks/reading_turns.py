"""The turns of reading calls: the lane of an account's look-ups, which all workers share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from schemas.outcomes import Outcome, OutcomeKind
from tasks.call_times import Call
from tasks.policies.concurrency import MARGIN, Places
from tasks.policies.pace import HORIZON, SLEEPABLE, Lane, Later, Pace, Slot
from tasks.provider_reaction import hold_back
from tasks.providers.adapter import ProviderError
from tasks.providers.transport.turns import Gate, Withheld
from tasks.runtime import Binding, Runtime

PATIENCE = 120.0
"""Seconds: the longest that a walk waits because the provider asked to slow down; a worker's thread waits with it."""

CONNECT_AHEAD = 0.1
"""Seconds before its slot that a reading call connects: a slow handshake does not miss the slot."""

STOOD_STILL = 1.0
"""Seconds until a reading call that missed all its turns may be tried again."""

KEPT = MARGIN / 2
"""Seconds that a place may wait for another turn: it is not over before the call is."""

TURNS = 5
"""How many turns one reading call takes where it misses them: a process that stands still that often is no caller."""


class Stopped(Withheld):
    """What was being read was told to stop half way: it says nothing."""


@dataclass(kw_only=True)
class Turns:
    """The turns of one operation's reading calls (`providers.transport.turns.Turn`); a 429 ends it.

    The first call waits at most *first* seconds for its turn, 0 for a slot that can be had now; those after it have
    PATIENCE, for the work before them would be lost. Before each of these, and where a call takes another turn, *keep*
    is told how long it may wait. Once *stopping* is true no call is made.
    """

    runtime: Runtime
    binding: Binding
    first: float = 0.0
    keep: Callable[[float], object] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    _begun: bool = False

    def __call__(self, throttled: ProviderError | None) -> Gate:
        """Wait for the next call's turn. Raises ProviderError where it does not come, redis.RedisError and Stopped."""
        if throttled is not None:
            raise throttled
        gate = wait_for_turn(
            self.runtime.pace,
            self.binding.looking,
            self.binding.alias,
            guard=self.binding.policy.rate_guard,
            sleep=self.runtime.sleep,
            places=self.binding.places,
            patience=None if self._begun else self.first,
            stopping=self.stopping,
            keep=self._keep,
        )
        self._begun = True
        return self.runtime.calls.timed(self.binding.alias, Call.READ, gate)

    def told(self, seconds: float) -> None:
        """The provider takes no more calls for so long: no reading call of any worker goes out meanwhile."""
        hold_back(self.runtime, self.binding, (self.binding.looking,), seconds)

    def _keep(self, seconds: float) -> None:
        if self._begun:
            self.keep(seconds)


def wait_for_turn(
    pace: Pace,
    lane: Lane,
    alias: str,
    *,
    guard: float,
    sleep: Callable[[float], None],
    places: Places | None,
    patience: float | None = None,
    stopping: Callable[[], bool] = lambda: False,
    keep: Callable[[float], object] = lambda _: None,
) -> Gate:
    """Sleep until the next reading call may connect. Purchases' own looks take their slots between ours.

    The gate that is returned takes one of *places*, where there are only so many calls at once, and sleeps until the
    call may go; what it returns gives the place back. Where the slot was missed by more than the rate guard allows
    (*guard*, in seconds), it waits for another turn, TURNS of them in all.

    Both raise ProviderError, with an outcome that was held back, where the call may not go within *patience* seconds
    (default: PATIENCE, and what the lane's own pace takes), redis.RedisError and Stopped.
    """
    patience = PATIENCE + lane.interval + HORIZON if patience is None else patience
    line = _Line(pace, lane, alias, guard, patience, sleep, stopping, keep)
    take = None if places is None else partial(_take_place, places, pace, alias, sleep)
    return partial(line.go, line.take(), take)


def _take_place(places: Places, pace: Pace, alias: str, sleep: Callable[[float], None]) -> Callable[[], None]:
    leave = pace.concurrency.take(places, time.monotonic() + PATIENCE, sleep)
    if leave is None:
        raise ProviderError(_held_back(alias, PATIENCE))
    return leave


class _Place:
    """A place in the hands of a call that waits for its turn."""

    def __init__(self, take: Callable[[], Callable[[], None]]) -> None:
        self._take = take
        self.leave, self._since = take(), time.monotonic()

    def renew(self) -> None:
        """Give a place that waited long back for another: it is kept for little more than a call."""
        if time.monotonic() - self._since > KEPT:
            self.leave()
            self.leave, self._since = self._take(), time.monotonic()


@dataclass(frozen=True)
class _Line:
    """Who waits for a turn in a lane, and how."""

    pace: Pace
    lane: Lane
    alias: str
    guard: float
    patience: float
    sleep: Callable[[float], None]
    stopping: Callable[[], bool]
    keep: Callable[[float], object]

    def take(self) -> Slot:
        """A slot, once its time is near enough to connect for it."""
        left = self.patience
        while True:
            if self.stopping():
                raise Stopped
            slot = self.pace.reserve(self.lane)
            if isinstance(slot, Later) and slot.wait > left:
                raise ProviderError(_held_back(self.alias, slot.wait))
            nap = min(slot.wait, HORIZON)
            self.keep(nap)
            if isinstance(slot, Slot):
                self.sleep(max(0.0, nap - CONNECT_AHEAD))
                return slot
            self.sleep(nap)
            left -= nap

    def go(self, slot: Slot, take: Callable[[], Callable[[], None]] | None) -> Callable[[], None] | None:
        """Take a place, where it needs one, and sleep until the time of the slot. Returns what gives the place back."""
        place = None if take is None else _Place(take)
        try:
            self._wait(slot, place)
        except BaseException:
            if place is not None:
                place.leave()
            raise
        return None if place is None else place.leave

    def _wait(self, slot: Slot, place: _Place | None) -> None:
        """Sleep until the time of the slot; where it was missed, it is given back for another.

        Who woke too late wakes earlier the next time: a busy machine wakes all its threads late.
        """
        early = 0.0
        for turn in range(TURNS):
            if turn:
                slot = self.take()
                if place is not None:
                    place.renew()
            if self._in_time(slot, early):
                return
            early = min(CONNECT_AHEAD, early + time.monotonic() - slot.at)
            self.pace.refund(self.lane, slot)
        raise ProviderError(_held_back(self.alias, STOOD_STILL))

    def _in_time(self, slot: Slot, early: float) -> bool:
        self.sleep(max(0.0, min(CONNECT_AHEAD, slot.at - time.monotonic()) - early))
        while early and slot.at - time.monotonic() >= SLEEPABLE:
            self.sleep(SLEEPABLE)
        return not slot.missed(self.guard)


def _held_back(alias: str, wait: float) -> Outcome:
    error = f"{alias} is at its look-up limit, or asked to slow down: no reading call before {wait:,.0f} s have passed"
    return Outcome(kind=OutcomeKind.NOT_SENT, error_code="pace", error=error, retry_after=wait)
