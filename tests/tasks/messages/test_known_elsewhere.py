"""A message that names what this worker does not know waits for one that does, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from redis import Redis
from sqlalchemy import select

from schemas.tables.pools import POOL
from schemas.tables.purchases import PURCHASE, REJECTED
from tasks import processes
from tasks.messages import celery_tasks, known_elsewhere
from tasks.messages.public_names import LATER
from tasks.processes import WORKER, Process
from tasks.runtime import install
from tests.tasks.messages.test_last_resort import deliver
from tests.tasks.support import NUMBER, World, make_world
from workers.database.connections import SqlDatabase

NEW: list[tuple[Any, dict[str, Any], str]] = [
    (celery_tasks.buy_number, {"number": NUMBER, "provider": "fresh"}, "unknown_provider"),
    (celery_tasks.submit_order, {"requests": [{"number": NUMBER, "provider": "fresh"}]}, "unknown_provider"),
    (celery_tasks.take_number, {"pool": "fresh"}, "unknown_pool"),
    (celery_tasks.return_number, {"pool": "fresh", "number": NUMBER}, "unknown_pool"),
]
each_task = pytest.mark.parametrize(("task", "kwargs", "code"), NEW)


@pytest.fixture
def world(database: SqlDatabase, redis: Redis) -> Iterator[World]:
    app = Celery("test", set_as_current=True)
    found = make_world(database, redis)
    install(found.runtime)
    yield found
    install(None)
    app.close()


def run_another(world: World, digest: str) -> None:
    me = Process(role=WORKER)
    world.runtime.database.run(lambda conn: processes.write_down(conn, me, digest, None, world.clock()))


def waits(given_back: Any) -> bool:
    return isinstance(given_back, Reject) and (given_back.requeue, given_back.reason) == (True, LATER)


def codes(world: World) -> list[str]:
    return [row["error_code"] for row in world.rows(select(REJECTED))]


@each_task
def test_where_all_workers_have_one_file_it_is_answered_at_once(
    world: World, task: Any, kwargs: dict[str, Any], code: str
) -> None:
    run_another(world, world.runtime.config.digest)
    assert deliver(task, kwargs) is None
    assert codes(world) == [code]


@each_task
def test_while_another_worker_has_another_file_it_waits(
    world: World, task: Any, kwargs: dict[str, Any], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_another(world, "another")
    assert waits(deliver(task, kwargs))
    assert waits(deliver(task, kwargs, again=True))
    assert codes(world) == []
    # and once its time is over it has its answer, also from a worker that sees it for the first time
    monkeypatch.setattr(known_elsewhere, "WAITS", 0.0)
    assert deliver(task, kwargs, again=True) is None
    assert codes(world) == [code]
    assert world.rows(select(PURCHASE)) == []


def test_while_the_file_is_another_than_what_is_in_force_it_waits(world: World) -> None:
    install(replace(world.runtime, file_differs=lambda: True))
    assert waits(deliver(*NEW[2][:2]))
    assert codes(world) == []


def test_a_pool_that_another_worker_has_made_is_not_taken_for_one_that_went(world: World) -> None:
    with world.write() as conn:
        now = world.clock()
        row = {"name": "fresh", "schedule": "1m", "status": "ok", "since": now, "next_slot": 1}
        conn.execute(POOL.insert().values(next_run_at=now, updated_at=now, **row))
    run_another(world, "another")
    assert waits(deliver(*NEW[2][:2]))


def test_what_is_wrong_otherwise_is_answered_at_once(world: World) -> None:
    run_another(world, "another")
    assert deliver(celery_tasks.take_number, {"pool": "fresh", "strange": 1}) is None
    assert deliver(celery_tasks.buy_number, {"number": "1", "provider": "acme"}) is None
    assert codes(world) == ["invalid_request"] * 2


def test_without_redis_nobody_can_tell_and_it_waits(world: World) -> None:
    run_another(world, "another")
    install(replace(world.runtime, redis=Redis(port=1)))
    assert waits(deliver(*NEW[0][:2]))
    assert codes(world) == []


def test_what_is_noted_of_it_stands_under_the_installation_s_prefix(world: World, redis: Redis) -> None:
    redis.key_prefix = "staging:"  # type: ignore[attr-defined]
    run_another(world, "another")
    assert waits(deliver(celery_tasks.take_number, {"pool": "fresh"}))
    assert [key for key in redis.scan_iter() if not key.startswith(b"staging:")] == []
    assert redis.dbsize() == 1
