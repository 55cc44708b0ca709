from __future__ import annotations

from typing import Any

import httpx
import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BEARER, NUMBER, OTHER, Shopper
from tests.waiting import eventually

V2 = "/telnyx/v2"


def searched(shopper: Shopper, number: str = NUMBER) -> None:
    """Let a search show *number*."""
    params = {"filter[country_code]": "US", "filter[phone_number][starts_with]": number[2:]}
    assert [one["phone_number"] for one in shopper.get(f"{V2}/available_phone_numbers", **params).json()["data"]] == [
        number
    ]


def post(shopper: Shopper, body: Any) -> httpx.Response:
    return shopper.client.post(f"{V2}/number_orders", headers=BEARER, json=body)


def wanted(number: str = NUMBER, **more: Any) -> dict[str, Any]:
    return {"phone_numbers": [{"phone_number": number}], **more}


def code(answer: httpx.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    return answer.status_code, error["code"]


def test_only_what_a_search_has_shown_is_sold(sandbox: SandboxServer, shopper: Shopper) -> None:
    assert code(post(shopper, wanted())) == (422, "85000")
    searched(shopper)
    assert post(shopper, wanted()).status_code == 200
    assert code(post(shopper, wanted(OTHER))) == (422, "85000")
    assert len(sandbox.control.charges("telnyx")) == 1


def test_an_order_is_pending_until_its_number_is_ready(sandbox: SandboxServer, shopper: Shopper) -> None:
    for succeed, end, row in ((True, "success", "active"), (False, "failure", "purchase-failed")):
        number = NUMBER if succeed else OTHER
        sandbox.control.provisioning(0.3, succeed)
        searched(shopper, number)
        order = post(shopper, wanted(number, customer_reference=f"call {end}")).json()["data"]
        assert (order["status"], order["phone_numbers"][0]["status"]) == ("pending", "pending")
        path = f"{V2}/number_orders/{order['id']}"
        eventually(lambda path=path, end=end: shopper.get(path).json()["data"]["status"] == end, what=end)  # type: ignore[misc]
        (found,) = shopper.get(f"{V2}/number_orders", **{"filter[customer_reference]": f"call {end}"}).json()["data"]
        assert found["id"] == order["id"]
        (one,) = shopper.get(f"{V2}/phone_numbers", **{"filter[phone_number]": number[1:]}).json()["data"]
        assert (one["phone_number"], one["status"]) == (number, row)
        assert one["id"] != found["phone_numbers"][0]["id"]


def test_a_list_has_what_is_pending_unless_that_is_switched_off(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.provisioning(3600)
    searched(shopper)
    order = post(shopper, wanted()).json()["data"]
    for on in (True, False):
        sandbox.control.list_pending(on)
        shown = shopper.get(f"{V2}/phone_numbers").json()["data"]
        assert [one["status"] for one in shown] == ["purchase-pending"] * on
        assert [one["id"] for one in shopper.get(f"{V2}/number_orders").json()["data"]] == [order["id"]]


def test_an_order_that_lacks_papers_stands_and_sells_nothing(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.plan("telnyx", "refuse", reason="compliance")
    searched(shopper)
    order = post(shopper, wanted(customer_reference="call 1")).json()["data"]
    assert (order["status"], order["requirements_met"]) == ("pending", False)
    assert shopper.get(f"{V2}/number_orders/{order['id']}").json()["data"] == order
    assert shopper.get(f"{V2}/phone_numbers").json()["data"] == []
    assert sandbox.control.charges("telnyx") == []
    sandbox.control.reset()
    assert shopper.get(f"{V2}/number_orders/{order['id']}").status_code == 404


def test_the_filter_of_numbers_takes_digits_alone(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.own("telnyx", [NUMBER, OTHER])
    path = f"{V2}/phone_numbers"
    for text, count in ((NUMBER[1:], 1), ("555", 2), (NUMBER, 0), ("415-555", 0)):
        found = shopper.get(path, **{"filter[phone_number]": text}).json()
        assert (len(found["data"]), found["meta"]["total_results"]) == (count, count)
    meta = shopper.get(path, **{"page[size]": 1, "page[number]": 2}).json()["meta"]
    assert meta == {"page_number": 2, "page_size": 1, "total_pages": 2, "total_results": 2}
    assert shopper.get(path, **{"page[size]": 251}).status_code == 422


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "10015"),
        (wanted(NUMBER[1:]), "10016"),
        (wanted(quantity=1), "10015"),
        ({"phone_numbers": [NUMBER]}, "10015"),
        ({"phone_numbers": []}, "10015"),
        (wanted(customer_reference=""), "10015"),
    ],
)
def test_refuses_every_other_body(sandbox: SandboxServer, shopper: Shopper, body: Any, said: str) -> None:
    searched(shopper)
    assert code(post(shopper, body)) == (422, said)
    assert sandbox.control.charges() == []


def test_checks_token_type_and_parameters(shopper: Shopper) -> None:
    path = f"{V2}/number_orders"
    assert code(shopper.client.post(path, json=wanted())) == (401, "10009")
    headers = {**BEARER, "Content-Type": "text/plain"}
    assert shopper.client.post(path, headers=headers, content=b"{}").status_code == 400
    for path, params in (
        ("number_orders", {"filter[reference]": "x"}),
        ("phone_numbers", {"filter[number]": "415"}),
        ("available_phone_numbers", {}),
        ("available_phone_numbers", {"filter[country_code]": "US", "filter[limit]": "x"}),
    ):
        assert shopper.get(f"{V2}/{path}", **params).status_code == 422


def test_tells_the_balance(shopper: Shopper) -> None:
    assert shopper.get(f"{V2}/balance").json()["data"]["available_credit"] == "100.00"
