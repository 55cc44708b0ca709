"""Beat's schedule goes on with the file."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from workers.config_file import LOOK_EVERY
from workers.periodic.scheduler import FileScheduler


def entry(seconds: float) -> dict[str, Any]:
    return {"task": "x", "schedule": seconds}


def test_a_changed_schedule_is_sent_from_the_next_look_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with Celery("x", broker="memory://", set_as_current=False) as app:
        app.conf.beat_schedule = {"kept": entry(3600.0), "slow": entry(3600.0), "gone": entry(3600.0)}
        scheduler = FileScheduler(app)
        sent: list[str] = []
        monkeypatch.setattr(scheduler, "apply_entry", lambda one, producer=None: sent.append(one.name))
        looks = iter([False, True, False])

        def look() -> bool:
            changed = next(looks)
            if changed:
                app.conf.beat_schedule = {"kept": entry(3600.0), "slow": entry(0.0), "fresh": entry(0.0)}
            return changed

        scheduler.look = look
        assert scheduler.tick() == LOOK_EVERY, "nothing is due, and the file is looked at soon"
        assert set(scheduler.schedule) == {"kept", "slow", "gone"}
        scheduler._next = 0.0
        for _ in range(4):
            scheduler.tick()
        assert set(scheduler.schedule) == {"kept", "slow", "fresh"}
        assert {"slow", "fresh"} <= set(sent) <= {"slow", "fresh"}
