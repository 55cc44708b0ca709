"""One walk through a provider's list of owned numbers: each page in its turn, and again after a 429."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tasks.ledger.audit.differences import Shown
from tasks.provider_reaction import hold_back
from tasks.providers.adapter import ProviderError
from tasks.providers.transport.turns import Gate, in_turn
from tasks.reading_turns import wait_for_turn
from tasks.runtime import Binding, Runtime

TRIES = 7
"""How often one page is asked for before the walk is given up; without a Retry-After the waits come to a minute."""

Progress = Callable[[int], object]


def walk(runtime: Runtime, binding: Binding, progress: Progress, stopping: Callable[[], bool]) -> Shown:
    """What the provider shows. *progress* is told how many more numbers were shown.

    Raises ProviderError where that is not its whole list, redis.RedisError while Redis is away, Stopped, and
    Unsupported where the provider has no list.
    """
    shown = Shown()
    told = refusals = 0

    def turn(throttled: ProviderError | None) -> Gate:
        nonlocal told, refusals
        progress(len(shown.ids) - told)
        told = len(shown.ids)
        refusals = refusals + 1 if throttled else 0
        if throttled:
            runtime.pace.penalise(binding.looking, throttled.outcome.retry_after or 2.0 ** (refusals - 1))
            if refusals == TRIES:
                raise throttled
        return wait_for_turn(
            runtime.pace,
            binding.looking,
            binding.alias,
            guard=binding.policy.rate_guard,
            sleep=runtime.sleep,
            places=binding.places,
            stopping=stopping,
        )

    with in_turn(turn, partial(hold_back, runtime, binding, (binding.looking,))):
        for owned in binding.adapter.owned():
            shown.add(owned)
    progress(len(shown.ids) - told)
    return shown
