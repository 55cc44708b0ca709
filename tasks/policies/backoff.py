"""How long to wait: before a call is made again, before a look, and before a poll of an order."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

from schemas.config.policy import Policy

THROTTLED_WAIT = 5.0
"""Seconds to wait after a 429 that names no Retry-After."""


def backoff(policy: Policy, attempts: int, rng: Callable[[], float] = random.random) -> float:
    """Full jitter: uniform between 0 and min(backoff_max, backoff_initial * 2 ** (attempts - 1)), in seconds."""
    exponent = min(attempts - 1, 30)
    return float(rng() * min(policy.backoff_max, policy.backoff_initial * 2**exponent))


def poll_delay(policy: Policy, polls: int) -> float:
    """Seconds to the next poll of an order, after so many: 1, 2, 4, ... up to poll_every."""
    return min(policy.poll_every, 2.0 ** min(polls, 30))


def longest_wait(policy: Policy) -> float:
    """Seconds that a purchase in doubt waits for a look at most: from its call on, or from the look before."""
    times = policy.reconcile_after
    return max(call_length(policy) + times[0], *(later - sooner for sooner, later in pairwise(times)), 0.0)


def call_length(policy: Policy) -> float:
    """Seconds from a call's intent to its deadline."""
    return policy.send_within + policy.timeout


def unsent_backoff(policy: Policy, tried_seconds: float, rng: Callable[[], float] = random.random) -> float:
    """Full jitter for what was not sent: uniform between 0 and the time tried so far, in seconds.

    It doubles like the other, without a count of its own; backoff_initial at the least, backoff_max at most.
    """
    return float(rng() * min(policy.backoff_max, max(policy.backoff_initial, tried_seconds)))
