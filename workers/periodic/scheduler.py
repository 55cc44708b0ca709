"""Celery beat's scheduler, in memory, which gives a sign of life with each look at its schedule."""

from __future__ import annotations

from typing import Any

from celery.beat import Scheduler

from workers.processes.signs import SIGNS


class LivingScheduler(Scheduler):
    """It looks every `beat_max_loop_interval` seconds at least."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One look; returns the seconds to the next."""
        SIGNS.give("scheduler")
        return float(super().tick(*args, **kwargs))
