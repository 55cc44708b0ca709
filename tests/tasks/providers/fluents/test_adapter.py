from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.outcomes import LookKind, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, ProviderError, SearchQuery
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, TOKEN, adapter, buy, success

CONNECTION = "550e8400-e29b-41d4-a716-446655440000"
RECORD = success("fluents")[1]
# The example values of the page 'Buy number'.
PAGE_201 = {
    **{"id": CONNECTION, "user_id": CONNECTION, "number": "+1234567890", "active": True, "label": "My Phone Number"},
    **{"inbound_agent_name": "Agent Name", "outbound_only": False, "example_context": {}, "inbound_agent": "agent_123"},
    **{"telephony_provider": {"name": "twilio"}, "description": "Business line for customer service"},
    "telephony_account_connection": CONNECTION,
}


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    server.queue(reply(201, PAGE_201))
    outcome = buy(adapter("fluents", server.url), "fluents", "+1234567890")
    assert (outcome.kind, outcome.provider_number_id) == (OutcomeKind.PURCHASED, CONNECTION)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/v1/numbers/buy", {})
    assert seen.json == {
        "phone_number": "+1234567890",
        "telephony_provider": "twilio",
        "telephony_account_connection": CONNECTION,
    }
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"


def test_an_agent_goes_along(server: ScriptedServer) -> None:
    server.queue(reply(201, RECORD))
    adapter("fluents", server.url).buy([Ask(number=NUMBER, options={"inbound_agent": "Agent Name"})])
    assert server.seen[0].json["inbound_agent"] == "Agent Name"


@pytest.mark.parametrize("status", [400, 404])
def test_the_page_s_errors(server: ScriptedServer, status: int) -> None:
    server.queue(reply(status, {"message": "no such number", "error": "Bad Request", "statusCode": status}))
    outcome = buy(adapter("fluents", server.url), "fluents")
    assert outcome.kind is OutcomeKind.REFUSED
    assert outcome.error == f"Fluents refused the request (HTTP {status}): Bad Request: no such number"


@pytest.mark.parametrize("body", [{**RECORD, "id": None}, {"number": NUMBER}, {**RECORD, "id": [ID]}])
def test_a_record_without_an_id_is_no_record(server: ScriptedServer, body: Any) -> None:
    server.queue(reply(201, body))
    assert buy(adapter("fluents", server.url), "fluents").kind is OutcomeKind.UNKNOWN


LISTED = {"items": [{"id": ID, "number": OTHER}], "size": 100, "has_more": False, "total": 1}
NOT_FOUND = [
    (404, {"message": "Number not found", "error": "Not Found", "statusCode": 404}),
    (404, {"message": "Cannot GET /v1/numbers", "error": "Not Found", "statusCode": 404}),
    (404, {"message": "no route"}),
    (404, {}),
    (404, b"<html>no such route</html>"),
    (200, []),
    (200, {"items": [], "has_more": False}),
]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, RECORD, LookKind.OWNED),
        (200, [RECORD], LookKind.OWNED),
        (200, {"items": [{"number": OTHER}, RECORD], "has_more": False}, LookKind.OWNED),
        (200, {**RECORD, "number": OTHER}, LookKind.UNCLEAR),
        (200, {"error": "no such number", "number": NUMBER}, LookKind.UNCLEAR),
        (200, [{"number": OTHER}], LookKind.UNCLEAR),
        (200, {"items": [{"number": OTHER}], "has_more": True}, LookKind.UNCLEAR),
        (200, {"items": 5}, LookKind.UNCLEAR),
        (200, {}, LookKind.UNCLEAR),
        (200, None, LookKind.UNCLEAR),
        (200, b"<html>", LookKind.UNCLEAR),
        (400, {"message": "m"}, LookKind.UNCLEAR),
        (500, {"message": "m"}, LookKind.UNCLEAR),
        (302, RECORD, LookKind.UNCLEAR),
    ],
)
def test_look(server: ScriptedServer, status: int, body: Any, kind: LookKind) -> None:
    server.queue(reply(status, body))
    look = adapter("fluents", server.url).look({NUMBER: None})[NUMBER]
    assert look.kind is kind
    assert look.provider_number_id == (ID if kind is LookKind.OWNED else None)
    assert bool(look.error) is (kind is LookKind.UNCLEAR)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("GET", "/v1/numbers", {"phone_number": [NUMBER]})


@pytest.mark.parametrize(("status", "body"), NOT_FOUND)
def test_what_a_get_does_not_show_the_list_decides(server: ScriptedServer, status: int, body: Any) -> None:
    provider = adapter("fluents", server.url)
    for listed, kind in [
        (reply(200, LISTED), LookKind.ABSENT),
        (reply(200, {**LISTED, "items": [RECORD]}), LookKind.OWNED),
        (reply(404, body), LookKind.UNCLEAR),
    ]:
        server.queue(reply(status, body), listed)
        assert provider.look({NUMBER: None})[NUMBER].kind is kind
    assert [seen.path for seen in server.seen] == ["/v1/numbers", "/v1/numbers/list"] * 3


@pytest.mark.parametrize(("key", "found"), [("example_context", LookKind.ABSENT), ("label", LookKind.UNCLEAR)])
def test_an_example_of_a_call_may_name_our_number(server: ScriptedServer, key: str, found: LookKind) -> None:
    entry = {"id": ID, "number": OTHER, key: {"caller": NUMBER}}
    server.queue(reply(404), reply(200, {**LISTED, "items": [entry]}))
    assert adapter("fluents", server.url).look({NUMBER: None})[NUMBER].kind is found


def test_one_walk_serves_all_that_a_get_does_not_show(server: ScriptedServer) -> None:
    third, fourth = "+14155550102", "+14155550103"
    get = [reply(404), reply(200, RECORD), reply(500), reply(404)]
    first = {**LISTED, "has_more": True, "total": 2}
    second = {**LISTED, "items": [{"id": ID, "number": fourth}], "total": 2}
    server.queue(*get, *[reply(200, first), reply(200, second)] * 2)
    looks = adapter("fluents", server.url).look(dict.fromkeys((third, NUMBER, "+14155550109", fourth)))
    assert [(number, look.kind) for number, look in looks.items()] == [
        (third, LookKind.ABSENT),
        (NUMBER, LookKind.OWNED),
        ("+14155550109", LookKind.UNCLEAR),
        (fourth, LookKind.OWNED),
    ]
    assert len(server.seen) == 8


def test_a_look_tells_of_the_account_and_asks_no_more(server: ScriptedServer) -> None:
    server.queue(reply(403, {"message": "m"}))
    looks = adapter("fluents", server.url).look({NUMBER: None, OTHER: None})
    assert {(look.kind, look.account) for look in looks.values()} == {(LookKind.UNCLEAR, True)}
    assert len(server.seen) == 1


def test_a_look_that_is_throttled_keeps_what_it_found(server: ScriptedServer) -> None:
    server.queue(reply(200, RECORD), reply(429, None, {"Retry-After": "9"}))
    looks = adapter("fluents", server.url).look({NUMBER: None, OTHER: None, "+14155550102": None})
    assert [look.kind for look in looks.values()] == [LookKind.OWNED, LookKind.UNCLEAR, LookKind.UNCLEAR]
    assert [look.retry_after for look in looks.values()] == [None, 9.0, 9.0]
    assert len(server.seen) == 2


def test_a_look_that_breaks_goes_on_with_the_next_number(server: ScriptedServer) -> None:
    server.queue(CUT, reply(200, {**RECORD, "number": OTHER}))
    looks = adapter("fluents", server.url).look({NUMBER: None, OTHER: None})
    assert [look.kind for look in looks.values()] == [LookKind.UNCLEAR, LookKind.OWNED]


def test_search(server: ScriptedServer) -> None:
    items = [{"number": NUMBER}, {"phone_number": "14155550101"}, {"number": "+12125550100"}, {"number": None}]
    server.queue(reply(200, {"items": items, "has_more": False}))
    found = adapter("fluents", server.url).search(SearchQuery(prefix="415", limit=1000))
    assert [candidate.number for candidate in found] == [NUMBER, OTHER]
    (seen,) = server.seen
    assert seen.path == "/v1/numbers/available"
    assert json.loads(seen.query.pop("filters")[0]) == {"area_code": "415"}
    assert seen.query == {
        "limit": ["100"],
        "telephony_provider": ["twilio"],
        "telephony_account_connection": [CONNECTION],
    }


@pytest.mark.parametrize("answer", [reply(500), reply(200, {"items": None}), reply(200, {"items": [1]}), CUT])
def test_a_search_that_fails_raises(server: ScriptedServer, answer: bytes) -> None:
    server.queue(answer)
    with pytest.raises(ProviderError, match="Fluents"):
        adapter("fluents", server.url).search(SearchQuery())


def test_owned_walks_the_pages(server: ScriptedServer) -> None:
    pages = [{"items": [RECORD], "has_more": True}, {"items": [{"number": OTHER}], "has_more": False}]
    server.queue(*(reply(200, page) for page in pages))
    assert list(adapter("fluents", server.url).owned()) == [
        OwnedNumber(number=NUMBER, provider_number_id=ID),
        OwnedNumber(number=OTHER, provider_number_id=""),
    ]
    assert [seen.query for seen in server.seen] == [{"page": ["1"], "size": ["100"]}, {"page": ["2"], "size": ["100"]}]
    assert {seen.path for seen in server.seen} == {"/v1/numbers/list"}


@pytest.mark.parametrize(
    "pages",
    [
        [{"items": [RECORD]}],
        [{"items": [RECORD], "has_more": "false"}],
        [{"items": [RECORD], "has_more": None}],
        [{"items": [], "has_more": True}],
        [{"items": [RECORD], "has_more": True}, {"items": [RECORD], "has_more": False}],
        [{"items": [RECORD], "has_more": False, "total": 2}],
        [{"items": [RECORD], "has_more": False, "total": "1"}],
        [{"items": [RECORD], "has_more": False, "total": True}],
        [{"items": [RECORD], "has_more": True, "total": 3}, {**LISTED, "total": 3}],
        [{"items": [RECORD], "has_more": True, "total": 3}, {**LISTED, "total": 2}],
        [{"items": [RECORD], "has_more": True}, {**LISTED, "page": 3}],
        [{"items": [RECORD], "has_more": False, "page": True}],
    ],
)
def test_a_list_that_is_not_whole_is_none(server: ScriptedServer, pages: list[Any]) -> None:
    server.queue(*(reply(200, page) for page in pages))
    with pytest.raises(ProviderError):
        list(adapter("fluents", server.url).owned())
    assert len(server.seen) == len(pages)


@pytest.mark.parametrize("total", [{"total": 5, "total_is_estimated": True}, {"total": None}, {"total": 1}, {}])
def test_a_total_that_is_estimated_counts_nothing(server: ScriptedServer, total: Any) -> None:
    server.queue(reply(200, {"items": [RECORD], "has_more": False, **total}))
    assert len(list(adapter("fluents", server.url).owned())) == 1


def test_a_list_may_grow_while_it_is_walked(server: ScriptedServer) -> None:
    first = {"items": [RECORD], "has_more": True, "total": 2}
    server.queue(reply(200, first), reply(200, {**LISTED, "total": 3}))
    assert len(list(adapter("fluents", server.url).owned())) == 2


def test_the_check_tells_connection_token_and_account_connection_apart(server: ScriptedServer) -> None:
    server.queue(reply(200, {"items": []}), reply(404, {"message": "connection not found"}))
    checks = adapter("fluents", server.url).check()
    assert [(check.name, check.ok) for check in checks] == [
        ("connection", True),
        ("token", True),
        ("path", True),
        ("telephony_account_connection", False),
    ]
    assert server.seen[0].query == {"page": ["1"], "size": ["1"]}
