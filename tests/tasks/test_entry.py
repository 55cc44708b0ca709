"""The Celery tasks, each run twice: the second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from schemas.events import EventType
from schemas.status import Status
from schemas.tables import ATTEMPT, EVENT, KEY, LINE, ORDER, PURCHASE, REJECTED
from tasks import entry
from tasks.runtime import install
from tests.tasks.support import UNKNOWN, World, number

Make = Callable[..., World]
BUY = {"number": number(1), "provider": "acme"}
SUBMIT = {"requests": [{"number": number(n), "provider": "acme"} for n in range(3)]}


@pytest.fixture(autouse=True)
def _installed(world: World) -> Iterator[None]:
    app = Celery("test", set_as_current=True)
    install(world.runtime)
    yield
    install(None)
    app.close()


def run(task: Any, kwargs: dict[str, Any], task_id: str = "message-1", args: tuple[Any, ...] = ()) -> None:
    task.apply(args=args, kwargs=kwargs, task_id=task_id, throw=True)


def everything(world: World) -> list[Any]:
    """All that the tables hold, but for the answers to repeats."""
    accepted = EVENT.c.type != EventType.ACCEPTED
    tables = [select(table) for table in (PURCHASE, ATTEMPT, KEY, LINE, ORDER, REJECTED)]
    return [world.rows(query) for query in (*tables, select(EVENT).where(accepted))]


@pytest.mark.parametrize(("task", "kwargs"), [(entry.buy_number, BUY), (entry.submit_order, SUBMIT)])
def test_a_public_task_run_twice(world: World, task: Any, kwargs: dict[str, Any]) -> None:
    run(task, kwargs)
    before = everything(world)
    run(task, kwargs)
    assert everything(world) == before
    told = world.rows(select(EVENT).where(EVENT.c.type == EventType.ACCEPTED).order_by(EVENT.c.seq))
    assert [event["data"]["repeat"] for event in told] == [False, True]


def test_a_purchase_run_twice(world: World) -> None:
    world.accept()
    [message] = world.sent
    run(entry.buy, dict(message.kwargs))
    before = everything(world)
    run(entry.buy, dict(message.kwargs))
    assert everything(world) == before
    assert len(world.provider.charged) == 1


def test_a_look_run_twice(world: World) -> None:
    world.provider.script.append(UNKNOWN)
    world.accept()
    world.work()
    world.clock.advance(60)
    world.look()
    [message] = world.sent
    run(entry.look, dict(message.kwargs))
    before = everything(world)
    run(entry.look, dict(message.kwargs))
    assert everything(world) == before


@pytest.mark.parametrize(
    ("task", "kwargs", "args", "says"),
    [
        (entry.buy_number, {"nubmer": "x", **BUY}, (), "number"),
        (entry.buy_number, {**BUY, "provider": "acne"}, (), "acme"),
        (entry.buy_number, {}, (number(1), "acme"), "keyword"),
        (entry.submit_order, {"requests": []}, (), "requests"),
        (entry.submit_order, {"requests": [BUY, {"number": "1"}]}, (), r"requests\.1"),
    ],
)
def test_what_is_not_valid_is_rejected_whole(
    world: World, task: Any, kwargs: dict[str, Any], args: tuple[Any, ...], says: str
) -> None:
    run(task, kwargs, args=args)
    [rejected] = world.rows(select(REJECTED))
    assert says.replace("\\", "") in rejected["error"]
    assert (rejected["task"], rejected["message_id"]) == (task.name, "message-1")
    assert world.rows(select(PURCHASE)) == world.rows(select(ORDER)) == []
    assert world.events() == ["rejected"]


def test_redis_away_leaves_the_purchase_to_the_sweep(world: World, caplog: pytest.LogCaptureFixture) -> None:
    row = world.accept()
    [message] = world.sent

    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("gone")

    world.pace.reserve = away
    run(entry.buy, dict(message.kwargs))
    assert "Redis is away" in caplog.text
    assert world.row(row["id"])["status"] == Status.DISPATCHED
    assert world.attempts(row["id"]) == []
