"""What code under test reaches by a name of a module, and not through the runtime."""

from __future__ import annotations

import logging
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpcore

import tasks.messages.celery_tasks
import workers.broker.incoming
import workers.periodic.timers
from tests.simulation.actors import balances, returns, wishes

if TYPE_CHECKING:
    from tests.simulation.world import World


SLOW = 2.0
"""Looks a second of which a round of the sweep takes one."""


def handed_in(world: World) -> Any:
    """A context in which it reaches the world's."""
    rng = world.clockwork.rng
    stack = ExitStack()
    clock = {
        "RELEASE_EVERY": rng.choice((0.5, 2.0)),
        "SWEEP_EVERY": rng.choice((0.3, 1.5, 4.0 if _reads_fast(world) else 1.5)),
        "HISTORY_EVERY": 2.0 if world.faults.rates["database restored"] else 10.0,
        "GIVE_BACK_EVERY": rng.choice((0.5, 2.0)),
        "RELAY_EVERY": rng.choice((0.5, 2.0)),
        "AWAY_WAIT": 1.0,
    }
    for name, seconds in clock.items():
        stack.enter_context(patch.object(workers.periodic.timers, name, seconds))
    stack.enter_context(patch.object(tasks.messages.celery_tasks, "current", lambda: world.staff.runtime))
    stack.enter_context(patch.object(workers.broker.incoming, "current", lambda: world.staff.runtime))
    stack.enter_context(patch.object(httpcore.SyncBackend, "connect_tcp", world.network.connect))
    stack.enter_context(world.idle.skipping())
    stack.enter_context(returns.in_hand(world))
    stack.enter_context(balances.in_seconds())
    stack.enter_context(wishes.in_seconds(world))
    stack.enter_context(world.paging.smaller())
    stack.enter_context(_listening(world))
    return stack


def _reads_fast(world: World) -> bool:
    """Whether each round takes several looks; where it takes one, forty purchases wait for three of them."""
    policy = next(iter(world.config.providers.values())).policy
    return all(rate.limit / rate.window > SLOW for rate in policy.lookup_rate_limits)


class _Ear(logging.Handler):
    """An error that nobody foresaw is a broken promise, too."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self._world.clockwork.note(f"LOG: {record.getMessage()}: {record.exc_info[1]!r}")
            self._world.clockwork.stop(record.exc_info[1])


@contextmanager
def _listening(world: World) -> Any:
    ear, before = _Ear(world), {}
    for name in ("tasks", "workers"):
        log = logging.getLogger(name)
        before[name] = log.propagate, log.level
        log.propagate = False
        log.setLevel(logging.ERROR)
        log.addHandler(ear)
    try:
        yield
    finally:
        for name, (propagates, level) in before.items():
            log = logging.getLogger(name)
            log.removeHandler(ear)
            log.propagate = propagates
            log.setLevel(level)
