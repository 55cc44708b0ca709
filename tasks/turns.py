"""The turns of reading calls: the lane of an account's look-ups, which all workers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from schemas.outcomes import Outcome, OutcomeKind
from tasks.policies.pace import HORIZON, Lane, Later, Pace
from tasks.providers.adapter import ProviderError
from tasks.providers.transport.turns import Withheld
from tasks.runtime import Binding, Runtime

PATIENCE = 120.0
"""Seconds: the longest that a walk waits because the provider asked to slow down; a worker's thread waits with it."""


class Stopped(Withheld):
    """What was being read was told to stop half way: it says nothing."""


@dataclass(kw_only=True)
class Turns:
    """The turns of one operation's reading calls (`providers.turns.Turn`); a 429 ends it.

    The first call waits at most *first* seconds for its turn, 0 for a slot that can be had now; those after it have
    PATIENCE, for the work before them would be lost. Before each of these *keep* is told how long it may wait. Once
    *stopping* is true no call is made.
    """

    runtime: Runtime
    binding: Binding
    first: float = 0.0
    keep: Callable[[float], object] = lambda _: None
    stopping: Callable[[], bool] = lambda: False
    _begun: bool = False

    def __call__(self, throttled: ProviderError | None) -> None:
        """Wait for the next call's turn. Raises ProviderError where it does not come, redis.RedisError and Stopped."""
        if throttled is not None:
            raise throttled
        wait_for_turn(
            self.runtime.pace,
            self.binding.looking,
            self.binding.alias,
            sleep=self.runtime.sleep,
            patience=None if self._begun else self.first,
            stopping=self.stopping,
            keep=self.keep if self._begun else lambda _: None,
        )
        self._begun = True


def wait_for_turn(
    pace: Pace,
    lane: Lane,
    alias: str,
    *,
    sleep: Callable[[float], None],
    patience: float | None = None,
    stopping: Callable[[], bool] = lambda: False,
    keep: Callable[[float], object] = lambda _: None,
) -> None:
    """Sleep until the next reading call may go. Purchases' own looks take their slots between ours.

    Raises ProviderError, with an outcome that was held back, where that is not within *patience* seconds (default:
    PATIENCE, and what the lane's own pace takes), and Stopped.
    """
    left = PATIENCE + lane.interval + HORIZON if patience is None else patience
    while True:
        if stopping():
            raise Stopped
        slot = pace.reserve(lane)
        if isinstance(slot, Later) and slot.wait > left:
            raise ProviderError(_held_back(alias, slot.wait))
        nap = min(slot.wait, HORIZON)
        keep(nap)
        sleep(nap)
        if not isinstance(slot, Later):
            return
        left -= nap


def _held_back(alias: str, wait: float) -> Outcome:
    error = f"{alias} is at its look-up limit, or asked to slow down: no reading call before {wait:,.0f} s have passed"
    return Outcome(kind=OutcomeKind.NOT_SENT, error_code="pace", error=error, retry_after=wait)
