"""A run that ends in an error which nobody foresaw: told once, tried again ever more seldom, and never in the way."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from schemas.status import Status
from schemas.tables.pools import PoolStatus
from tasks.messages import celery_tasks
from tasks.replenish import replenish
from tasks.replenish.replenish import NotNow, RunFailed
from tasks.runtime import install
from tests.tasks.clock import START
from tests.tasks.pools.supplying import NAME, Supplied, minutes

REASON = "a run failed with ValueError: a worker's log tells where"


def break_runs(world: Supplied, times: int, exc: Exception | None = None) -> None:
    def broken() -> None:
        raise exc or ValueError("a bug")

    world.shop().happens += [broken] * times


def fail(world: Supplied) -> None:
    with pytest.raises(RunFailed) as caught:
        replenish.run(world.runtime, NAME)
    assert isinstance(caught.value.__cause__, ValueError)


def waits(world: Supplied) -> float:
    """Seconds until the next run, which is waited for."""
    wait = world.pool()["next_run_at"] - world.clock.moment
    with pytest.raises(NotNow):
        replenish.run(world.runtime, NAME)
    world.clock.advance(wait.total_seconds())
    return float(wait.total_seconds())


def test_the_next_run_comes_ever_later_until_one_ends_well(world: Supplied) -> None:
    break_runs(world, 9)
    seen = []
    for _ in range(9):
        fail(world)
        seen.append(waits(world))
    assert seen == [10, 10, 20, 40, 80, 160, 300, 300, 300]
    assert replenish.run(world.runtime, NAME).ordered == 10
    assert world.pool()["next_run_at"] == world.clock.moment + minutes(1)
    world.configure(target=20, low=20)
    break_runs(world, 1)
    world.clock.advance(60)
    fail(world)
    assert waits(world) == 10


def test_it_is_told_once_by_an_event_and_once_in_full_in_the_log(
    world: Supplied, caplog: pytest.LogCaptureFixture
) -> None:
    break_runs(world, 3)
    for _ in range(3):
        fail(world)
        waits(world)
    [(kind, data)] = world.told()
    assert (kind, data["status"], data["reason"], data["available"], data["wanted"]) == (
        "blocked",
        "blocked",
        REASON,
        None,
        None,
    )
    pool = world.pool()
    assert (pool["status"], pool["reason"], pool["since"], pool["leased_until"]) == ("blocked", REASON, START, None)
    assert pool["last_run_at"] == START + timedelta(seconds=20)
    records = [record for record in caplog.records if record.name == replenish.__name__]
    assert [(record.levelno, bool(record.exc_info)) for record in records] == [
        (logging.ERROR, True),
        (logging.WARNING, False),
        (logging.WARNING, False),
    ]
    assert "a bug" in caplog.text
    replenish.run(world.runtime, NAME)
    assert [name for name, _ in world.told()] == ["blocked", "recovered"]


def test_another_error_is_told_in_full_again(world: Supplied, caplog: pytest.LogCaptureFixture) -> None:
    break_runs(world, 1)
    break_runs(world, 1, KeyError("another"))
    fail(world)
    waits(world)
    with pytest.raises(RunFailed):
        replenish.run(world.runtime, NAME)
    assert "KeyError: 'another'" in caplog.text
    assert world.pool()["reason"] == "a run failed with KeyError: a worker's log tells where"
    assert len(world.told()) == 1


def test_a_pool_that_was_blocked_otherwise_tells_of_it_too(world: Supplied) -> None:
    world.run()
    world.lead(Status.HELD)
    world.configure(low=10)
    world.run()
    world.configure(count_held=False)
    break_runs(world, 1)
    world.clock.advance(600)
    fail(world)
    assert waits(world) == 10
    world.configure(count_held=True)
    replenish.run(world.runtime, NAME)
    assert [(name, data["reason"][:10]) for name, data in world.told()] == [
        ("blocked", "10 held pu"),
        ("blocked", "a run fail"),
        ("blocked", "10 held pu"),
    ]


def test_an_error_before_the_search_is_none_the_less(world: Supplied, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(replenish, "count_need", broken)
    fail(world)
    assert (world.pool()["status"], world.pool()["last_run_at"]) == (PoolStatus.BLOCKED, START)
    assert waits(world) == 10


@pytest.mark.parametrize("exc", [RedisError("away"), OperationalError("", None, Exception("away"))])
def test_a_server_that_is_away_leaves_the_pool_due(world: Supplied, exc: Exception) -> None:
    break_runs(world, 1, exc)
    with pytest.raises(type(exc)):
        world.run()
    assert (world.pool()["status"], world.pool()["leased_until"], world.told()) == (PoolStatus.OK, None, [])
    assert replenish.run(world.runtime, NAME).ordered == 10


def test_a_number_that_comes_to_nothing_does_not_end_the_wait(world: Supplied) -> None:
    world.run()
    world.configure(target=20, low=20)
    break_runs(world, 1)
    world.clock.advance(60)
    fail(world)
    world.lead(Status.FAILED, 1)
    assert world.settle_all() == 1
    assert waits(world) == 10


def test_a_persons_run_that_fails_shows_the_error_and_changes_nothing(world: Supplied) -> None:
    break_runs(world, 1)
    with pytest.raises(ValueError, match="a bug"):
        world.run(by_person=True)
    assert (world.pool()["status"], world.pool()["leased_until"], world.told()) == (PoolStatus.OK, None, [])
    assert replenish.run(world.runtime, NAME).ordered == 10


def test_the_task_makes_no_noise_of_its_own(world: Supplied) -> None:
    break_runs(world, 1)
    install(world.runtime)
    try:
        celery_tasks.replenish_pool.apply(kwargs={"pool": NAME}, throw=True)
    finally:
        install(None)
    assert world.pool()["reason"] == REASON
