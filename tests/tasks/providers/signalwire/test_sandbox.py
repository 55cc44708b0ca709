from __future__ import annotations

from typing import Any

import httpx
import pytest

from tasks.sandbox import SandboxServer
from tests.tasks.providers.shopper import BASIC, NUMBER, Shopper

PATH = "/signalwire/api/relay/rest/phone_numbers"
# The `required` list of PhoneNumberResponse on the page 'Purchase phone number'.
REQUIRED = {
    "id",
    "number",
    "name",
    "capabilities",
    "number_type",
    "e911_address_id",
    "created_at",
    "updated_at",
    "next_billed_at",
    "call_handler",
    "calling_handler_resource_id",
    "call_receive_mode",
    "call_request_url",
    "call_request_method",
    "call_fallback_url",
    "call_fallback_method",
    "call_status_callback_url",
    "call_status_callback_method",
    "call_laml_application_id",
    "call_dialogflow_agent_id",
    "call_relay_topic",
    "call_relay_topic_status_callback_url",
    "call_relay_script_url",
    "call_relay_context",
    "call_relay_context_status_callback_url",
    "call_relay_application",
    "call_relay_connector_id",
    "call_sip_endpoint_id",
    "call_verto_resource",
    "call_video_room_id",
    "message_handler",
    "messaging_handler_resource_id",
    "message_request_url",
    "message_request_method",
    "message_fallback_url",
    "message_fallback_method",
    "message_laml_application_id",
    "message_relay_topic",
    "message_relay_context",
    "country_code",
}


def test_success_has_every_required_field(shopper: Shopper) -> None:
    answer = shopper.buy("signalwire", NUMBER)
    assert answer.status_code == 200
    assert answer.json().keys() == REQUIRED
    assert (answer.json()["number"], answer.json()["number_type"]) == (NUMBER, "longcode")
    assert answer.json()["country_code"] == "US"
    assert shopper.buy("signalwire", "+18005550100").json()["number_type"] == "toll-free"


@pytest.mark.parametrize("body", [{}, {"number": NUMBER[1:]}, {"number": 1}, {"number": NUMBER, "name": "x"}, [NUMBER]])
def test_a_body_that_does_not_validate_is_a_422(sandbox: SandboxServer, shopper: Shopper, body: Any) -> None:
    answer = shopper.client.post(PATH, auth=BASIC, json=body)
    assert answer.status_code == 422
    for error in answer.json()["errors"]:
        assert error.keys() == {"detail", "status", "title", "code"}
        assert error["status"] == "422"
    assert sandbox.control.charges() == []


def test_a_body_that_is_no_json_is_a_400(shopper: Shopper) -> None:
    answer = shopper.client.post(PATH, auth=BASIC, headers={"Content-Type": "application/json"}, content=b"number")
    assert (answer.status_code, answer.json()) == (400, {"error": "Bad Request"})


def test_a_number_that_cannot_be_had_gives_no_reason(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.stock("signalwire", [])
    answer = shopper.buy("signalwire", NUMBER)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"detail": None, "status": "422", "title": "Invalid Attribute", "code": "422"}]


@pytest.mark.parametrize(("project", "token"), [("project", "wrong"), ("", "sandbox"), ("", "")])
def test_checks_project_and_token(shopper: Shopper, project: str, token: str) -> None:
    answer = shopper.client.post(PATH, auth=(project, token), json={"number": NUMBER})
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize("value", ["Bearer sandbox", "Basic !", "Basic"])
def test_wants_basic_credentials(shopper: Shopper, value: str) -> None:
    answer = shopper.client.post(PATH, headers={"Authorization": value}, json={"number": NUMBER})
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})


def test_projects_do_not_see_each_other(sandbox: SandboxServer, shopper: Shopper) -> None:
    bought = shopper.buy("signalwire", NUMBER).json()
    other = httpx.BasicAuth("other", "sandbox")
    assert shopper.client.get(PATH, auth=other).json()["data"] == []
    assert shopper.client.get(f"{PATH}/{bought['id']}", auth=other).status_code == 404
    assert shopper.client.get(f"{PATH}/{bought['id']}", auth=BASIC).json() == bought
    assert sandbox.control.charges()[0]["account"] == "project"


def test_pages_follow_links_and_do_not_shift(sandbox: SandboxServer, shopper: Shopper) -> None:
    numbers = [f"+141555501{n:02d}" for n in range(7)]
    sandbox.control.own("signalwire", numbers)
    page = shopper.get(PATH, page_size=3).json()
    seen = [item["number"] for item in page["data"]]
    shopper.buy("signalwire", "+14155550199")
    while "next" in page["links"]:
        page = shopper.client.get(f"/signalwire{page['links']['next']}", auth=BASIC).json()
        seen += [item["number"] for item in page["data"]]
    assert seen == numbers[::-1]


def test_a_later_page_needs_its_token(shopper: Shopper) -> None:
    answer = shopper.get(PATH, page_number=1)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "page_token_required"


def test_filters_by_a_part_of_the_number(sandbox: SandboxServer, shopper: Shopper) -> None:
    sandbox.control.own("signalwire", ["+14155550100", "+12125550100", "+14155550101"])
    found = shopper.get(PATH, filter_number="5550100").json()["data"]
    assert [item["number"] for item in found] == ["+12125550100", "+14155550100"]
    assert shopper.get(PATH, filter_nubmer="5550100").status_code == 422


def test_searches(shopper: Shopper) -> None:
    def search(**params: Any) -> list[str]:
        return [item["number"] for item in shopper.get(f"{PATH}/search", **params).json()["data"]]

    assert len(search()) == 50
    assert all(number.startswith("+1628") for number in search(areacode="628", max_results=3))
    assert search(starts_with="4155550", max_results=1)[0].startswith("+14155550")
    assert all(number.endswith("777") for number in search(ends_with="777", max_results=2))
    assert search(number_type="toll-free", max_results=1)[0].startswith("+1800")
    assert shopper.get(f"{PATH}/search", max_results=101).status_code == 422
    assert shopper.get(f"{PATH}/search", starts_with="415", ends_with="777").status_code == 422
