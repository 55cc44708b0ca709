from __future__ import annotations

from typing import Any

import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BEARER, CONNECTION, NUMBER, Shopper

PATH = "/fluents/v1/numbers/buy"
GOOD = {"phone_number": NUMBER, "telephony_provider": "twilio", "telephony_account_connection": CONNECTION}
AVAILABLE = {"limit": 3, "telephony_provider": "twilio", "telephony_account_connection": CONNECTION}


def without(field: str) -> dict[str, str]:
    return {name: value for name, value in GOOD.items() if name != field}


def test_success_has_every_required_field(shopper: Shopper) -> None:
    answer = shopper.client.post(PATH, headers=BEARER, json={**GOOD, "inbound_agent": "Agent Name"})
    body = answer.json()
    assert answer.status_code == 201
    assert body["number"] == NUMBER
    assert body["telephony_account_connection"] == CONNECTION
    assert body["inbound_agent"] == "Agent Name"
    assert body["example_context"] == {}
    assert {"id", "user_id"} <= body.keys()


def test_an_area_code_buys_some_number_in_it(sandbox: SandboxServer, shopper: Shopper) -> None:
    answer = shopper.client.post(PATH, headers=BEARER, json={**without("phone_number"), "area_code": "628"})
    assert answer.json()["number"].startswith("+1628")
    assert sandbox.control.owned("fluents") == [answer.json()["number"]]


@pytest.mark.parametrize(
    "body",
    [
        without("phone_number"),
        without("telephony_provider"),
        without("telephony_account_connection"),
        {**GOOD, "telephony_account_connection": "main"},
        {**GOOD, "telephony_provider": {}},
        {**GOOD, "phone_number": NUMBER[1:]},
        {**GOOD, "number": NUMBER},
        [GOOD],
    ],
)
def test_refuses_every_other_body(sandbox: SandboxServer, shopper: Shopper, body: Any) -> None:
    answer = shopper.client.post(PATH, headers=BEARER, json=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"message", "error", "statusCode"}
    assert answer.json()["statusCode"] == 400
    assert sandbox.control.charges() == []


def test_checks_the_token(shopper: Shopper) -> None:
    assert shopper.client.post(PATH, headers={"Authorization": "Bearer x"}, json=GOOD).status_code == 401


def test_gets_by_number(shopper: Shopper) -> None:
    bought = shopper.buy("fluents", NUMBER).json()
    assert shopper.get("/fluents/v1/numbers", phone_number=NUMBER).json() == bought
    missing = shopper.get("/fluents/v1/numbers", phone_number="+14155550199")
    assert missing.status_code == 404
    assert missing.json()["statusCode"] == 404


def test_lists_in_pages(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+141555501{n:02d}" for n in range(12)]
    sandbox.control.own("fluents", numbers)
    first = shopper.get("/fluents/v1/numbers/list").json()
    second = shopper.get("/fluents/v1/numbers/list", page=2).json()
    assert [item["number"] for item in first["items"] + second["items"]] == numbers
    assert (first["page"], first["size"], first["has_more"], first["total"]) == (1, 10, True, 12)
    assert second["has_more"] is False


@pytest.mark.parametrize("params", [{"page": 0}, {"size": 101}, {"size": "x"}, {"pagesize": 5}])
def test_list_refuses_other_parameters(shopper: Shopper, params: dict[str, Any]) -> None:
    assert shopper.get("/fluents/v1/numbers/list", **params).status_code == 400


def test_shows_available_numbers(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.stock("fluents", ["+14155550100", "+14155550101", "+12125550100"])
    sandbox.control.own("fluents", ["+14155550101"])
    filters = '{"country": "US", "area_code": "415"}'
    answer = shopper.get("/fluents/v1/numbers/available", **AVAILABLE, filters=filters)
    assert [item["number"] for item in answer.json()["items"]] == ["+14155550100"]


@pytest.mark.parametrize("missing", ["limit", "telephony_provider", "telephony_account_connection", "filters"])
def test_available_needs_all_four(shopper: Shopper, missing: str) -> None:
    params = {**AVAILABLE, "filters": "{}"}
    del params[missing]
    assert shopper.get("/fluents/v1/numbers/available", **params).status_code == 400
