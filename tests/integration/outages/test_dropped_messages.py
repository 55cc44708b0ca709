"""Messages that Celery drops before or beside our tasks, and a database that cannot keep one just now."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup
from redis import Redis
from sqlalchemy import text

from schemas.tables.purchases import REJECTED
from tests.integration.place import Place
from tests.integration.results import Results
from tests.integration.test_bad_messages import REJECTED_TYPE, envelope, wait_for_rejection
from tests.waiting import eventually

PAST = "2020-01-01T00:00:00+00:00"
BUY = "dialstock.buy_number"
TASKS = {
    BUY: {"number": "+14155550001", "provider": "vogent", "idempotency_key": "late-1"},
    "dialstock.submit_order": {"requests": [{"number": "+14155550001", "provider": "vogent"}]},
    "dialstock.order_numbers": {"count": 1, "prefix": "+1415", "idempotency_key": "late-4"},
    "dialstock.release_number": {"number": "+14155550001", "provider": "vogent", "idempotency_key": "late-5"},
    "dialstock.take_number": {"pool": "single", "request_id": "late-2"},
    "dialstock.return_number": {"pool": "single", "number": "+12125550001", "request_id": "late-3"},
}


class Sender:
    """Puts messages into the broker's list as they are; a redelivered one says so."""

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(url)

    def __call__(
        self, task: str, kwargs: Any, message_id: Any, *, again: bool = False, body: Any = None, **headers: Any
    ) -> None:
        entry = json.loads(envelope(json.dumps(body or [[], kwargs, None]).encode()))
        entry["headers"] = {"lang": "py", "task": task, "id": message_id, **headers}
        entry["properties"]["delivery_info"]["redelivered"] = again
        self.redis.lpush("purchases", json.dumps(entry))

    def wait(self) -> None:
        """Until all that was sent is acknowledged."""
        eventually(lambda: not self.redis.llen("purchases") + self.redis.hlen("unacked"), what="nothing is left")


@pytest.fixture
def send(place: Place, celery_setup: CeleryTestSetup) -> Iterator[Sender]:
    sender = Sender(place.redis.url)
    yield sender
    sender.wait()
    assert [worker.container.status for worker in place.workers] == ["running"] * len(place.workers)
    sender.redis.close()


@pytest.fixture
def message_id() -> str:
    return str(uuid.uuid4())


def answers(results: Results, message_id: str) -> list[dict[str, Any]]:
    return [event["data"] for event in results.all(REJECTED_TYPE) if event["data"]["message_id"] == message_id]


@pytest.mark.parametrize("task", TASKS)
def test_what_expired_is_kept_and_answered_once_however_often_it_comes(
    place: Place, results: Results, send: Sender, message_id: str, task: str
) -> None:
    for _ in range(4):
        send(task, TASKS[task], message_id, expires=PAST)
    data = wait_for_rejection(results, message_id)
    assert (data["error_code"], data["task"]) == ("expired", task)
    assert data["request_id"] == TASKS[task].get("request_id", data["rejected_id"])
    assert data.get("idempotency_key") == TASKS[task].get("idempotency_key")
    send(task, TASKS[task], message_id, expires=PAST, again=True)
    send.wait()
    [row] = place.rejected(message_id)
    assert (json.loads(row["body"]), row["error_code"]) == (TASKS[task], "expired")
    assert len(answers(results, message_id)) == 1


def test_what_has_not_expired_yet_is_done(results: Results, send: Sender, number: str, message_id: str) -> None:
    send(BUY, {"number": number, "provider": "vogent"}, message_id, expires="2999-01-01T00:00:00+00:00")
    assert results.wait("dialstock.purchase.purchased", number)["data"]["idempotency_key"] == message_id


def test_what_was_accepted_before_it_expired_is_not_called_expired_when_it_comes_again(
    place: Place, results: Results, send: Sender, number: str, message_id: str
) -> None:
    kwargs = {"number": number, "provider": "vogent"}
    send(BUY, kwargs, message_id)
    results.wait("dialstock.purchase.purchased", number)
    send(BUY, kwargs, message_id, expires=PAST, again=True)
    send.wait()
    assert place.rejected(message_id) == []
    assert place.charged([number]) == {number: 1}


def test_what_was_revoked_is_kept_and_answered_once(
    place: Place, results: Results, celery_setup: CeleryTestSetup, send: Sender, number: str, message_id: str
) -> None:
    control = celery_setup.app.control
    control.revoke(message_id)

    def known() -> bool:
        found = control.inspect(timeout=2.0).revoked() or {}
        return len(found) == len(place.workers) and all(message_id in ids for ids in found.values())

    eventually(known, what="both workers know of it")
    kwargs = {"number": number, "provider": "vogent"}
    for _ in range(3):
        send(BUY, kwargs, message_id)
    assert wait_for_rejection(results, message_id)["error_code"] == "revoked"
    send.wait()
    [row] = place.rejected(message_id)
    assert json.loads(row["body"]) == kwargs
    assert len(answers(results, message_id)) == 1
    assert place.charged([number]) == {}


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ([[], ["number"], None], {}),
        ([[], "number", None], {}),
        ([5, {}, None], {}),
        ([[], {}, 5], {}),
        ([[], {}, {"args": []}], {}),
        ([[], {"number": "+14155550001"}, None], {"timelimit": 5}),
        ([[], {"number": "+14155550001"}, None], {"eta": "0001-01-01T00:00:00+00:00"}),
        ([[], {"number": "+14155550001"}, None], {"eta": "9999-12-31T23:59:59-23:59"}),
        ([[], {"number": "+14155550001"}, None], {"eta": "soon"}),
        ([[], {"number": "+14155550001"}, None], {"expires": "never"}),
        ([[], {"number": "+14155550001"}, None], {"stamped_headers": 5, "expires": PAST}),
        ([[], {"number": "+14155550001"}, None], {"shadow": {"a": 1}}),
        ([[], {"number": "+14155550001"}, None], {"shadow": [1]}),
    ],
    ids=repr,
)
def test_what_a_worker_cannot_even_begin_is_kept_and_answered(
    place: Place, results: Results, send: Sender, message_id: str, body: Any, headers: dict[str, Any]
) -> None:
    send(BUY, None, message_id, body=body, **headers)
    data = wait_for_rejection(results, message_id)
    assert data["error_code"] in ("invalid_message", "invalid_request", "expired")
    send.wait()
    [row] = place.rejected(message_id)
    assert row["id"] == data["rejected_id"]


@pytest.mark.parametrize("chain", [[5], [{"task": "nowhere"}]], ids=repr)
def test_what_celery_cannot_go_on_with_is_done_and_leaves_the_queue(
    place: Place, results: Results, send: Sender, number: str, message_id: str, chain: Any
) -> None:
    kwargs = {"number": number, "provider": "vogent"}
    send(BUY, None, message_id, body=[[], kwargs, {"chain": chain}])
    assert results.wait("dialstock.purchase.purchased", number)["data"]["idempotency_key"] == message_id
    send.wait()
    assert (place.rejected(message_id), place.charged([number])) == ([], {number: 1})


@pytest.mark.parametrize(
    "message_id",
    [None, 7, "", "nul\0 inside", "half \ud83d", "long" * 51, ["a"], {"a": 1}],
    ids=lambda one: ascii(one)[:9],
)
def test_an_id_that_cannot_be_a_key_is_kept_and_answered(
    place: Place, results: Results, send: Sender, number: str, message_id: Any
) -> None:
    send(BUY, {"number": number, "provider": "vogent"}, message_id)
    told = eventually(lambda: results.all(REJECTED_TYPE), what="a rejection")
    assert [one["data"]["error_code"] for one in told] in (["invalid_message_id"], ["invalid_message"])
    [row] = place.rows(REJECTED, id=told[0]["data"]["rejected_id"])
    assert number in row["body"]
    send.wait()
    assert place.charged([number]) == {}


def test_half_a_surrogate_pair_is_kept_and_answered(
    place: Place, results: Results, send: Sender, number: str, message_id: str
) -> None:
    kwargs = {"number": number, "provider": "vogent", "metadata": {"name": "\ud83d"}}
    send(BUY, kwargs, message_id)
    assert wait_for_rejection(results, message_id)["error_code"] == "invalid_request"
    [row] = place.rejected(message_id)
    assert json.loads(row["body"]) == kwargs


@contextmanager
def nowhere_to_keep(place: Place) -> Iterator[None]:
    """The table is another's meanwhile."""
    with place.database.write() as conn:
        conn.execute(text("ALTER TABLE rejected_request RENAME TO elsewhere"))
    try:
        yield
    finally:
        with place.database.write() as conn:
            conn.execute(text("ALTER TABLE elsewhere RENAME TO rejected_request"))


SENT: dict[str, Callable[[Sender, str], object]] = {
    "a bad request": lambda send, mark: send(BUY, {"number": mark}, mark),
    "an unknown task": lambda send, mark: send("dialstock.buy", {"number": mark}, mark),
    "an expired one": lambda send, mark: send(BUY, {"number": mark}, mark, expires=PAST),
    "one that cannot begin": lambda send, mark: send(BUY, None, mark, body=[[], [mark], None]),
    "no message at all": lambda send, mark: send.redis.lpush("purchases", mark),
}


@pytest.mark.parametrize("way", SENT)
def test_what_cannot_be_kept_just_now_is_kept_later(
    place: Place, results: Results, send: Sender, message_id: str, way: str
) -> None:
    with nowhere_to_keep(place):
        before = [len(worker.logs()) for worker in place.workers]
        SENT[way](send, message_id)
        told = ("could not be kept", "waits: the database")

        def failed() -> bool:
            logs = [worker.logs()[start:] for worker, start in zip(place.workers, before, strict=True)]
            return any(words in log for log in logs for words in told)

        eventually(failed, what="a worker could not keep it")

    def kept() -> bool:
        return any(message_id in row["body"] for row in place.rows(REJECTED))

    eventually(kept, what="it is kept")
    eventually(lambda: results.all(REJECTED_TYPE), what="it is answered")
