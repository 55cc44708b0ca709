"""Beat's schedule, which goes on with the configuration file as it changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from celery.beat import Scheduler, SchedulingError
from redis.exceptions import RedisError

from tasks.outages.waits import WAITS
from workers.config_file import LOOK_EVERY
from workers.processes.signs import SIGNS

log = logging.getLogger(__name__)

MESSAGES = "what beat sends"


class FileScheduler(Scheduler):
    """Celery's scheduler in memory; `look`, once it is set, says whether the app has another schedule by now.

    It gives a sign of life with each look at its schedule.
    """

    look: Callable[[], bool] | None = None
    _next = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Look at the file once a second, in the thread that sends: the schedule changes between two messages."""
        SIGNS.give("scheduler")
        if self.look is not None and time.monotonic() >= self._next:
            self._next = time.monotonic() + LOOK_EVERY
            if self.look():
                self.merge_inplace(self.app.conf.beat_schedule)
                self._heap = None
        seconds: float = super().tick(*args, **kwargs)
        return min(seconds, LOOK_EVERY)

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Send its message. A broker that refuses is told of once, without a traceback: each message comes again."""
        try:
            self.apply_async(entry, producer=producer, advance=False)
        except SchedulingError as exc:
            refused = _refusal(exc)
            if refused is None:
                log.exception("%s cannot be sent", entry.task)
            else:
                WAITS.refused(MESSAGES, refused)
        else:
            WAITS.done(MESSAGES)


def _refusal(exc: BaseException) -> RedisError | None:
    """What Redis said, beneath what kombu and Celery put around it; None where it was something else."""
    within: BaseException | None = exc
    while within is not None and not isinstance(within, RedisError):
        within = within.__cause__ or within.__context__
    return within
