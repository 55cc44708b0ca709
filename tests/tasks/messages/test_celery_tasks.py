"""The Celery tasks, each run twice: the second run changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from schemas.config.pools import PoolConfig
from schemas.events import EventType
from schemas.requests import RequestError
from schemas.status import Status
from schemas.tables.pools import POOL_NUMBER, POOL_REQUEST
from schemas.tables.purchases import ATTEMPT, EVENT, KEY, LINE, ORDER, PURCHASE, REJECTED
from schemas.tables.wishes import WISH
from tasks import orders
from tasks.lifecycle import accept
from tasks.messages import celery_tasks
from tasks.outages import database_away
from tasks.outages.readiness import READINESS
from tasks.pools.stock import ensure_pools
from tasks.runtime import SEARCHES, install
from tasks.transactions import Raced, Unanswered
from tests.tasks.clock import START
from tests.tasks.messages.test_last_resort import deliver
from tests.tasks.pools.stocking import FIRST, POOL, fill, take
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import World, number

Make = Callable[..., World]
BUY = {"number": number(1), "provider": "acme"}
TAKE = {"pool": POOL}
RETURN = {"pool": POOL, "number": FIRST}
ANSWERS = (EventType.ACCEPTED, EventType.POOL_TAKEN, EventType.POOL_RETURNED)
FIND = {"count": 3, "providers": ["acme"], "metadata": {"team": "red"}}
POOL_NUMBERS = select(POOL_NUMBER).order_by(*POOL_NUMBER.primary_key)
AWAY = OperationalError("SELECT", {}, ConnectionError("server closed the connection"))
MISSPELT = {"count": 3, "prefix": "415", "provider": "acme"}
SUBMIT = {"requests": [{"number": number(n), "provider": "acme"} for n in range(3)]}


@pytest.fixture(autouse=True)
def _installed(world: World) -> Iterator[None]:
    app = Celery("test", set_as_current=True)
    install(world.runtime)
    yield
    install(None)
    app.close()


@pytest.fixture(autouse=True)
def _pool(world: World) -> None:
    fill(world, 2)
    config = world.runtime.config.model_copy(update={"pools": {POOL: None}})
    object.__setattr__(world.runtime, "config", config)


def run(task: Any, kwargs: dict[str, Any], task_id: str = "message-1", args: tuple[Any, ...] = ()) -> None:
    task.apply(args=args, kwargs=kwargs, task_id=task_id, throw=True)


def everything(world: World) -> list[Any]:
    """All that the tables hold, but for the answers to repeats."""
    others = EVENT.c.type.not_in(ANSWERS)
    names = (PURCHASE, ATTEMPT, KEY, LINE, ORDER, WISH, REJECTED, POOL_NUMBER, POOL_REQUEST)
    tables = [select(table).order_by(*table.primary_key) for table in names]
    return [world.rows(query) for query in (*tables, select(EVENT).where(others).order_by(EVENT.c.seq))]


@pytest.mark.parametrize(
    ("task", "kwargs", "tells"),
    [
        (celery_tasks.buy_number, BUY, EventType.ACCEPTED),
        (celery_tasks.submit_order, SUBMIT, EventType.ACCEPTED),
        (celery_tasks.order_numbers, FIND, EventType.ACCEPTED),
        (celery_tasks.take_number, TAKE, EventType.POOL_TAKEN),
        (celery_tasks.return_number, RETURN, EventType.POOL_RETURNED),
    ],
)
def test_a_public_task_run_twice(world: World, task: Any, kwargs: dict[str, Any], tells: EventType) -> None:
    if task is celery_tasks.return_number:
        take(world, "before")
    run(task, kwargs)
    before = everything(world)
    run(task, kwargs)
    assert everything(world) == before
    told = world.rows(select(EVENT).where(EVENT.c.type == tells).order_by(EVENT.c.seq))
    told = [event for event in told if event["data"].get("request_id") != "before"]
    assert [event["data"]["repeat"] for event in told] == [False, True]


def test_a_misspelt_order_by_criteria_is_answered(world: World) -> None:
    run(celery_tasks.order_numbers, MISSPELT)
    [rejected] = world.rows(select(REJECTED))
    assert rejected["error"] == "provider: unknown field: did you mean 'providers'?"
    assert world.rows(select(ORDER)) == []


def test_a_search_that_comes_twice_or_for_nothing_changes_nothing(world: World) -> None:
    run(celery_tasks.find_numbers, {"order_id": "01a21d0a-1633-7677-ae5b-2a46b540cee5", "position": 1})
    run(celery_tasks.order_numbers, FIND)
    orders.cancel(world.runtime, world.rows(select(ORDER))[0]["id"])
    before = everything(world)
    for _ in range(2):
        run(celery_tasks.find_numbers, {"order_id": world.rows(select(ORDER))[0]["id"], "position": 1})
    assert everything(world) == before


def test_a_worker_that_searches_enough_keeps_its_threads_for_what_buys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.provider, "search", lambda _: [])
    run(celery_tasks.order_numbers, FIND)
    search = {"order_id": world.rows(select(ORDER))[0]["id"], "position": 1}
    with ExitStack() as searching:
        for _ in range(SEARCHES):
            searching.enter_context(world.runtime.searches)
        run(celery_tasks.find_numbers, search)
        assert world.rows(select(WISH))[0]["searches"] == 0
    run(celery_tasks.find_numbers, search)
    assert world.rows(select(WISH))[0]["searches"] == 1
    with ExitStack() as searching:
        # The place was given back.
        for _ in range(SEARCHES):
            searching.enter_context(world.runtime.searches)


def test_a_return_that_is_delivered_again_leaves_the_next_taker_its_number(world: World) -> None:
    run(celery_tasks.take_number, {**TAKE, "count": 2}, "first")
    run(celery_tasks.return_number, RETURN, "back")
    run(celery_tasks.take_number, TAKE, "next")
    before = world.rows(POOL_NUMBERS)
    run(celery_tasks.return_number, RETURN, "back")
    assert world.rows(POOL_NUMBERS) == before
    assert {row["request_id"] for row in before} == {"first", "next"}


def test_a_take_that_was_refused_and_is_delivered_again_takes_nothing(world: World) -> None:
    run(celery_tasks.take_number, {**TAKE, "count": 2}, "first")
    run(celery_tasks.take_number, TAKE, "late")
    run(celery_tasks.return_number, RETURN, "back")
    before = world.rows(POOL_NUMBERS)
    run(celery_tasks.take_number, TAKE, "late")
    assert world.rows(POOL_NUMBERS) == before
    assert world.events()[-2:] == ["returned", "refused"]


def test_a_pool_that_is_not_configured_any_more_takes_back_and_gives_nothing(world: World) -> None:
    run(celery_tasks.take_number, TAKE, "first")
    with world.write() as conn:
        ensure_pools(conn, {POOL: PoolConfig(providers=("acme",), low=1, target=1, daily_limit=0)}, START)
    config = world.runtime.config.model_copy(update={"pools": {}})
    object.__setattr__(world.runtime, "config", config)
    run(celery_tasks.return_number, RETURN, "back")
    assert [row["request_id"] for row in world.rows(select(POOL_NUMBER))] == [None, None]
    run(celery_tasks.take_number, TAKE, "again")
    [rejected] = world.rows(select(REJECTED))
    assert f"pool: {POOL!r} is not configured any more" in rejected["error"]
    run(celery_tasks.return_number, {**RETURN, "pool": ["support"]}, "nonsense")
    assert world.events()[-2:] == ["rejected", "rejected"]


@pytest.mark.parametrize("error", [OperationalError("", None, Exception("away")), Unanswered(), Raced()])
@pytest.mark.parametrize("name", ["take_number", "return_number"])
def test_the_database_away_for_long_leaves_the_message_in_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    def away(*_: object) -> None:
        raise error

    monkeypatch.setattr(database_away, "PATIENCE", 0.0)
    monkeypatch.setattr(world.runtime.database, "transact", away)
    given_back = getattr(celery_tasks, name).apply(kwargs=TAKE if name == "take_number" else RETURN).result
    assert isinstance(given_back, Reject)
    assert given_back.requeue


def test_a_purchase_run_twice(world: World) -> None:
    world.accept()
    [message] = world.sent
    run(celery_tasks.buy, dict(message.kwargs))
    before = everything(world)
    run(celery_tasks.buy, dict(message.kwargs))
    assert everything(world) == before
    assert len(world.provider.charged) == 1


def test_a_worker_that_shuts_down_begins_no_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    world.work()
    world.clock.advance(60)
    world.look()
    [message] = world.sent
    monkeypatch.setattr("celery.worker.state.should_stop", 0)
    run(celery_tasks.look, dict(message.kwargs))
    assert (world.provider.asked, world.row(row["id"])["status"]) == ([], Status.UNKNOWN)


def test_a_look_run_twice(world: World) -> None:
    world.provider.script.append(UNKNOWN)
    world.accept()
    world.work()
    world.clock.advance(60)
    world.look()
    [message] = world.sent
    run(celery_tasks.look, dict(message.kwargs))
    before = everything(world)
    run(celery_tasks.look, dict(message.kwargs))
    assert everything(world) == before


@pytest.mark.parametrize(
    ("task", "kwargs", "args", "says"),
    [
        (celery_tasks.buy_number, {"nubmer": "x", **BUY}, (), "number"),
        (celery_tasks.buy_number, {**BUY, "provider": "acne"}, (), "acme"),
        (celery_tasks.buy_number, {}, (number(1), "acme"), "keyword"),
        (celery_tasks.submit_order, {"requests": []}, (), "requests"),
        (celery_tasks.take_number, {"pool": "suport"}, (), POOL),
        (celery_tasks.take_number, {**TAKE, "cuont": 2}, (), "cuont"),
        (celery_tasks.take_number, {}, (POOL,), "keyword"),
        (celery_tasks.return_number, {**RETURN, "number": "12"}, (), "number"),
        (celery_tasks.return_number, TAKE, (), "number"),
        (celery_tasks.submit_order, {"requests": [BUY, {"number": "1"}]}, (), r"requests\.1"),
    ],
)
def test_what_is_not_valid_is_rejected_whole(
    world: World, task: Any, kwargs: dict[str, Any], args: tuple[Any, ...], says: str
) -> None:
    run(task, kwargs, args=args)
    [rejected] = world.rows(select(REJECTED))
    assert says.replace("\\", "") in rejected["error"]
    assert (rejected["task"], rejected["message_id"]) == (task.name, "message-1")
    assert world.rows(select(PURCHASE)) == world.rows(select(ORDER)) == world.rows(select(POOL_REQUEST)) == []
    assert world.events() == ["rejected"]


def test_redis_away_leaves_the_purchase_to_the_sweep(world: World, caplog: pytest.LogCaptureFixture) -> None:
    row = world.accept()
    [message] = world.sent

    def away(*_: object, **__: object) -> None:
        raise RedisConnectionError("gone")

    world.pace.reserve = away
    run(celery_tasks.buy, dict(message.kwargs))
    assert f"{row['number']} waits: Redis is away" in caplog.text
    assert world.row(row["id"])["status"] == Status.DISPATCHED
    assert world.attempts(row["id"]) == []


@pytest.fixture
def unready() -> Iterator[None]:
    """This process's own way to the database is gone."""
    with suppress(OperationalError), READINESS.asking():
        raise AWAY
    yield
    READINESS.forget()


@pytest.mark.usefixtures("unready")
def test_a_worker_without_its_database_leaves_a_purchase_to_another_as_it_is(world: World) -> None:
    row = world.accept()
    [message] = world.sent
    assert deliver(celery_tasks.buy, dict(message.kwargs)).requeue
    assert (world.row(row["id"]), world.attempts(row["id"])) == (row, [])
    READINESS.forget()
    run(celery_tasks.buy, dict(message.kwargs))
    assert world.row(row["id"])["status"] == Status.PURCHASED


@pytest.mark.usefixtures("unready")
def test_a_worker_without_its_database_gives_a_callers_message_back_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def away(*_: object) -> None:
        tries.append(1)
        raise AWAY if len(tries) == 1 else RequestError("asked again")

    with monkeypatch.context() as patched:
        patched.setattr(accept, "buy_number", away)
        assert deliver(celery_tasks.buy_number, BUY).requeue
    assert len(tries) == 1
    run(celery_tasks.buy_number, BUY)
    assert len(world.rows(select(PURCHASE))) == 1
