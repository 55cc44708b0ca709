"""The threads that give numbers back, one for each provider: a slow one holds up no other, and no timer.

Of a thousand providers some at a time have one: who has it makes room for others after a while.
"""

from __future__ import annotations

import logging
import random
import threading
import time

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from tasks.lifecycle import give_back
from tasks.outages.waits import WAITS
from tasks.runtime import Binding, Runtime

log = logging.getLogger(__name__)


THREADS = 64
"""Providers that numbers are given back to at the same time, by one process."""

SHARE = 10.0
"""Seconds that one of them goes on while as many are at work as may be."""


class GivingBack:
    """Starts a thread for a provider where a release is due; it ends when none is, or when all are to stop."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def turn(self, runtime: Runtime) -> bool:
        """Start what is due. Says that there is no more to do."""
        self._threads = {alias: thread for alias, thread in self._threads.items() if thread.is_alive()}
        due = [one for one in give_back.may_be_due(runtime) if one.alias not in self._threads]
        # By chance: of many, none waits for those that stand before it in the file.
        for binding in random.sample(due, len(due)):
            if self._stopping.is_set() or self._crowded():
                break
            if give_back.is_due(runtime, binding):
                self._start(runtime, binding)
        return False

    def _crowded(self) -> bool:
        return len(self._threads) >= THREADS

    def stop(self) -> None:
        """Let no further call or look begin. One that is under way ends by itself, or is looked up by another."""
        self._stopping.set()

    def _start(self, runtime: Runtime, binding: Binding) -> None:
        name = f"dialstock-give-back-{binding.alias}"
        thread = threading.Thread(target=self._run, args=(runtime, binding), name=name, daemon=True)
        self._threads[binding.alias] = thread
        thread.start()

    def _run(self, runtime: Runtime, binding: Binding) -> None:
        name = f"giving back at {binding.alias}"
        until = time.monotonic() + SHARE
        try:
            while not self._stopping.is_set() and give_back.step(runtime, binding, self._stopping.is_set):
                if self._crowded() and time.monotonic() >= until:
                    break
            WAITS.done(name)
        except (RedisError, SQLAlchemyError) as exc:
            WAITS.refused(name, exc)
        except Exception:
            log.exception("a release at %s failed", binding.alias)
