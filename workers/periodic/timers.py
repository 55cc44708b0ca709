"""The timers that each worker runs: release, looks, sweep, orders, history, pools, wishes and their reservations,
giving back, relay.

No one's death matters.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from tasks import orders, retention
from tasks.lifecycle import outbox_relay, release_and_sweep
from tasks.lifecycle.outbox_relay import Relay, relay_token
from tasks.outages.readiness import READINESS
from tasks.pools import stock
from tasks.restored_database import detect
from tasks.runtime import Runtime
from tasks.server_errors import explained
from tasks.wishes import due, unneeded
from workers.periodic.giving_back import GivingBack
from workers.processes.signs import SIGNS
from workers.settings import Settings

log = logging.getLogger(__name__)

RELEASE_EVERY = 0.1
SWEEP_EVERY = 1.0
POOLS_EVERY = 1.0
GIVE_BACK_EVERY = 1.0
WISHES_EVERY = 0.25
RESERVATIONS_EVERY = 5.0
HISTORY_EVERY = 2.0
RELAY_EVERY = 0.05
MANY_EVENTS = 10
CALLS_EVERY = 5.0
ASK_EVERY = 1.0
CLEAN_EVERY = 60.0
AWAY_WAIT = 1.0
"""Seconds to wait after the database or Redis was found away."""

_ANSWER = select(1)


class Timer:
    """Runs `action` every `seconds` in a thread of its own, at once again while it says that there is more."""

    def __init__(self, name: str, seconds: float, action: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._action = action
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"dialstock-{name}", daemon=True)
        self.name = name
        self._away = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Let the present run end, and no other begin."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        wait, part = 0.0, f"timer {self.name}"
        while not self._stop.wait(wait):
            # While it waits for its next turn, nothing is missed of it.
            SIGNS.give(part)
            wait = self._once()
            SIGNS.end(part)

    def _once(self) -> float:
        try:
            more = self._action()
        except (RedisError, OperationalError, SQLAlchemyError, OSError) as exc:
            if not self._away:
                log.warning("timer %s waits: %s", self.name, _told(exc))
            self._away = True
            return AWAY_WAIT
        except Exception:
            log.exception("timer %s failed", self.name)
            return AWAY_WAIT
        if self._away:
            log.info("timer %s works again", self.name)
        self._away = False
        return 0.0 if more else self._seconds


class Timers:
    """All timers of one worker process."""

    def __init__(self, runtime: Runtime, settings: Settings, latest: Callable[[], Runtime] | None = None) -> None:
        """*latest* gives the runtime of each turn, where the configuration in it may change."""
        self._latest = latest or (lambda: runtime)
        self._relay = Relay(runtime, relay_token(), stream_length=settings.stream_length)
        self._many = False
        self._giving_back = GivingBack()
        self._hand_over = partial(_hand_over, runtime)
        self._timers = [
            Timer("release", RELEASE_EVERY, self._turn(_release)),
            Timer("sweep", SWEEP_EVERY, self._turn(_sweep)),
            Timer("history", HISTORY_EVERY, self._turn(detect.compare)),
            Timer("pools", POOLS_EVERY, self._turn(stock.settle_due)),
            Timer("wishes", WISHES_EVERY, self._turn(due.look)),
            Timer("reservations", RESERVATIONS_EVERY, self._turn(unneeded.look)),
            Timer("give-back", GIVE_BACK_EVERY, self._turn(self._giving_back.turn)),
            Timer("relay", RELAY_EVERY, self._publish),
            Timer("readiness", ASK_EVERY, partial(_ask, runtime)),
            Timer("calls", CALLS_EVERY, self._hand_over),
            Timer("clean", CLEAN_EVERY, partial(_clean, runtime, settings)),
        ]

    def start(self) -> None:
        """Start them all."""
        for timer in self._timers:
            timer.start()

    def drain(self) -> None:
        """Release nothing more; events still go out."""
        self._giving_back.stop()
        for timer in self._timers:
            if timer.name != "relay":
                timer.stop(timeout=0)

    def stop(self) -> None:
        """Stop them all, publish what is left, and let another worker's relay take over."""
        self._giving_back.stop()
        for timer in self._timers:
            timer.stop()
        READINESS.forget()
        try:
            while self._relay.run_once():
                pass
            self._relay.release()
            self._hand_over()
        except (RedisError, SQLAlchemyError) as exc:
            log.warning("the last events wait for another worker: %s", _told(exc))

    def _turn(self, action: Callable[[Runtime], bool]) -> Callable[[], bool]:
        """A turn with one configuration from its beginning to its end."""
        return lambda: action(self._latest())

    def _publish(self) -> bool:
        if not READINESS.ready:
            if self._relay.holds:
                self._relay.release()
            return False
        # Each batch has its cost: while many events come, every second turn is left to gather them.
        if self._many:
            self._many = False
            return False
        count = self._relay.run_once() or 0
        full = count == outbox_relay.BATCH
        self._many = count >= MANY_EVENTS and not full
        return full


def _release(runtime: Runtime) -> bool:
    release_and_sweep.release_all(runtime)
    return False


def _sweep(runtime: Runtime) -> bool:
    release_and_sweep.sweep_all(runtime)
    release_and_sweep.look_all(runtime)
    orders.complete_finished(runtime)
    return False


def _ask(runtime: Runtime) -> bool:
    # Not by a transaction that reads: a replica takes those, too.
    with READINESS.asking(), runtime.database.write() as conn:
        conn.execute(_ANSWER)
    return False


def _clean(runtime: Runtime, settings: Settings) -> bool:
    events = outbox_relay.clean_up(runtime, settings.event_retention) > 0
    return retention.clean_up(runtime, settings.retention) or events


def _hand_over(runtime: Runtime) -> bool:
    runtime.calls.hand_over(runtime.redis)
    return False


def _told(exc: Exception) -> str:
    return f"{'the database' if isinstance(exc, SQLAlchemyError) else 'Redis'} {explained(exc)}"
