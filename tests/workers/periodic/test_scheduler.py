"""Beat's schedule goes on with the file."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from redis import Redis

from tasks.outages import waits
from tests.servers import RedisServer
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


def test_a_full_broker_is_told_of_once_and_once_that_it_takes_messages_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(waits, "QUIET", 0.0)
    with Celery("x", broker=redis_server.url, set_as_current=False) as app, Redis.from_url(redis_server.url) as redis:
        scheduler = FileScheduler(app, lazy=True)
        due = [ScheduleEntry(name, task=name, schedule=60.0, app=app) for name in ("one", "two")]
        redis.config_set("maxmemory", 1)
        for one in due * 2:
            scheduler.apply_entry(one)
        redis.config_set("maxmemory", 0)
        scheduler.apply_entry(due[0])
        assert redis.llen("celery") == 1
    told = [line for line in caplog.messages if line.startswith("what beat sends")]
    assert [line.partition(" Redis")[0] for line in told] == ["what beat sends waits:", "what beat sends works again"]
    assert not any(record.exc_info for record in caplog.records)


def test_what_cannot_be_sent_for_another_reason_is_told_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    with Celery("x", broker="memory://", set_as_current=False) as app:
        scheduler = FileScheduler(app, lazy=True)
        scheduler.apply_entry(ScheduleEntry("one", task="one", schedule=60.0, app=app, args=(object(),)))
    [record] = [one for one in caplog.records if "cannot be sent" in one.getMessage()]
    assert record.exc_info
