"""Orders of many numbers over all providers, by one message."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable

from pytest_celery import CeleryTestSetup

from schemas.tables.purchases import LINE, PURCHASE
from tests.integration.place import KINDS, Place
from tests.integration.results import Results


def requests_for(numbers: list[str]) -> list[dict[str, object]]:
    return [
        {"number": number, "provider": KINDS[index % len(KINDS)], "metadata": {"line": index}}
        for index, number in enumerate(numbers)
    ]


def test_an_order_of_fifty_numbers_over_all_providers_completes(
    place: Place, celery_setup: CeleryTestSetup, results: Results, numbers: Callable[[int], list[str]]
) -> None:
    wanted = numbers(50)
    [message_id] = place.send(
        {"name": "dialstock.submit_order", "kwargs": {"requests": requests_for(wanted), "metadata": {"job": 7}}}
    )

    completed = results.wait("dialstock.order.completed")
    order_id = completed["subject"]
    assert completed["source"] == "/dialstock/orders"
    assert completed["data"] == {
        "order_id": order_id,
        "name": None,
        "idempotency_key": message_id,
        "lines": 50,
        "counts": {"purchased": 50},
        "metadata": {"job": 7},
    }
    purchased = {event["subject"]: event["data"] for event in results.all("dialstock.purchase.purchased")}
    assert set(purchased) == set(wanted)
    assert {data["order_id"] for data in purchased.values()} == {order_id}
    assert [purchased[number]["metadata"] for number in wanted] == [{"line": index} for index in range(50)]
    assert Counter(data["provider"] for data in purchased.values()) == dict.fromkeys(KINDS, 50 // len(KINDS))
    assert place.charged(wanted) == dict.fromkeys(wanted, 1)
    assert {row["number"] for row in place.rows(PURCHASE, order_id=order_id, status="purchased")} == set(wanted)
    assert [row["number"] for row in place.rows(LINE, order_id=order_id)] == wanted


def test_the_same_order_twice_buys_once_and_another_order_shares_its_numbers(
    place: Place, celery_setup: CeleryTestSetup, results: Results, numbers: Callable[[int], list[str]]
) -> None:
    first, second, third = numbers(3)
    message_id = str(uuid.uuid4())
    order = {"requests": requests_for([first, second])}
    celery_setup.app.send_task("dialstock.submit_order", kwargs=order, queue="purchases", task_id=message_id)
    order_id = results.wait("dialstock.order.completed")["subject"]
    celery_setup.app.send_task("dialstock.submit_order", kwargs=order, queue="purchases", task_id=message_id)
    repeat = results.wait("dialstock.request.accepted", order_id, count=2)["data"]
    assert (repeat["repeat"], repeat["counts"]) == (True, {"purchased": 2})

    order = {"requests": requests_for([first, second, third])}
    celery_setup.app.send_task("dialstock.submit_order", kwargs=order, queue="purchases")
    data = results.wait("dialstock.order.completed", count=2)["data"]
    assert (data["lines"], data["counts"]) == (3, {"purchased": 3})
    assert place.charged([first, second, third]) == {first: 1, second: 1, third: 1}
    assert [row["shared"] for row in place.rows(LINE, order_id=data["order_id"])] == [True, True, False]
