"""What waits is told of when that begins and when it is over, however many wait and whatever goes well in between."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError

from tasks.outages.waits import QUIET, TOLD_AGAIN, Waits

AWAY = OperationalError("", {}, Exception("gone"))


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def waits(time: Time, caplog: pytest.LogCaptureFixture) -> Waits:
    caplog.set_level("INFO")
    return Waits(time)


def test_it_is_told_when_it_begins_and_when_what_waited_is_done(waits: Waits, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        waits.refused("one", AWAY, lambda number=number: f"the {number}th")  # type: ignore[misc]
    waits.done("another", waited=True)
    for _ in range(2):
        waits.done("one", waited=True)
    first, last = caplog.messages
    assert first.startswith("the 0th waits: the database is away (gone): start it")
    assert last == "one works again"
    waits.refused("one", AWAY)
    assert len(caplog.messages) == 3


def test_what_goes_well_beside_it_does_not_end_it(waits: Waits, time: Time, caplog: pytest.LogCaptureFixture) -> None:
    waits.refused("one", AWAY)
    time.now += QUIET - 0.1
    waits.refused("one", AWAY)
    time.now += QUIET - 0.1
    waits.done("one")
    assert len(caplog.messages) == 1
    time.now += 0.1
    waits.done("one")
    assert caplog.messages[1:] == ["one works again"]


def test_another_trouble_is_told_and_the_same_again_after_a_while(
    waits: Waits, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    waits.refused("one", AWAY)
    waits.refused("one", RedisConnectionError("gone"))
    waits.refused("one", AWAY)
    assert ["Redis" in line for line in caplog.messages] == [False, True, False]
    time.now += TOLD_AGAIN - 1
    waits.refused("one", AWAY)
    assert len(caplog.messages) == 3
    time.now += 1
    waits.refused("one", AWAY)
    assert len(caplog.messages) == 4
