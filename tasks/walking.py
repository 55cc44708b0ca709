"""One walk through a provider's list of owned numbers: each page in its turn, and again after a 429."""

from __future__ import annotations

from collections.abc import Callable

from schemas.outcomes import Outcome, OutcomeKind
from tasks.ledger.audit import Shown
from tasks.policies.pace import HORIZON, Later
from tasks.providers.base import ProviderError
from tasks.runtime import Binding, Runtime

TRIES = 7
"""How often one page is asked for before the walk is given up; without a Retry-After the waits come to a minute."""

PATIENCE = 120.0
"""Seconds: the longest that a walk waits because the provider asked to slow down; a worker's thread waits with it."""

Progress = Callable[[int], object]


class Stopped(Exception):
    """The walk was told to stop half way: it says nothing."""


def walk(runtime: Runtime, binding: Binding, progress: Progress, stopping: Callable[[], bool]) -> Shown:
    """What the provider shows. *progress* is told how many more numbers were shown.

    Raises ProviderError where that is not its whole list, redis.RedisError while Redis is away, Stopped, and
    Unsupported where the provider has no list.
    """
    shown = Shown()
    told = refusals = 0

    def each_page(throttled: ProviderError | None) -> None:
        nonlocal told, refusals
        progress(len(shown.ids) - told)
        told = len(shown.ids)
        refusals = refusals + 1 if throttled else 0
        if throttled:
            runtime.pace.penalise(binding.looking, throttled.outcome.retry_after or 2.0 ** (refusals - 1))
            if refusals == TRIES:
                raise throttled
        wait_for_turn(runtime, binding, stopping)

    for owned in binding.adapter.owned(each_page):
        shown.add(owned)
    progress(len(shown.ids) - told)
    return shown


def wait_for_turn(runtime: Runtime, binding: Binding, stopping: Callable[[], bool] = lambda: False) -> None:
    """Sleep until the next reading call may go. Purchases' own looks take their slots between ours.

    Raises ProviderError where the provider asked to slow down for too long to wait for, and Stopped.
    """
    lane = binding.looking
    while True:
        if stopping():
            raise Stopped
        slot = runtime.pace.reserve(lane)
        if not isinstance(slot, Later):
            runtime.sleep(slot.wait)
            return
        # Without a penalty the next slot is never further away than the horizon and one interval.
        if slot.wait > PATIENCE + lane.interval + HORIZON:
            error = f"{binding.alias} asked to slow down: no reading call before {slot.wait:,.0f} s have passed"
            raise ProviderError(Outcome(kind=OutcomeKind.THROTTLED, error=error, retry_after=slot.wait))
        runtime.sleep(min(slot.wait, HORIZON))
