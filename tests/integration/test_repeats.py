"""A message that comes twice, by its sender's or the broker's doing, buys once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from pytest_celery import CeleryTestSetup

from tests.integration.place import Place
from tests.integration.results import Results

PURCHASED = "dialstock.purchase.purchased"
ACCEPTED = "dialstock.request.accepted"


@pytest.fixture
def send(celery_setup: CeleryTestSetup) -> Callable[..., str]:
    """Sends one request, as message *task_id* where that is given."""

    def send_one(task_id: str | None = None, **kwargs: Any) -> str:
        sent = celery_setup.app.send_task(
            "dialstock.buy_number", kwargs=kwargs, queue="purchases", task_id=task_id, ignore_result=True
        )
        return str(sent.id)

    return send_one


def test_the_same_key_with_the_same_request_is_told_the_present_status(
    place: Place, results: Results, number: str, send: Callable[..., str]
) -> None:
    request = {"number": number, "provider": "fluents", "idempotency_key": f"key-{number}", "metadata": {"n": 1}}
    send(**request)
    first = results.wait(PURCHASED, number)
    send(**request)

    repeat = results.wait(ACCEPTED, number, count=2)["data"]
    assert repeat["repeat"] is True
    assert (repeat["status"], repeat["success"]) == ("purchased", True)
    assert repeat["purchase_id"] == first["data"]["purchase_id"]
    assert place.charged([number]) == {number: 1}


def test_the_same_key_with_another_request_is_rejected(
    place: Place, results: Results, numbers: Callable[[int], list[str]], send: Callable[..., str]
) -> None:
    first, second = numbers(2)
    send(number=first, provider="fluents", idempotency_key=f"key-{first}")
    results.wait(PURCHASED, first)
    message_id = send(number=second, provider="fluents", idempotency_key=f"key-{first}")

    data = results.wait("dialstock.request.rejected", second)["data"]
    assert (data["error_code"], data["message_id"]) == ("key_conflict", message_id)
    assert data["idempotency_key"] == f"key-{first}"
    [row] = place.rejected(message_id)
    assert row["error_code"] == "key_conflict"
    assert second in row["body"]
    assert place.charged([first, second]) == {first: 1}


def test_services_that_ask_for_one_number_are_told_each_under_its_own_key(
    place: Place, results: Results, number: str, send: Callable[..., str]
) -> None:
    asked = {f"{name}-{number}": {"of": name} for name in ("crm", "dialer", "billing")}
    for key, metadata in asked.items():
        send(number=number, provider="signalwire", idempotency_key=key, metadata=metadata)
    results.wait(PURCHASED, number, count=3)
    late = send(number=number, provider="signalwire", metadata={"of": "late"})
    results.wait(PURCHASED, number, count=4)

    told = [event["data"] for event in results.all(PURCHASED, number)]
    assert {data["idempotency_key"]: data["metadata"] for data in told} == {**asked, late: {"of": "late"}}
    assert len(told) == 4
    assert len({data["purchase_id"] for data in told}) == 1
    assert place.charged([number]) == {number: 1}


def test_one_message_delivered_five_times_buys_once(
    place: Place, results: Results, number: str, send: Callable[..., str]
) -> None:
    message_id = str(uuid.uuid4())
    for _ in range(5):
        send(message_id, number=number, provider="signalwire")

    results.wait(ACCEPTED, number, count=5)
    data = results.wait(PURCHASED, number)["data"]
    assert data["idempotency_key"] == message_id
    assert [event["data"]["repeat"] for event in results.all(ACCEPTED, number)].count(False) == 1
    assert place.charged([number]) == {number: 1}
    assert len(results.all(PURCHASED, number)) == 1


def test_two_requests_for_one_number_share_its_purchase(
    place: Place, results: Results, number: str, send: Callable[..., str]
) -> None:
    for _ in range(2):
        send(number=number, provider="bird")
    results.wait(ACCEPTED, number, count=2)
    results.wait(PURCHASED, number)

    told = {event["data"]["purchase_id"] for event in results.all(subject=number)}
    assert told == {place.purchase(number)["id"]}
    assert place.charged([number]) == {number: 1}


def test_a_message_sent_again_after_its_number_failed_does_not_buy_anew(
    place: Place, results: Results, number: str, send: Callable[..., str]
) -> None:
    message_id = str(uuid.uuid4())
    place.control.plan("vogent", "refuse", number, times=50)
    send(message_id, number=number, provider="vogent")
    results.wait("dialstock.purchase.failed", number)
    calls = len(place.control.calls("vogent"))

    send(message_id, number=number, provider="vogent")
    repeat = results.wait(ACCEPTED, number, count=2)["data"]
    assert (repeat["repeat"], repeat["status"], repeat["success"]) == (True, "failed", False)
    assert len(place.control.calls("vogent")) == calls
