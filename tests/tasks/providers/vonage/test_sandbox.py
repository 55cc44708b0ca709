from __future__ import annotations

from typing import Any

import httpx
import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BASIC, NUMBER, OTHER, Shopper

BUY = "/vonage/number/buy"
NUMBERS = "/vonage/account/numbers"
SALE = "/vonage/number/search"


def test_success_names_no_number(sandbox: SandboxServer, shopper: Shopper) -> None:
    answer = shopper.buy("vonage", NUMBER)
    assert (answer.status_code, answer.json()) == (200, {"error-code": "200", "error-code-label": "success"})
    assert sandbox.control.charges()[0]["provider_number_id"] == NUMBER[1:]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"data": {"msisdn": NUMBER[1:]}}, 400),
        ({"data": {"country": "XX", "msisdn": NUMBER[1:]}}, 400),
        ({"data": {"country": "US", "msisdn": NUMBER}}, 400),
        ({"data": {"country": "US", "msisdn": NUMBER[1:], "number": "1"}}, 400),
        ({"json": {"country": "US", "msisdn": NUMBER[1:]}}, 400),
        ({"data": {"country": "CA", "msisdn": NUMBER[1:]}}, 404),
    ],
)
def test_an_order_is_a_form_whose_country_is_the_number_s(
    sandbox: SandboxServer, shopper: Shopper, options: Any, status: int
) -> None:
    assert shopper.client.post(BUY, auth=BASIC, **options).status_code == status
    assert sandbox.control.charges() == []


def test_what_is_missing_is_told_by_its_field(shopper: Shopper) -> None:
    answer = shopper.client.post(BUY, auth=BASIC, data={"msisdn": NUMBER[1:]})
    assert answer.json() == {"country": "Is required."}


@pytest.mark.parametrize(("reason", "words"), [("refused", "method failed"), ("compliance", "valid local address")])
def test_420_is_the_catch_all(sandbox: SandboxServer, shopper: Shopper, reason: str, words: str) -> None:
    sandbox.control.plan("vonage", "refuse", reason=reason)
    answer = shopper.buy("vonage", NUMBER)
    assert (answer.status_code, answer.json()["error-code"]) == (420, "420")
    assert words in answer.json()["error-code-label"]
    assert sandbox.control.charges() == []


def test_what_is_owned_is_refused_as_all_else(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.own("vonage", [NUMBER])
    sandbox.control.refuse_owned()
    sandbox.control.stock("vonage", [NUMBER])
    owned, missing = shopper.buy("vonage", NUMBER), shopper.buy("vonage", OTHER)
    assert (owned.status_code, owned.json()) == (missing.status_code, missing.json())


@pytest.mark.parametrize(("reason", "status"), [("credentials", 401), ("balance", 401), ("quota", 420)])
def test_an_account_without_means(sandbox: SandboxServer, shopper: Shopper, reason: str, status: int) -> None:
    sandbox.control.plan("vonage", "account", reason=reason)
    assert shopper.buy("vonage", NUMBER).status_code == status


@pytest.mark.parametrize(("user", "token"), [("project", "wrong"), ("", "sandbox"), ("", "")])
def test_the_secret_belongs_to_a_key(shopper: Shopper, user: str, token: str) -> None:
    assert shopper.client.get(NUMBERS, auth=httpx.BasicAuth(user, token)).status_code == 401


def test_numbers_are_those_of_the_key(sandbox: SandboxServer, shopper: Shopper) -> None:
    shopper.buy("vonage", NUMBER)
    other = shopper.client.get(NUMBERS, auth=httpx.BasicAuth("another", "sandbox"))
    assert other.json() == {}
    assert shopper.get(NUMBERS).json()["count"] == 1


def test_pages_of_a_hundred_by_index(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+1415555{n:04d}" for n in range(205)]
    sandbox.control.own("vonage", numbers)
    pages = [shopper.get(NUMBERS, size=100, index=index).json() for index in (1, 2, 3)]
    assert [page["count"] for page in pages] == [205] * 3
    assert [one["msisdn"] for page in pages for one in page["numbers"]] == [number[1:] for number in numbers]
    assert len(shopper.get(NUMBERS).json()["numbers"]) == 10
    assert shopper.get(NUMBERS, size=101).status_code == shopper.get(NUMBERS, index=0).status_code == 400


@pytest.mark.parametrize(("how", "pattern", "found"), [("0", "14155550", 2), ("1", "5550100", 1), ("2", "0101", 1)])
def test_patterns(sandbox: SandboxServer, shopper: Shopper, how: str, pattern: str, found: int) -> None:
    sandbox.control.own("vonage", [NUMBER, OTHER])
    assert shopper.get(NUMBERS, pattern=pattern, search_pattern=how).json()["count"] == found
    assert shopper.get(NUMBERS, pattern="999", search_pattern=how).json() == {}
    assert shopper.get(NUMBERS, pattern=pattern, search_pattern="3").status_code == 400


def test_searches_and_tells_the_balance(sandbox: SandboxServer, shopper: Shopper) -> None:
    found = shopper.get(SALE, country="US", pattern="1628", search_pattern="0", size=3).json()["numbers"]
    assert len(found) == 3
    assert all(item["msisdn"].startswith("1628") for item in found)
    assert found[0]["cost"] == "0.90"
    assert shopper.get(SALE).status_code == shopper.get(SALE, country="XX").status_code == 400
    sandbox.control.stock("vonage", [])
    assert shopper.get(SALE, country="US").json() == {}
    assert shopper.get("/vonage/account/get-balance").json() == {"value": 100.5, "autoReload": False}


def test_cancels_what_is_owned_in_its_country(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.own("vonage", [NUMBER, OTHER])

    def cancel(**form: str) -> httpx.Response:
        return shopper.client.post("/vonage/number/cancel", data=form, auth=httpx.BasicAuth("sandbox1", "sandbox"))

    assert cancel(country="CA", msisdn=NUMBER[1:]).status_code == 404
    assert cancel(msisdn=NUMBER[1:]).status_code == 400
    assert sandbox.control.owned("vonage") == [NUMBER, OTHER]
    done = cancel(country="US", msisdn=NUMBER[1:])
    assert (done.status_code, done.json()) == (200, {"error-code": "200", "error-code-label": "success"})
    assert cancel(country="US", msisdn=NUMBER[1:]).status_code == 420
    assert sandbox.control.owned("vonage") == [OTHER]
