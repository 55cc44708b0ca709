from __future__ import annotations

import socket
from typing import Any

import pytest

from schemas.outcomes import OutcomeKind
from tasks.providers.adapter import Ask, SearchQuery, Unsupported
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, TOKEN, adapter, buy

# The examples of the page 'Buy Numbers'.
INDIAN = "+919876543210"
PAGE_200 = {"success": True, "data": [{"number": "919876543210", "success": True, "error": None}]}
PAGE_400 = {"success": False, "message": "Phone Numbers are required!"}
PAGE_401 = {"success": False, "error": "Unauthorized", "message": "Missing or invalid authorization header"}
PAGE_500 = {"success": False, "message": "Unexpected error at server. Please try again!"}


def item(success: Any, error: Any = None, number: Any = "14155550100") -> dict[str, Any]:
    return {"number": number, "success": success, "error": error}


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    server.queue(reply(200, PAGE_200))
    assert buy(adapter("timepay", server.url), "timepay", INDIAN).kind is OutcomeKind.PURCHASED
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/api/v1/numbers/buyNumbers", {})
    assert seen.body == b'[{"number":"919876543210","provider":"plivo"}]'
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept"] == "application/json"
    assert "x-org-id" not in seen.headers


def test_an_organization_is_named_in_its_header(server: ScriptedServer) -> None:
    server.queue(reply(200, PAGE_200))
    buy(adapter("timepay", server.url, org_id="org-7"), "timepay", INDIAN)
    assert server.seen[0].headers["x-org-id"] == "org-7"


def test_a_base_url_with_a_path_is_kept(server: ScriptedServer) -> None:
    server.queue(reply(200, PAGE_200))
    buy(adapter("timepay", f"{server.url}/gateway/timepay"), "timepay", INDIAN)
    assert server.seen[0].path == "/gateway/timepay/api/v1/numbers/buyNumbers"


@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        (400, PAGE_400, OutcomeKind.REFUSED, "TimePay refused the request (HTTP 400): Phone Numbers are required!"),
        (
            401,
            PAGE_401,
            OutcomeKind.ACCOUNT,
            "TimePay refused the account (HTTP 401): Unauthorized: Missing or invalid authorization header",
        ),
        (
            500,
            PAGE_500,
            OutcomeKind.UNKNOWN,
            "TimePay gave an answer that settles nothing (HTTP 500): Unexpected error at server. Please try again!",
        ),
    ],
)
def test_the_page_s_errors(server: ScriptedServer, status: int, body: Any, kind: OutcomeKind, error: str) -> None:
    server.queue(reply(status, body))
    outcome = buy(adapter("timepay", server.url), "timepay")
    assert (outcome.kind, outcome.error, outcome.error_code) == (kind, error, f"http_{status}")


@pytest.mark.parametrize(
    ("items", "kind", "code"),
    [
        ([item(True)], OutcomeKind.PURCHASED, None),
        ([item(True, "")], OutcomeKind.PURCHASED, None),
        ([item(True, number="+14155550100")], OutcomeKind.PURCHASED, None),
        ([item(True, number=14155550100)], OutcomeKind.PURCHASED, None),
        ([item(False, "Number is not available")], OutcomeKind.REFUSED, "item_refused"),
        ([item(False)], OutcomeKind.REFUSED, "item_refused"),
        ([item(False, "Insufficient balance")], OutcomeKind.ACCOUNT, "account_refused"),
        ([item(True, "Insufficient balance")], OutcomeKind.UNKNOWN, "item_unclear"),
        ([item("true")], OutcomeKind.UNKNOWN, "item_unclear"),
        ([item(None)], OutcomeKind.UNKNOWN, "item_unclear"),
        ([item(1)], OutcomeKind.UNKNOWN, "item_unclear"),
        ([item(True, number="14155550101")], OutcomeKind.UNKNOWN, "item_missing"),
        ([item(True), item(False, "no")], OutcomeKind.UNKNOWN, "item_repeated"),
        ([], OutcomeKind.UNKNOWN, "item_missing"),
        ([None, 5, "14155550100"], OutcomeKind.UNKNOWN, "item_missing"),
    ],
)
@pytest.mark.parametrize("whole", [True, False, None])
def test_each_item_speaks_for_its_number_whatever_the_whole_says(
    server: ScriptedServer, items: Any, kind: OutcomeKind, code: str | None, whole: Any
) -> None:
    server.queue(reply(200, {"success": whole, "data": items}))
    outcome = buy(adapter("timepay", server.url), "timepay")
    assert (outcome.kind, outcome.error_code, outcome.http_status) == (kind, code, 200)


def test_a_failure_without_items_is_unknown(server: ScriptedServer) -> None:
    server.queue(reply(200, {"success": False, "message": "Insufficient balance"}))
    assert buy(adapter("timepay", server.url), "timepay").kind is OutcomeKind.UNKNOWN


NUMBERS = ["+14155550100", "+14155550101", "+14155550102", "+14155550103"]


def test_the_items_of_a_batch_are_mapped_back(server: ScriptedServer) -> None:
    items = [
        item(False, "no", "14155550101"),
        item(True, None, "14155550100"),
        item(False, "quota exceeded", NUMBERS[3]),
    ]
    server.queue(reply(207, {"success": True, "data": items}))
    outcomes = adapter("timepay", server.url).buy([Ask(number=number) for number in NUMBERS])
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.PURCHASED,
        OutcomeKind.REFUSED,
        OutcomeKind.UNKNOWN,
        OutcomeKind.ACCOUNT,
    ]
    assert [entry["number"] for entry in server.seen[0].json] == [number[1:] for number in NUMBERS]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, OutcomeKind.UNKNOWN, "batch_refused"),
        (402, OutcomeKind.UNKNOWN, "batch_refused"),
        (409, OutcomeKind.UNKNOWN, "batch_refused"),
        (401, OutcomeKind.ACCOUNT, "http_401"),
        (429, OutcomeKind.UNKNOWN, "batch_refused"),
        (500, OutcomeKind.UNKNOWN, "http_500"),
    ],
)
def test_a_batch_that_is_answered_as_a_whole_is_in_doubt(
    server: ScriptedServer, status: int, kind: OutcomeKind, code: str
) -> None:
    server.queue(reply(status, {"message": "bad item"}))
    outcomes = adapter("timepay", server.url).buy([Ask(number=number) for number in NUMBERS])
    assert {(outcome.kind, outcome.error_code, outcome.http_status) for outcome in outcomes} == {(kind, code, status)}
    assert len(outcomes) == len(NUMBERS)


def test_what_timepay_does_not_document_says_what_to_do_instead() -> None:
    provider = adapter("timepay", "http://127.0.0.1:9")
    for call in (
        lambda: provider.look({NUMBER: None}),
        lambda: provider.search(SearchQuery()),
        provider.owned,
    ):
        with pytest.raises(Unsupported, match="dashboard"):
            call()


def test_the_check_opens_a_socket_and_sends_nothing(server: ScriptedServer) -> None:
    connection, token = adapter("timepay", server.url).check()
    assert (connection.name, connection.ok) == ("connection", True)
    assert (token.name, token.ok) == ("token", None)
    assert "without buying" in token.message
    assert server.seen == []


def test_the_check_tells_of_a_base_url_that_cannot_be_reached() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        (connection, _) = adapter("timepay", f"http://127.0.0.1:{held.getsockname()[1]}").check()
    assert connection.ok is False
    assert "check base_url" in connection.message


def test_the_check_tells_of_a_failed_tls_handshake(server: ScriptedServer) -> None:
    url = server.url.replace("http://", "https://")
    (connection, _) = adapter("timepay", url, policy={"connect_timeout": 0.3}).check()
    assert connection.ok is False
