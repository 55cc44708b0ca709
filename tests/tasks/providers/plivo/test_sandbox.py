from __future__ import annotations

from typing import Any

import httpx
import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BASIC, NUMBER, OTHER, PLIVO, Shopper

NUMBERS = f"/plivo{PLIVO}Number/"
SALE = f"/plivo{PLIVO}PhoneNumber/"


def test_success_names_the_number_and_its_own_status(sandbox: SandboxServer, shopper: Shopper) -> None:
    answer = shopper.buy("plivo", NUMBER)
    assert answer.status_code == 201
    assert answer.json()["numbers"] == [{"number": NUMBER[1:], "status": "Success"}]
    assert answer.json()["status"] == "fulfilled"
    assert sandbox.control.charges()[0]["provider_number_id"] == NUMBER[1:]


def test_pending_stands_beside_fulfilled_where_papers_are_missing(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.plan("plivo", "refuse", reason="compliance")
    answer = shopper.buy("plivo", NUMBER)
    assert (answer.status_code, answer.json()["status"]) == (201, "fulfilled")
    assert answer.json()["numbers"] == [{"number": NUMBER[1:], "status": "pending"}]
    assert sandbox.control.charges() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{SALE}{NUMBER[1:]}/", 201),
        (f"{SALE}{NUMBER[1:]}", 404),
        (f"{SALE}{NUMBER}/", 404),
        (f"{SALE}x/", 404),
    ],
)
def test_a_path_ends_with_a_slash_and_names_digits(shopper: Shopper, path: str, status: int) -> None:
    assert shopper.client.post(path, auth=BASIC).status_code == status


@pytest.mark.parametrize("body", [{"app": "1"}, {"app_id": 1}, [], {"compliance_application_id": ""}])
def test_a_body_that_does_not_validate_is_a_400(sandbox: SandboxServer, shopper: Shopper, body: Any) -> None:
    answer = shopper.client.post(f"{SALE}{NUMBER[1:]}/", auth=BASIC, json=body)
    assert answer.status_code == 400
    assert answer.json().keys() == {"api_id", "error"}
    assert sandbox.control.charges() == []


def test_what_cannot_be_had_and_what_is_owned_look_alike(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.own("plivo", [NUMBER])
    sandbox.control.refuse_owned()
    owned = shopper.buy("plivo", NUMBER)
    sandbox.control.stock("plivo", [])
    missing = shopper.buy("plivo", OTHER)
    assert (owned.status_code, owned.json()) == (missing.status_code, missing.json())
    assert (owned.status_code, owned.json()["error"]) == (404, "not found")


@pytest.mark.parametrize(("user", "token"), [("project", "wrong"), ("other", "sandbox"), ("", "")])
def test_the_user_is_the_auth_id_of_the_path(shopper: Shopper, user: str, token: str) -> None:
    auth = httpx.BasicAuth(user, token)
    assert shopper.client.post(f"{SALE}{NUMBER[1:]}/", auth=auth).status_code == 401


def test_pages_of_twenty_by_offset(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+141555501{n:02d}" for n in range(45)]
    sandbox.control.own("plivo", numbers)
    page = shopper.get(NUMBERS).json()
    assert (page["meta"]["total_count"], page["meta"]["previous"]) == (45, None)
    seen = [record["number"] for record in page["objects"]]
    while page["meta"]["next"]:
        page = shopper.client.get(f"/plivo{page['meta']['next']}", auth=BASIC).json()
        seen += [record["number"] for record in page["objects"]]
    assert seen == [number[1:] for number in numbers]
    assert shopper.get(NUMBERS, limit=21).status_code == 400
    assert [one["number"] for one in shopper.get(NUMBERS, number_startswith="1415550107").json()["objects"]] == []
    assert len(shopper.get(NUMBERS, number_startswith=NUMBER[1:]).json()["objects"]) == 1


def test_one_number_by_itself(shopper: Shopper) -> None:
    shopper.buy("plivo", NUMBER)
    record = shopper.get(f"{NUMBERS}{NUMBER[1:]}/").json()
    assert (record["number"], record["active"], record["country"]) == (NUMBER[1:], True, "US")
    assert shopper.get(f"{NUMBERS}{OTHER[1:]}/").status_code == 404


def test_searches_and_tells_the_credit(sandbox: SandboxServer, shopper: Shopper) -> None:
    found = shopper.get(SALE, country_iso="US", pattern="628", limit=3).json()["objects"]
    assert all(item["number"].startswith("1628") for item in found)
    assert found[0]["monthly_rental_rate"] == "0.80000"
    assert shopper.get(SALE).status_code == shopper.get(SALE, country_iso="XX").status_code == 400
    assert shopper.get(SALE, country_iso="US", limit=21).status_code == 400
    sandbox.control.stock("plivo", [])
    assert shopper.get(SALE, country_iso="US").status_code == 404
    assert shopper.get(f"/plivo{PLIVO}").json()["cash_credits"] == "100.00000"
