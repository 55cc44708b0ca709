"""Whatever a public task meets, its message is answered, or goes back to its queue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Reject
from sqlalchemy import select, text, update
from sqlalchemy.exc import ProgrammingError

from schemas.requests import RequestError
from schemas.tables.purchases import EVENT, KEY, PROVIDER, PURCHASE, REJECTED
from tasks import orders
from tasks.lifecycle import accept
from tasks.messages import celery_tasks
from tasks.messages.answered_before import accepted_before, rejected_before
from tasks.messages.public_names import BUY_NUMBER, LATER, ORDER_NUMBERS, PUBLIC, SUBMIT_ORDER, TAKE_NUMBER
from tasks.outages import database_away
from tasks.pools.requests import take_and_return
from tasks.providers.registry import kinds
from tasks.releases import giving_back
from tasks.runtime import install
from tasks.wishes import accepting
from tests.tasks.pools.stocking import FIRST, POOL, fill
from tests.tasks.support import NUMBER, World, number

BUY = {"number": NUMBER, "provider": "acme"}
SUBMIT = {"requests": [{**BUY, "number": number(2)}]}
TAKE = {"pool": POOL}
RETURN = {"pool": POOL, "number": FIRST}
CRITERIA = {"count": 1, "providers": ["acme"]}
HALF = "\ud83d"
TASKS = [
    (celery_tasks.buy_number, BUY, accept, "buy_number"),
    (celery_tasks.submit_order, SUBMIT, orders, "submit_order"),
    (celery_tasks.take_number, TAKE, take_and_return, "take"),
    (celery_tasks.return_number, RETURN, take_and_return, "give_back"),
    (celery_tasks.order_numbers, CRITERIA, accepting, "order_numbers"),
    (celery_tasks.release_number, BUY, giving_back, "release_number"),
]


@pytest.fixture(autouse=True)
def _installed(world: World) -> Iterator[None]:
    app = Celery("test", set_as_current=True)
    install(world.runtime)
    config = world.runtime.config.model_copy(update={"pools": {POOL: None}})
    object.__setattr__(world.runtime, "config", config)
    object.__setattr__(world.runtime, "kinds", dict.fromkeys(world.runtime.kinds, kinds()["twilio"]))
    yield
    install(None)
    app.close()


def deliver(task: Any, kwargs: Any, task_id: Any = "message-1", *, again: bool = False) -> Any:
    """What a worker makes of a message; *again* as the broker says it of one that was delivered before."""
    info = {"is_eager": True, "exchange": None, "routing_key": None, "priority": None, "redelivered": again}
    request = {"id": task_id, "kwargs": kwargs, "delivery_info": info, "called_directly": False}
    task.push_request(**request)
    try:
        return task.run(**kwargs)
    except Reject as exc:
        return exc
    finally:
        task.pop_request()


def test_a_return_and_a_release_know_that_their_message_came_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def note(*_: object, again: bool) -> None:
        told.append(again)

    monkeypatch.setattr(take_and_return, "give_back", note)
    monkeypatch.setattr(giving_back, "release_number", note)
    for task, kwargs in ((celery_tasks.return_number, RETURN), (celery_tasks.release_number, BUY)):
        deliver(task, kwargs)
        deliver(task, kwargs, again=True)
    assert told == [False, True, False, True]


def rejected(world: World) -> list[dict[str, Any]]:
    return world.rows(select(REJECTED).order_by(REJECTED.c.id))


def told(world: World) -> list[dict[str, Any]]:
    found = world.rows(select(EVENT).where(EVENT.c.type.like("%.rejected")).order_by(EVENT.c.seq))
    # as the relay writes them
    assert json.dumps([row["data"] for row in found], ensure_ascii=False).encode()
    return [row["data"] for row in found]


@pytest.mark.parametrize(("task", "kwargs", "module", "name"), TASKS)
@pytest.mark.parametrize("raised", [RuntimeError("no"), MemoryError(), RecursionError(), KeyError(HALF), OSError(5)])
def test_an_error_that_nobody_foresaw_is_kept_and_answered(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    task: Any,
    kwargs: dict[str, Any],
    module: Any,
    name: str,
    raised: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(module, name, fail)
    deliver(task, {**kwargs, "metadata": {"a": 1}})
    [kept], [data] = rejected(world), told(world)
    assert (kept["error_code"], kept["task"], kept["message_id"]) == ("internal_error", task.name, "message-1")
    assert json.loads(kept["body"]) == {**kwargs, "metadata": {"a": 1}}
    assert (data["error_code"], data["rejected_id"]) == ("internal_error", kept["id"])
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(("task", "kwargs", "module", "name"), TASKS)
def test_what_cannot_even_be_kept_goes_back_after_a_pause(
    world: World, monkeypatch: pytest.MonkeyPatch, task: Any, kwargs: dict[str, Any], module: Any, name: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(database_away, "PATIENCE", 0.0)
    monkeypatch.setattr(module, name, fail)
    with world.write() as conn:
        conn.execute(text("ALTER TABLE rejected_request RENAME TO elsewhere"))
    try:
        before = world.clock.passed
        given_back = deliver(task, kwargs)
        bad = deliver(task, {**kwargs, "strange": 1})
    finally:
        with world.write() as conn:
            conn.execute(text("ALTER TABLE elsewhere RENAME TO rejected_request"))
    assert isinstance(given_back, Reject)
    assert isinstance(bad, Reject)
    assert [(one.requeue, one.reason) for one in (given_back, bad)] == [(True, LATER)] * 2
    assert world.clock.passed == before
    assert world.events() == []


@pytest.mark.parametrize("metadata", [{"a": HALF}, {HALF: 1}, {"a": ["\udc00"]}])
@pytest.mark.parametrize(("task", "kwargs"), [one[:2] for one in TASKS])
def test_half_a_surrogate_pair_is_kept_and_answered(
    world: World, task: Any, kwargs: dict[str, Any], metadata: dict[str, Any]
) -> None:
    deliver(task, {**kwargs, "metadata": metadata})
    [kept], [data] = rejected(world), told(world)
    assert data["error_code"] == kept["error_code"] == "invalid_request"
    assert "half surrogates" in data["error"]
    assert json.loads(kept["body"])["metadata"] == metadata


@pytest.mark.parametrize("field", ["idempotency_key", "request_id", "number", "provider", "pool", "taker", HALF])
@pytest.mark.parametrize("value", [HALF, "a\0b"])
def test_a_field_that_cannot_be_stored_is_kept_and_answered(world: World, field: str, value: str) -> None:
    for task, kwargs, *_ in TASKS:
        deliver(task, {**kwargs, field: value})
    assert len(rejected(world)) == len(told(world)) == len(TASKS)
    assert {data["error_code"] for data in told(world)} <= {"invalid_request", "unknown_pool", "unknown_provider"}


IDS: list[Any] = [None, 7, 1.5, True, "", "nul\0", f"half {HALF}", "x" * 201, ["a"], {"a": 1}]


@pytest.mark.parametrize("message_id", IDS, ids=lambda one: ascii(one)[:12])
def test_an_id_that_cannot_be_a_key_is_answered_and_buys_nothing(world: World, message_id: Any) -> None:
    fill(world, 1)
    long_ones = ("take", "give_back") if message_id == "x" * 201 else ()
    for task, kwargs, _, name in TASKS:
        if name not in long_ones:
            deliver(task, kwargs, message_id)
    assert {data["error_code"] for data in told(world)} == {"invalid_message_id"}
    assert len(told(world)) == len(rejected(world)) >= 2
    assert world.rows(select(PURCHASE)) == world.rows(select(KEY)) == []
    # with a key of its own the message's id is not asked for
    deliver(celery_tasks.buy_number, {**BUY, "idempotency_key": "k"}, message_id)
    assert [row["idempotency_key"] for row in world.rows(select(KEY))] == ["k"]


def test_the_longest_id_is_a_key(world: World) -> None:
    for _ in range(2):
        deliver(celery_tasks.buy_number, BUY, "\N{SNOWMAN}" * 200)
    assert len(world.rows(select(KEY))) == len(world.rows(select(PURCHASE))) == 1
    assert told(world) == []


def test_a_field_that_is_called_as_the_task_itself_is_one_that_is_not_known(world: World) -> None:
    for task, kwargs, *_ in TASKS:
        deliver(task, {**kwargs, "self": 1})
    assert ["self: unknown field" in data["error"] for data in told(world)] == [True] * len(TASKS)


def test_what_is_nested_as_deeply_as_can_be_read_is_kept_whole(world: World) -> None:
    deep: list[Any] = []
    for _ in range(940):
        deep = [deep]
    deliver(celery_tasks.buy_number, {"number": deep, "provider": "acme"})
    [kept] = rejected(world)
    assert kept["body"].count("[") == 941
    assert len(told(world)) == 1


def test_what_was_rejected_and_is_delivered_again_stays_rejected(world: World) -> None:
    early = {**BUY, "provider": "late"}
    deliver(celery_tasks.buy_number, early)
    binding = world.runtime.providers["acme"]
    object.__setattr__(world.runtime, "providers", {**world.runtime.providers, "late": binding})
    object.__setattr__(world.runtime, "kinds", {**world.runtime.kinds, "late": binding.kind})
    deliver(celery_tasks.buy_number, early, again=True)
    assert len(told(world)) == 1
    assert world.rows(select(PURCHASE)) == []
    # Sent anew it is done, and so is another message of the same id.
    deliver(celery_tasks.buy_number, {**early, "number": number(1)}, again=True)
    deliver(celery_tasks.buy_number, {**early, "idempotency_key": "k"}, again=True)
    assert len(world.rows(select(PURCHASE))) == 2


def test_a_message_for_an_account_that_the_alias_is_no_more_goes_back_for_a_process_that_knows_it(world: World) -> None:
    world.accept(number(9))
    with world.write() as conn:
        conn.execute(update(PROVIDER).where(PROVIDER.c.provider == "acme").values(account="acme-anew"))
    before = world.clock.passed
    for task, kwargs, *_ in TASKS[:2]:
        given_back = deliver(task, kwargs)
        assert isinstance(given_back, Reject)
        assert (given_back.requeue, given_back.reason) == (True, LATER)
    assert world.clock.passed == before, "no thread stands still"
    assert [row["number"] for row in world.rows(select(PURCHASE))] == [number(9)]
    assert rejected(world) == []


def test_once_means_one_row_and_one_event_for_the_same_message(world: World) -> None:
    expired = RequestError("too late", "expired")
    for message_id, body in (("m", BUY), ("m", BUY), ("m", TAKE), ("n", BUY)):
        accept.reject(world.runtime, "t", message_id, body, expired, once=True)
    assert len(rejected(world)) == len(told(world)) == 3


def test_what_was_answered_is_known_by_its_key_or_its_messages_id(world: World) -> None:
    runtime = world.runtime
    fill(world, 1)
    assert {task.name for task, *_ in TASKS} == {*PUBLIC}
    for task, kwargs, *_ in TASKS:
        world.work()
        assert not accepted_before(runtime, task.name, kwargs, f"id of {task.name}")
        deliver(task, kwargs, f"id of {task.name}")
        assert accepted_before(runtime, task.name, kwargs, f"id of {task.name}")
    other = {**BUY, "number": number(1)}
    deliver(celery_tasks.buy_number, {**other, "idempotency_key": "k"}, "m")
    assert accepted_before(runtime, BUY_NUMBER, {**other, "idempotency_key": "k"}, "another")
    assert not accepted_before(runtime, BUY_NUMBER, other, "m")
    assert not any(accepted_before(runtime, BUY_NUMBER, other, message_id) for message_id in IDS)
    assert not rejected_before(runtime, "t", "m", BUY)


@pytest.mark.parametrize(
    ("task", "kwargs", "other"),
    [
        (celery_tasks.buy_number, BUY, {"number": number(1)}),
        (celery_tasks.buy_number, BUY, {"metadata": {"of": "another"}}),
        (celery_tasks.submit_order, SUBMIT, {"requests": [{**BUY, "number": number(1)}]}),
        (celery_tasks.take_number, TAKE, {"count": 2}),
        (celery_tasks.return_number, RETURN, {"number": number(1)}),
    ],
)
def test_another_request_with_the_same_key_was_not_answered(
    world: World, task: Any, kwargs: dict[str, Any], other: dict[str, Any]
) -> None:
    fill(world, 1)
    key = "idempotency_key" if task in (celery_tasks.buy_number, celery_tasks.submit_order) else "request_id"
    for own in ({key: "k"}, {}):
        deliver(task, {**kwargs, **own}, "m")
        assert accepted_before(world.runtime, task.name, {**kwargs, **own}, "m")
        assert not accepted_before(world.runtime, task.name, {**kwargs, **own, **other}, "m")


def test_what_another_task_answered_under_the_key_is_no_answer(world: World) -> None:
    deliver(celery_tasks.buy_number, {**BUY, "idempotency_key": "k"})
    assert not accepted_before(world.runtime, SUBMIT_ORDER, {**SUBMIT, "idempotency_key": "k"}, "m")


def test_what_left_the_configuration_since_was_answered_all_the_same(world: World) -> None:
    fill(world, 1)
    for task, kwargs, *_ in TASKS:
        world.work()
        deliver(task, kwargs, f"id of {task.name}")
    for name, without in (("kinds", {}), ("config", world.runtime.config.model_copy(update={"pools": {}}))):
        object.__setattr__(world.runtime, name, without)
    for task, kwargs, *_ in TASKS:
        assert accepted_before(world.runtime, task.name, kwargs, f"id of {task.name}")


@pytest.mark.parametrize(
    ("task", "kwargs"),
    [(celery_tasks.buy_number, BUY), (celery_tasks.submit_order, SUBMIT), (celery_tasks.order_numbers, CRITERIA)],
)
def test_and_is_not_told_as_rejected_where_its_message_comes_again(
    world: World, task: Any, kwargs: dict[str, Any]
) -> None:
    deliver(task, kwargs)  # its worker dies before it acknowledges that
    world.work()
    binding, kind = world.runtime.providers["acme"], world.runtime.kinds["acme"]
    object.__setattr__(world.runtime, "providers", {"renamed": binding})
    object.__setattr__(world.runtime, "kinds", {"renamed": kind})
    deliver(task, kwargs, again=True)
    assert told(world) == []
    deliver(task, kwargs, "another", again=True)
    assert len(told(world)) == 1


def test_nor_is_it_while_nobody_can_say_whether_it_was_accepted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> bool:
        raise ProgrammingError("", None, Exception("of any kind"))

    monkeypatch.setattr(celery_tasks, "accepted_before", away)
    wrong = {**BUY, "provider": "renamed"}
    assert isinstance(deliver(celery_tasks.buy_number, wrong, again=True), Reject)
    assert told(world) == []


def test_a_long_id_of_a_message_for_a_pool_is_known(world: World) -> None:
    fill(world, 1)
    deliver(celery_tasks.take_number, TAKE, "m" * 300)
    assert accepted_before(world.runtime, TAKE_NUMBER, TAKE, "m" * 300)


def test_what_is_no_request_was_not_answered(world: World) -> None:
    deliver(celery_tasks.buy_number, BUY, "m")
    assert not accepted_before(world.runtime, BUY_NUMBER, {"number": 5, "provider": "acme"}, "m")


def test_an_order_that_is_not_whole_is_not_answered_yet(world: World) -> None:
    fields = {**SUBMIT, "idempotency_key": "o"}
    begun = orders.begin(world.runtime, order=orders.parse_order(fields, world.runtime.kinds))
    assert not accepted_before(world.runtime, SUBMIT_ORDER, fields, "m")
    orders.abandon(world.runtime, begun["id"])
    assert not accepted_before(world.runtime, SUBMIT_ORDER, fields, "m")


def test_a_hint_that_cannot_be_sent_does_not_undo_what_was_accepted(world: World) -> None:
    def fail(_: object) -> None:
        raise ProgrammingError("", None, Exception("of any kind"))

    object.__setattr__(world.runtime, "send", fail)
    deliver(celery_tasks.buy_number, BUY)
    assert world.events(without="") == ["accepted"]


def test_criteria_that_make_no_sense_were_not_accepted(world: World) -> None:
    assert not accepted_before(world.runtime, ORDER_NUMBERS, {**CRITERIA, "prefix": "+1415"}, "m")
