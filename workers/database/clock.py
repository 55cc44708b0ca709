"""The time that the ledger goes by: one for all workers, whatever their machines' clocks say.

Due times and deadlines are compared by workers that did not write them. One whose clock is ahead would take another's
running call for lost, look for its number too soon, and buy it again. So all go by the database's clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from tasks.policies.watched_time import Watch
from tasks.runtime import Database, utc_now

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two looks at the database's clock. A claim may go by a clock that was set since the last one: the
sweep leaves a call that long after its end (SWEEP_GRACE)."""

SKEW = timedelta(seconds=1)
"""A machine's clock that is off by more is told of in the log; the database's was set where it went on by more."""

# It goes on while a laptop sleeps or a machine is suspended, and nobody sets it.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
# Asked again and again by every worker, so built once.
_NOW = select(func.clock_timestamp())


class DatabaseClock:
    """Tells the database's time. SQLite has none: its processes share a machine, and that machine's clock.

    Asks the database at the first call, and when told to; in between, and while it is away, goes on by itself.
    Raises SQLAlchemyError where it was away from the beginning.

    It notices where the database's clock was set: it went on by more, or less, than this machine's that nobody sets.
    """

    def __init__(self, database: Database, local: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._local = local
        self._base: tuple[datetime, float] | None = None
        self._off = timedelta(0)
        self.trip = 0.0
        """Seconds that its last answer took; 0.0 before the first."""
        self._steady: tuple[datetime, float] | None = None
        self._was_set = False
        self._asking = threading.Lock()

    def __call__(self) -> datetime:
        """The time now, aware, in UTC."""
        said, at = self._base or self._ask()
        return said + timedelta(seconds=_passed() - at)

    def ask(self) -> bool:
        """Ask the database anew; says that there is no more to do. Raises SQLAlchemyError while it is away."""
        self._ask()
        return False

    def watch(self) -> Watch:
        """Ask the database anew, and tell since when its clock was not set. Raises SQLAlchemyError while it is away."""
        _, watch = self._look()
        return watch

    def _ask(self) -> tuple[datetime, float]:
        base, _ = self._look()
        self._tell(self._local() - self())
        return base

    def _look(self) -> tuple[tuple[datetime, float], Watch]:
        # One at a time: an answer from before a step must not follow one from after it.
        with self._asking, self._database.read() as conn:
            asked = _passed()
            said = self._local() if conn.dialect.name == "sqlite" else _time_of(conn)
            self.trip = _passed() - asked
            unsure = self.trip / 2
            base = self._base = said, asked + unsure
            since = self._notice(base, timedelta(seconds=unsure))
            return base, Watch(now=said, since=since, was_set=self._was_set)

    def _notice(self, base: tuple[datetime, float], unsure: timedelta) -> datetime:
        """Since when the clock was not set. It is compared with the first look, so that small steps add up."""
        if self._steady is None:
            self._steady = base
        said, at = self._steady
        off = base[0] - said - timedelta(seconds=base[1] - at)
        if abs(off) > SKEW + unsure:
            log.warning("the database's clock was set by %+.1f s: what is in doubt waits anew", off.total_seconds())
            self._steady, self._was_set = base, True
        return self._steady[0]

    def _tell(self, off: timedelta) -> None:
        """Say it once, and again where it has changed."""
        if abs(off - self._off) > SKEW:
            log.warning(
                "this machine's clock is %+.1f s off the database's, which is the one that counts: set the clock",
                off.total_seconds(),
            )
            self._off = off


def _passed() -> float:
    return time.clock_gettime(_CLOCK)


def _time_of(conn: Connection) -> datetime:
    said: datetime = conn.execute(_NOW).scalar_one()
    return said.astimezone(UTC)
