"""Beat's schedule, which goes on with the configuration file as it changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.beat import Scheduler

from workers.config_file import LOOK_EVERY
from workers.processes.signs import SIGNS


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
