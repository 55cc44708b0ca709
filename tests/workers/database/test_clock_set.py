"""A database's clock that is set, as a process sees it that has a clock which nobody sets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from schemas.status import Status
from tests.tasks.clock import START
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import World, make_world
from workers.database import clock
from workers.database.clock import DatabaseClock
from workers.database.connections import SqlDatabase


@dataclass
class Time:
    """What passes, by how much the database's clock is set, and how long its answers take."""

    passed: float = 1000.0
    set_by: float = 0.0
    takes: float = 0.0

    def database(self) -> datetime:
        self.passed += self.takes / 2
        said = START + timedelta(seconds=self.passed + self.set_by)
        self.passed += self.takes / 2
        return said


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(clock, "_passed", lambda: found.passed)
    monkeypatch.setattr(clock, "_time_of", lambda _: found.database())
    return found


@pytest.fixture
def database(sqlite_url: str) -> Iterator[SqlDatabase]:
    found = SqlDatabase(sqlite_url)
    yield found
    found.close()


@pytest.fixture
def start(database: SqlDatabase, time: Time) -> Callable[[], DatabaseClock]:
    """A process of the same machine."""
    return lambda: DatabaseClock(database, time.database)


Start = Callable[[], DatabaseClock]


def test_a_clock_that_goes_evenly_is_watched_from_the_first_look_on(start: Start, time: Time) -> None:
    one = start()
    began = one.watch().now
    for _ in range(100):
        time.passed += 30
        assert one.watch().since == began
    assert one.watch().seconds == 3000
    assert not one.watch().was_set


@pytest.mark.parametrize("seconds", [600.0, -600.0, 1.5, -1.5])
def test_a_step_begins_a_new_watch(start: Start, time: Time, seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    one = start()
    one.watch()
    time.passed += 60
    time.set_by = seconds
    seen = one.watch()
    assert seen.since == seen.now == START + timedelta(seconds=1060 + seconds)
    assert f"set by {seconds:+.1f} s" in caplog.text
    time.passed += 5
    assert one.watch().seconds == 5
    assert one.watch().was_set


def test_a_step_that_the_timer_meets_is_noticed_too(start: Start, time: Time) -> None:
    one = start()
    one()
    time.set_by = 600
    one.ask()
    time.passed += 5
    assert one.watch().seconds == 5


def test_small_steps_add_up(start: Start, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    one = start()
    with caplog.at_level(logging.WARNING):
        for _ in range(10):
            time.set_by += 0.3
            one.watch()
    assert len(caplog.records) == 2


def test_a_slow_answer_is_no_step(start: Start, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    one = start()
    one.watch()
    time.takes, time.set_by = 4.0, 1.9
    one.watch()
    assert caplog.records == []


def test_a_new_process_knows_nothing_of_the_time_before(start: Start, time: Time) -> None:
    start().watch()
    time.passed += 600
    assert start().watch().seconds == 0


@pytest.mark.parametrize("restarts", [False, True])
def test_the_looks_of_two_processes_keep_their_distance(database_url: str, time: Time, *, restarts: bool) -> None:
    """The database's clock is set by ten minutes; one process asks for the time long after the other."""
    database = SqlDatabase(database_url)
    world = make_world(database)

    def start() -> World:
        now = DatabaseClock(database, time.database)
        return replace(world, runtime=replace(world.runtime, now=now, watch=now.watch))

    worlds = [start(), start()]
    looks: list[float] = []
    look = world.provider.look

    def counted(numbers: dict[str, str | None]) -> object:
        looks.append(time.passed)
        return look(numbers)

    world.provider.look = counted  # type: ignore[method-assign, assignment]
    world.provider.script.append(UNKNOWN)
    row = worlds[0].accept()
    worlds[0].work()
    began = time.passed
    while world.row(row["id"])["status"] == Status.UNKNOWN:
        time.passed += 0.5
        if time.passed == began + 50:
            time.set_by = 600
        if restarts and time.passed == began + 60:
            worlds[1] = start()
        worlds[int(time.passed) % 2].tick()
    assert world.row(row["id"])["status"] in (Status.QUEUED, Status.DISPATCHED)
    assert len(looks) == 3
    assert looks[0] >= began + 37
    assert looks[1] - looks[0] >= 25
    assert looks[2] - looks[1] >= 90
    database.close()
