"""Messages that are wrong: each is kept whole, answered where Celery shows it, and the workers live on."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup
from redis import Redis

from schemas.tables.purchases import REJECTED
from tests.integration.place import Place
from tests.integration.results import Results
from tests.waiting import eventually

REJECTED_TYPE = "dialstock.request.rejected"
NUMBER = "+14155550001"


def envelope(body: bytes, **changes: Any) -> str:
    """What a Celery client puts into the list, for any body."""
    message = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "purchases"},
        },
    }
    return json.dumps({**message, **changes})


BAD_REQUESTS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "unknown provider": ({"number": NUMBER, "provider": "signalwyre"}, "unknown_provider", ["'signalwire'?"]),
    "impossible number": ({"number": "+1415", "provider": "signalwire"}, "invalid_request", ["number:"]),
    "no country code": ({"number": "415 555", "provider": "signalwire"}, "invalid_request", ["number:"]),
    "number that is none": ({"number": {"a": 1}, "provider": "signalwire"}, "invalid_request", ["number:"]),
    "no number": ({"provider": "signalwire"}, "invalid_request", ["number: is required"]),
    "unknown option": (
        {"number": NUMBER, "provider": "bird", "options": {"stock_item": "x"}},
        "invalid_request",
        ["options.stock_item", "'stock_item_id'?"],
    ),
    "misspelt keyword": (
        {"number": NUMBER, "provider": "bird", "idempotencykey": "k"},
        "invalid_request",
        ["idempotencykey", "'idempotency_key'?"],
    ),
    "metadata that is a list": (
        {"number": NUMBER, "provider": "bird", "metadata": []},
        "invalid_request",
        ["metadata"],
    ),
    "two mistakes": ({"number": "12", "provider": "bird", "x": 1}, "invalid_request", ["number:", "x: unknown"]),
}


@pytest.fixture
def send(celery_setup: CeleryTestSetup) -> Callable[..., str]:
    def send_one(kwargs: Any = None, *args: Any, task: str = "dialstock.buy_number") -> str:
        sent = celery_setup.app.send_task(task, args, kwargs, queue="purchases", ignore_result=True)
        return str(sent.id)

    return send_one


@pytest.fixture
def push(place: Place) -> Callable[[bytes | str], None]:
    """Puts an entry into the broker's list as it is, as no Celery client would."""

    def push_entry(entry: bytes | str) -> None:
        with Redis.from_url(place.redis.url) as client:
            client.lpush("purchases", entry)

    return push_entry


@pytest.fixture(autouse=True)
def _workers_live_on(
    place: Place, results: Results, number: str, celery_setup: CeleryTestSetup, send: Callable[..., str]
) -> Iterator[None]:
    """After the bad message each of the same worker processes runs, holds nothing back, and a number is bought."""
    before = [worker.container.id for worker in place.workers]
    yield
    send({"number": number, "provider": "signalwire"})
    results.wait("dialstock.purchase.purchased", number)
    assert [worker.container.id for worker in place.workers] == before
    assert [worker.container.status for worker in place.workers] == ["running"] * len(before)
    with Redis.from_url(place.redis.url) as client:
        eventually(lambda: client.hlen("unacked") == 0, what="no message is left without its acknowledgement")


@pytest.mark.parametrize(("kwargs", "code", "told"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_request_is_kept_and_answered(
    place: Place,
    results: Results,
    send: Callable[..., str],
    kwargs: dict[str, Any],
    code: str,
    told: list[str],
) -> None:
    message_id = send(kwargs)
    data = wait_for_rejection(results, message_id)
    assert (data["task"], data["error_code"]) == ("dialstock.buy_number", code)
    for part in told:
        assert part in data["error"]
    [row] = place.rejected(message_id)
    assert (row["id"], row["error_code"], row["error"]) == (data["request_id"], code, data["error"])
    assert json.loads(row["body"]) == kwargs


def test_positional_arguments_are_refused_and_kept(place: Place, results: Results, send: Callable[..., str]) -> None:
    message_id = send({}, NUMBER, "signalwire")
    assert "keyword arguments only" in wait_for_rejection(results, message_id)["error"]
    [row] = place.rejected(message_id)
    assert json.loads(row["body"])["args"] == [NUMBER, "signalwire"]


def test_an_unknown_task_on_our_queue_is_kept_and_answered(
    place: Place, results: Results, send: Callable[..., str]
) -> None:
    message_id = send({"number": NUMBER}, task="dialstock.buy_numbers")
    data = wait_for_rejection(results, message_id)
    assert (data["error_code"], data["task"]) == ("unknown_task", "dialstock.buy_numbers")
    assert NUMBER in place.rejected(message_id)[0]["body"]


def test_an_order_with_one_bad_line_is_refused_whole(
    place: Place, results: Results, numbers: Callable[[int], list[str]], send: Callable[..., str]
) -> None:
    good, other = numbers(2)
    requests = [
        {"number": good, "provider": "vogent"},
        {"number": other, "provider": "vogent", "options": {"colour": "red"}},
    ]
    message_id = send({"requests": requests}, task="dialstock.submit_order")
    data = wait_for_rejection(results, message_id)
    assert "requests.1.options.colour" in data["error"]
    assert results.all(subject=good) == []
    assert place.charged([good, other]) == {}


def test_a_body_in_pickle_is_never_unpickled(
    place: Place, results: Results, push: Callable[[str], None], tmp_path: Any
) -> None:
    trap = tmp_path / "ran"
    pickled = b"cos\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR."
    push(envelope(pickled, **{"content-type": "application/x-python-serialize", "content-encoding": "binary"}))
    data = wait_for_code(results, "invalid_message")
    assert "pickle" in data["error"]
    assert "touch" in newest_rejected(place, data)["body"]
    assert not trap.exists()


@pytest.mark.parametrize("body", [b"{not json", b'"a text"', b"[1, 2]", b"\xff\xfe", b""], ids=repr)
def test_a_body_that_is_no_task_is_kept_and_answered(
    place: Place, results: Results, push: Callable[[str], None], body: bytes
) -> None:
    push(envelope(body))
    data = wait_for_code(results, "invalid_message")
    assert newest_rejected(place, data)["body"] == body.decode("utf-8", "replace")


@pytest.mark.parametrize(
    "headers",
    [None, {}, {"task": "dialstock.buy_number"}, {"task": "x"}, {"id": "x"}, {"task": ["a"], "id": "x"}],
    ids=repr,
)
def test_a_message_without_celerys_headers_is_kept_and_answered(
    place: Place, results: Results, push: Callable[[str], None], headers: Any
) -> None:
    body = json.dumps([[], {"number": NUMBER, "provider": "vogent"}, {}]).encode()
    push(envelope(body, headers=headers))
    data = wait_for_code(results, "invalid_message")
    assert newest_rejected(place, data)["body"] == body.decode()


GARBAGE: dict[str, bytes | str] = {
    "text": "garbage",
    "no UTF-8": b"\xff\xfe\x00garbage",
    "empty": "",
    "another type": "[1, 2]",
    "an object of another kind": '{"number": "+14155550001"}',
    "headers of another type": envelope(b"e30=", headers=[1]),
    "no properties": '{"body": "e30=", "headers": {}}',
    "no delivery info": '{"body": "e30=", "headers": {}, "properties": {"delivery_tag": "x"}}',
    "a body in another encoding": '{"body": "e30=", "headers": {}, "properties": {"delivery_tag": "x", '
    '"body_encoding": "rot13", "delivery_info": {"exchange": "", "routing_key": "purchases"}}}',
    "a tag of another type": '{"body": "e30=", "headers": {}, "properties": {"delivery_tag": {"a": 1}, '
    '"body_encoding": "base64", "delivery_info": {"exchange": "", "routing_key": "purchases"}}}',
}


@pytest.mark.parametrize("entry", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_the_brokers_list_is_kept_and_answered(
    place: Place, results: Results, push: Callable[[bytes | str], None], entry: bytes | str
) -> None:
    push(entry)
    data = wait_for_code(results, "invalid_message")
    text = entry.decode("utf-8", "replace") if isinstance(entry, bytes) else entry
    kept = newest_rejected(place, data)["body"]
    assert kept == text.replace("\0", "\N{REPLACEMENT CHARACTER}") or json.loads(kept) == json.loads(text)


def test_an_entry_that_is_nested_too_deeply_is_answered(
    place: Place, results: Results, push: Callable[[str], None]
) -> None:
    push("[" * 100_000)
    assert "recursion" in wait_for_code(results, "invalid_message")["error"]


def wait_for_rejection(results: Results, message_id: str) -> dict[str, Any]:
    """The data of the event about this message."""

    def told() -> dict[str, Any] | None:
        events = results.all(REJECTED_TYPE)
        return next((event["data"] for event in events if event["data"]["message_id"] == message_id), None)

    return eventually(told, what=f"{message_id} is told as rejected")


def wait_for_code(results: Results, code: str) -> dict[str, Any]:
    """The data of the first event with this code: messages that have no id."""

    def told() -> dict[str, Any] | None:
        return next((e["data"] for e in results.all(REJECTED_TYPE) if e["data"]["error_code"] == code), None)

    return eventually(told, what=f"a rejection of {code}")


def newest_rejected(place: Place, data: dict[str, Any]) -> dict[str, Any]:
    [row] = place.rows(REJECTED, id=data["request_id"])
    assert (row["error"], row["error_code"]) == (data["error"], data["error_code"])
    return row
