from __future__ import annotations

from typing import Any

import httpx
import pytest

from tasks.providers.transport.xml import read_xml, write_xml
from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import NUMBER, OTHER, Shopper
from tests.waiting import eventually

V2 = "/bandwidth/api/v2"
ACCOUNT = f"{V2}/accounts/9900000"
TOKEN = "/bandwidth/api/v1/oauth2/token"
BEARER = {"Authorization": "Bearer access-sandbox"}
XML = {**BEARER, "Content-Type": "application/xml"}


def wanted(number: str = NUMBER, **changes: Any) -> dict[str, Any]:
    numbers = {"TelephoneNumberList": {"TelephoneNumber": [number]}}
    return {"CustomerOrderId": "call-1", "SiteId": "1234", "ExistingTelephoneNumberOrderType": numbers, **changes}


def post(shopper: Shopper, body: Any, headers: dict[str, str] = XML) -> httpx.Response:
    content = body if isinstance(body, bytes) else write_xml("Order", body)
    return shopper.client.post(f"{ACCOUNT}/orders", headers=headers, content=content)


def get(shopper: Shopper, path: str, **params: Any) -> Any:
    answer = shopper.client.get(path, params=params, headers=BEARER)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/xml")
    return read_xml(answer.text)


def ended(shopper: Shopper, order_id: str) -> Any:
    """The order, once it has ended."""

    def over() -> bool:
        return bool(get(shopper, f"{ACCOUNT}/orders/{order_id}")["OrderResponse"]["OrderStatus"] != "RECEIVED")

    eventually(over, what="the order ends")
    return get(shopper, f"{ACCOUNT}/orders/{order_id}")["OrderResponse"]


def test_gives_tokens_to_who_knows_the_secret(shopper: Shopper) -> None:
    form = {"grant_type": "client_credentials"}
    answer = shopper.client.post(TOKEN, data=form, auth=("client", "sandbox"))
    assert answer.json() == {"access_token": "access-sandbox", "token_type": "Bearer", "expires_in": 3600}
    assert shopper.client.post(TOKEN, data=form, auth=("client", "wrong")).status_code == 401
    assert shopper.client.post(TOKEN, data={}, auth=("client", "sandbox")).status_code == 400
    assert post(shopper, wanted(), {**XML, "Authorization": "Bearer sandbox"}).status_code == 401


def test_an_order_is_received_and_completes_later(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.provisioning(0.3)
    answer = post(shopper, wanted())
    assert answer.status_code == 201
    response = read_xml(answer.text)["OrderResponse"]
    assert response["OrderStatus"] == "RECEIVED"
    order = ended(shopper, response["Order"]["id"])
    assert (order["OrderStatus"], order["CompletedNumbers"]) == (
        "COMPLETE",
        {"TelephoneNumber": {"FullNumber": NUMBER}},
    )
    listed = get(shopper, f"{ACCOUNT}/orders", customerOrderId="call-1")["ResponseSelectWrapper"][
        "ListOrderIdUserIdDate"
    ]
    assert (listed["TotalCount"], listed["OrderIdUserIdDate"]["orderId"]) == ("1", response["Order"]["id"])
    details = get(shopper, f"{V2}/tns/%2B14155550100")["TelephoneNumberResponse"]["TelephoneNumberDetails"]
    assert (details["FullNumber"], details["Status"], details["AccountId"]) == (NUMBER, "Inservice", "9900000")
    assert len(sandbox.control.charges("bandwidth")) == 1


def test_lists_have_what_is_pending_unless_that_is_switched_off(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.provisioning(3600)
    post(shopper, wanted())
    for on in (True, False):
        sandbox.control.list_pending(on)
        listed = get(shopper, f"{V2}/tns", accountId="9900000")["TelephoneNumbersResponse"]
        assert listed["TelephoneNumberCount"] == str(int(on))
        assert shopper.client.get(f"{V2}/tns/%2B14155550100", headers=BEARER).status_code == (200 if on else 404)
        orders = get(shopper, f"{ACCOUNT}/orders", customerOrderId="call-1")["ResponseSelectWrapper"]
        assert orders["ListOrderIdUserIdDate"]["OrderIdUserIdDate"]["OrderStatus"] == "RECEIVED"


@pytest.mark.parametrize(("fault", "code"), [("refuse", "5005"), (None, "5003")])
def test_an_order_fails_after_its_201(sandbox: SandboxServer, shopper: Shopper, fault: str | None, code: str) -> None:
    sandbox.control.provisioning(0.1, succeed=False)
    if fault:
        sandbox.control.plan("bandwidth", fault)
    answer = post(shopper, wanted())
    assert answer.status_code == 201
    order = ended(shopper, read_xml(answer.text)["OrderResponse"]["Order"]["id"])
    assert (order["OrderStatus"], order["ErrorList"]["Error"]["Code"]) == ("FAILED", code)
    assert get(shopper, f"{V2}/tns", accountId="9900000")["TelephoneNumbersResponse"]["TelephoneNumberCount"] == "0"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (wanted(SiteId=None), 400, "5022"),
        (wanted(SiteId="x"), 400, "5022"),
        (wanted(CustomerOrderId="x" * 41), 400, "5052"),
        (wanted(CustomerOrderId="a_b"), 400, "5052"),
        (wanted(BackOrderRequested=True), 400, "5522"),
        (wanted("4155550100"), 400, "5002"),
        (wanted("+442071838750"), 400, "5002"),
        (wanted(Quantity=1), 400, "5001"),
        (wanted(ExistingTelephoneNumberOrderType=None), 500, None),
        (b"{}", 400, "5001"),
        (b"<!DOCTYPE x><Order/>", 400, "5001"),
        (b"<Other/>", 400, "5001"),
    ],
)
def test_refuses_every_other_body(
    sandbox: SandboxServer, shopper: Shopper, body: Any, status: int, code: str | None
) -> None:
    answer = post(shopper, body)
    assert answer.status_code == status
    if code:
        assert read_xml(answer.text)["OrderResponse"]["ErrorList"]["Error"]["Code"] == code
    assert post(shopper, wanted(), {**XML, "Content-Type": "application/json"}).status_code == 400
    assert sandbox.control.charges() == []


def test_lists_an_account_page_by_page(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.own("bandwidth", [NUMBER, OTHER])
    first = get(shopper, f"{V2}/tns", accountId="9900000", size=1)["TelephoneNumbersResponse"]
    assert (first["TelephoneNumberCount"], first["TelephoneNumbers"]["TelephoneNumber"]["FullNumber"]) == ("2", NUMBER)
    assert "page=1&size=1" in first["Links"]["next"]
    assert shopper.client.get(f"{V2}/tns", params={"size": 2501}, headers=BEARER).status_code == 400
    assert shopper.client.get(f"{V2}/tns/%2B14155550109", headers=BEARER).status_code == 404


def test_searches_by_area(shopper: Shopper) -> None:
    path = f"{ACCOUNT}/availableNumbers"
    found = get(shopper, path, npaNxx="415555", quantity=3)["SearchResult"]
    assert (found["ResultCount"], len(found["TelephoneNumberList"]["TelephoneNumber"])) == ("3", 3)
    for params in ({}, {"areaCode": "41"}, {"areaCode": "415", "npaNxx": "415555"}, {"areaCode": "415", "quantity": 0}):
        assert shopper.client.get(path, params=params, headers=BEARER).status_code == 400
