"""Faults of our own in the pools: each takes back what keeps a number with one taker, or a pool within its bounds."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

import tasks.pools.requests.take_and_return
import tasks.replenish.needs
import tasks.replenish.replenish
from tasks.ledger.queue import pool_limits
from tasks.pools.requests import answers
from tasks.replenish import replenish


def counted_once() -> AbstractContextManager[Any]:
    """A run orders what it counted before its search, and any number of runs may search."""

    def top_up(this: Any) -> Any:
        runtime = this.runtime
        begun = runtime.database.run(lambda conn: replenish._begin(conn, this))
        if isinstance(begun, replenish.Report):
            return begun
        found = replenish.find(runtime, this.pool, begun.most)
        return runtime.database.run(lambda conn: replenish._finish(conn, this, begun, found, runtime.now()))

    stack = ExitStack()
    stack.enter_context(patch.object(replenish, "_top_up", top_up))
    stack.enter_context(patch.object(replenish, "_refuse", lambda *_: None))
    return stack


def taken_each_time() -> AbstractContextManager[Any]:
    """A take, or a return, that comes again is done again."""

    def remember(*given: Any) -> bool:
        answers.remember(*given)
        return True

    return patch.object(tasks.pools.requests.take_and_return, "remember", remember)


def given_back_by_anybody() -> AbstractContextManager[Any]:
    """A return that comes late takes the number from whoever has it by then."""
    return patch.object(tasks.pools.requests.take_and_return, "remember", _believing(answers.remember))


def _believing(careful: Any) -> Any:
    def remember(conn: Any, request: Any, taker: Any, slots: Any, now: Any) -> bool:
        done = careful(conn, request, taker, slots, now)
        return done or type(request).__name__ == "ReturnNumber"

    return remember


def pool_limit_by_orders() -> AbstractContextManager[Any]:
    """A pool's daily limit is looked at neither when it orders nor when it buys."""
    stack = ExitStack()
    stack.enter_context(patch.object(tasks.replenish.needs, "spoken_for", lambda *_: 0))
    stack.enter_context(patch.object(pool_limits, "limits_of", lambda *_: pool_limits.NO_LIMITS))
    return stack


MUTANTS_OF_POOLS = (counted_once, taken_each_time, given_back_by_anybody, pool_limit_by_orders)
