from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import ACCOUNT_SID, NUMBER, OTHER, TWILIO, TWILIO_AUTH, Shopper

PATH = f"/twilio{TWILIO}/IncomingPhoneNumbers.json"


def test_success_is_a_201_with_the_record(sandbox: SandboxServer, shopper: Shopper) -> None:
    answer = shopper.buy("twilio", NUMBER)
    assert answer.status_code == 201
    record = answer.json()
    assert (record["phone_number"], record["account_sid"], record["status"]) == (NUMBER, ACCOUNT_SID, "in-use")
    assert record["sid"] == sandbox.control.charges()[0]["provider_number_id"]
    assert (record["sid"][:2], len(record["sid"])) == ("PN", 34)
    assert abs((datetime.now(UTC) - parsedate_to_datetime(record["date_created"])).total_seconds()) < 60
    assert "Date" in answer.headers
    assert shopper.get(f"/twilio{TWILIO}/IncomingPhoneNumbers/{record['sid']}.json").json() == record


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 20001),
        ({"PhoneNumber": NUMBER[1:]}, 21421),
        ({"PhoneNumber": "x"}, 21421),
        ({"AreaCode": "415"}, 21421),
        ({"PhoneNumber": NUMBER, "AreaCode": "415"}, 20001),
        ({"PhoneNumber": NUMBER, "FriendlyName": "x" * 65}, 20001),
        ({"PhoneNumber": NUMBER, "BundleSid": f"AD{1:032x}"}, 20001),
        ({"PhoneNumber": [NUMBER, OTHER]}, 20001),
    ],
)
def test_a_form_that_does_not_validate_is_a_400(sandbox: SandboxServer, shopper: Shopper, form: Any, code: int) -> None:
    answer = shopper.client.post(PATH, auth=TWILIO_AUTH, data=form)
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (400, code, 400)
    assert sandbox.control.charges() == []


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"PhoneNumber": "+14155550100"}', "application/json"),
        (b"PhoneNumber=%2B14155550100", "text/plain"),
        (b"PhoneNumber", "application/x-www-form-urlencoded"),
        (b"PhoneNumber=\xff", "application/x-www-form-urlencoded"),
    ],
)
def test_only_a_form_is_read(sandbox: SandboxServer, shopper: Shopper, content: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    answer = shopper.client.post(PATH, auth=TWILIO_AUTH, content=content, headers=headers)
    assert answer.status_code == 400
    assert sandbox.control.charges() == []


@pytest.mark.parametrize(
    ("user", "token", "status"),
    [
        (ACCOUNT_SID, "sandbox", 201),
        (f"SK{1:032x}", "sandbox", 201),
        (f"AC{8:032x}", "sandbox", 401),
        (ACCOUNT_SID, "wrong", 401),
        ("", "", 401),
    ],
)
def test_the_user_is_the_account_of_the_path_or_an_api_key(
    shopper: Shopper, user: str, token: str, status: int
) -> None:
    answer = shopper.client.post(PATH, auth=httpx.BasicAuth(user, token), data={"PhoneNumber": NUMBER})
    assert answer.status_code == status
    assert status == 201 or answer.json()["code"] == 20003


@pytest.mark.parametrize(
    ("fault", "params", "status", "code"),
    [
        ("refuse", {}, 400, 21422),
        ("refuse", {"reason": "compliance"}, 400, 21649),
        ("account", {"reason": "credentials"}, 401, 20003),
        ("account", {"reason": "balance"}, 403, 20005),
        ("account", {"reason": "quota"}, 400, 22300),
        ("throttle", {}, 429, 20429),
        ("error_before", {}, 500, 20500),
    ],
)
def test_errors_have_their_codes(
    sandbox: SandboxServer, shopper: Shopper, fault: str, params: dict[str, str], status: int, code: int
) -> None:
    sandbox.control.plan("twilio", fault, **params)
    answer = shopper.buy("twilio", NUMBER)
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message", "more_info", "status"}
    assert (answer.json()["code"], answer.json()["status"]) == (code, status)
    assert sandbox.control.charges() == []


def test_a_number_that_is_owned_already_answers_201_with_the_record_that_stands(
    sandbox: SandboxServer, shopper: Shopper
) -> None:
    first = shopper.buy("twilio", NUMBER).json()
    sandbox.control.refuse_owned()
    again = shopper.buy("twilio", NUMBER)
    assert (again.status_code, again.json()) == (201, first)
    assert len(sandbox.control.charges()) == 1


def test_accounts_do_not_see_each_other(shopper: Shopper) -> None:
    bought = shopper.buy("twilio", NUMBER).json()
    other = f"AC{9:032x}"
    path = f"/twilio/2010-04-01/Accounts/{other}/IncomingPhoneNumbers"
    auth = httpx.BasicAuth(other, "sandbox")
    assert shopper.client.get(f"{path}.json", auth=auth).json()["incoming_phone_numbers"] == []
    answer = shopper.client.get(f"{path}/{bought['sid']}.json", auth=auth)
    assert (answer.status_code, answer.json()["code"]) == (404, 20404)


def test_pages_follow_links(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+141555501{n:02d}" for n in range(7)]
    sandbox.control.own("twilio", numbers)
    page = shopper.get(PATH, PageSize=3).json()
    seen = [record["phone_number"] for record in page["incoming_phone_numbers"]]
    assert (page["page"], page["page_size"], page["start"], page["end"]) == (0, 3, 0, 2)
    while page["next_page_uri"]:
        page = shopper.client.get(f"/twilio{page['next_page_uri']}", auth=TWILIO_AUTH).json()
        seen += [record["phone_number"] for record in page["incoming_phone_numbers"]]
    assert seen == numbers
    assert shopper.get(PATH, Page=1).status_code == shopper.get(PATH, PageSize=1001).status_code == 400


def test_filters_by_number_and_name(sandbox: SandboxServer, shopper: Shopper) -> None:
    shopper.client.post(PATH, auth=TWILIO_AUTH, data={"PhoneNumber": NUMBER, "FriendlyName": "mine"})
    shopper.buy("twilio", OTHER)

    def found(**params: Any) -> list[str]:
        return [record["phone_number"] for record in shopper.get(PATH, **params).json()["incoming_phone_numbers"]]

    assert found(PhoneNumber=NUMBER) == found(FriendlyName="mine") == [NUMBER]
    assert found(PhoneNumber="555010*") == found(PhoneNumber="+1415") == [NUMBER, OTHER]
    assert found(FriendlyName="min") == found(PhoneNumber="+1416") == []
    assert shopper.get(PATH, PhoneNubmer="x").status_code == 400


def test_searches_and_tells_the_balance(shopper: Shopper) -> None:
    path = f"/twilio{TWILIO}/AvailablePhoneNumbers/US/Local.json"

    def search(**params: Any) -> list[str]:
        return [item["phone_number"] for item in shopper.get(path, **params).json()["available_phone_numbers"]]

    assert len(search()) == 50
    assert all(number.startswith("+1628") for number in search(AreaCode="628", PageSize=3))
    assert all("777" in number for number in search(Contains="777", PageSize=3))
    assert shopper.get(path, Contains="7").status_code == shopper.get(path, PageSize=1001).status_code == 400
    assert shopper.get(path.replace("Local", "Nowhere")).status_code == 404
    balance = shopper.get(f"/twilio{TWILIO}/Balance.json").json()
    assert balance == {"account_sid": ACCOUNT_SID, "balance": "100.00", "currency": "USD"}
