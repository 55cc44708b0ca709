from __future__ import annotations

import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BEARER, NUMBER, OTHER, Shopper

PATH = "/timepay/api/v1/numbers/buyNumbers"
REQUIRED = {"success": False, "message": "Phone Numbers are required!"}


def test_answers_the_page_example(shopper: Shopper) -> None:
    answer = shopper.client.post(PATH, headers=BEARER, json=[{"number": "919876543210", "provider": "plivo"}])
    assert answer.status_code == 200
    assert answer.json() == {"success": True, "data": [{"number": "919876543210", "success": True, "error": None}]}


def test_an_item_fails_alone(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.stock("timepay", [NUMBER])
    answer = shopper.buy("timepay", NUMBER, OTHER)
    assert answer.status_code == 200
    assert [item["success"] for item in answer.json()["data"]] == [True, False]
    assert answer.json()["data"][1]["error"]
    assert [charge["number"] for charge in sandbox.control.charges()] == [NUMBER]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"numbers": []},
        [{"number": "919876543210"}],
        [{"provider": "plivo"}],
        [{"number": "+919876543210", "provider": "plivo"}],
        [{"number": 919876543210, "provider": "plivo"}],
        [{"number": "919876543210", "provider": ""}],
        [{"number": "919876543210", "provider": "plivo", "country": "IN"}],
        ["919876543210"],
    ],
)
def test_refuses_every_other_body(sandbox: SandboxServer, shopper: Shopper, body: object) -> None:
    answer = shopper.client.post(PATH, headers=BEARER, json=body)
    assert (answer.status_code, answer.json()) == (400, REQUIRED)
    assert sandbox.control.charges() == []


def test_refuses_a_body_that_is_not_declared_as_json(shopper: Shopper) -> None:
    answer = shopper.client.post(PATH, headers=BEARER, content=b'[{"number": "919876543210", "provider": "plivo"}]')
    assert answer.status_code == 400


@pytest.mark.parametrize("headers", [{}, {"Authorization": "sandbox"}, {"Authorization": "Bearer wrong"}])
def test_checks_the_token(shopper: Shopper, headers: dict[str, str]) -> None:
    answer = shopper.client.post(PATH, headers=headers, json=[{"number": "919876543210", "provider": "plivo"}])
    message = "Missing or invalid authorization header"
    assert answer.status_code == 401
    assert answer.json() == {"success": False, "error": "Unauthorized", "message": message}


def test_charges_the_organisation_of_the_header(sandbox: SandboxServer, shopper: Shopper) -> None:
    headers = {**BEARER, "x-org-id": "org-7"}
    shopper.client.post(PATH, headers=headers, json=[{"number": "919876543210", "provider": "plivo"}])
    (charge,) = sandbox.control.charges("timepay")
    assert (charge["account"], charge["number"], charge["provider_number_id"]) == ("org-7", "+919876543210", None)
