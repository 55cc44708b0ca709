"""The threads that give numbers back, one for each provider: a slow one holds up no other, and no timer."""

from __future__ import annotations

import logging
import threading

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from tasks.lifecycle import give_back
from tasks.outages.waits import WAITS
from tasks.runtime import Binding, Runtime

log = logging.getLogger(__name__)


class GivingBack:
    """Starts a thread for a provider where a release is due; it ends when none is, or when all are to stop."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def turn(self, runtime: Runtime) -> bool:
        """Start what is due. Says that there is no more to do."""
        for binding in give_back.may_be_due(runtime):
            running = self._threads.get(binding.alias)
            if running is not None and running.is_alive():
                continue
            if not self._stopping.is_set() and give_back.is_due(runtime, binding):
                self._start(runtime, binding)
        return False

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
        try:
            while not self._stopping.is_set() and give_back.step(runtime, binding, self._stopping.is_set):
                pass
            WAITS.done(name)
        except (RedisError, SQLAlchemyError) as exc:
            WAITS.refused(name, exc)
        except Exception:
            log.exception("a release at %s failed", binding.alias)
