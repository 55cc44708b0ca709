from __future__ import annotations

import base64
from typing import Any

import pytest

from schemas.money import read_price
from schemas.outcomes import WRONG_NUMBER, Candidate, LookKind, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, ProviderError, SearchQuery
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, OTHER, TOKEN, adapter, buy, plivo_record, success

AUTH_ID = "MASANDBOX00000000001"
ACCOUNT = f"/v1/Account/{AUTH_ID}/"
DIGITS = NUMBER[1:]
INDIAN = "+918031234567"
GERMAN = "+4930901820"
"""Longer ones begin with it."""


def page(*records: dict[str, Any], **meta: Any) -> bytes:
    return reply(200, {"api_id": "a", "meta": {"next": None, **meta}, "objects": list(records)})


def sold(*items: Any, status: int = 201) -> bytes:
    return reply(status, {"api_id": "a", "message": "created", "numbers": list(items), "status": "fulfilled"})


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    server.queue(reply(*success("plivo")))
    outcome = buy(adapter("plivo", server.url), "plivo")
    assert (outcome.kind, outcome.provider_number_id) == (OutcomeKind.PURCHASED, DIGITS)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query, seen.body) == ("POST", f"{ACCOUNT}PhoneNumber/{DIGITS}/", {}, b"{}")
    scheme, _, credentials = seen.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials).decode()) == ("Basic", f"{AUTH_ID}:{TOKEN}")


def test_the_configured_application_goes_with_the_purchase_unless_the_request_names_one(
    server: ScriptedServer,
) -> None:
    provider = adapter("plivo", server.url, compliance_applications={"IN": "general", "IN/local": "local"})
    for number, options in ((INDIAN, {}), (INDIAN, {"compliance_application_id": "own", "app_id": "7"}), (NUMBER, {})):
        server.queue(reply(404, {"error": "not found"}))
        provider.buy([Ask(number=number, options=options)])
    assert [seen.json for seen in server.seen] == [
        {"compliance_application_id": "local"},
        {"compliance_application_id": "own", "app_id": "7"},
        {},
    ]


def test_pending_is_an_order_that_stands_and_waits_for_papers_whatever_stands_beside_it(
    server: ScriptedServer,
) -> None:
    server.queue(sold({"number": INDIAN[1:], "status": "pending"}))
    (outcome,) = adapter("plivo", server.url).buy([Ask(number=INDIAN)])
    assert (outcome.kind, outcome.provider_order_id) == (OutcomeKind.COMPLIANCE, INDIAN[1:])
    assert "by e-mail" in (outcome.error or "")
    assert 'set compliance_applications.IN or compliance_applications."IN/local"' in (outcome.error or "")


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ([], "no_record"),
        ([None, "x", {}], "no_record"),
        ([{"status": "Success"}], "no_record"),
        ([{"number": OTHER[1:], "status": "Success"}], WRONG_NUMBER),
        ([{"number": OTHER[1:], "status": "pending"}], WRONG_NUMBER),
        *(
            ([{"number": DIGITS, "status": status}], "unknown_status")
            for status in (None, "fulfilled", "failed", 5, [])
        ),
        ([{"number": DIGITS, "status": "Success"}, {"number": DIGITS, "status": "pending"}], "unknown_status"),
    ],
)
def test_a_yes_without_the_number_s_own_status_is_unknown(server: ScriptedServer, items: Any, code: str) -> None:
    server.queue(sold(*items))
    outcome = buy(adapter("plivo", server.url), "plivo")
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, code)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, OutcomeKind.REFUSED) for status in (400, 404, 409, 422)),
        *((status, OutcomeKind.ACCOUNT) for status in (401, 402, 403)),
        *((status, OutcomeKind.UNKNOWN) for status in (301, 405, 500, 503)),
        (429, OutcomeKind.THROTTLED),
    ],
)
def test_errors_go_by_their_status(server: ScriptedServer, status: int, kind: OutcomeKind) -> None:
    server.queue(reply(status, {"api_id": "a", "error": "not found"}, {"Location": "/elsewhere"}))
    outcome = buy(adapter("plivo", server.url), "plivo")
    assert (outcome.kind, outcome.error_code) == (kind, f"http_{status}")
    assert len(server.seen) == 1


def test_a_look_lists_what_begins_so_and_asks_for_pages_by_offset(server: ScriptedServer) -> None:
    link = f"{ACCOUNT}Number/?number_startswith={DIGITS}&limit=20&offset=20"
    server.queue(
        page(plivo_record(f"{NUMBER}9"), limit=20, offset=0, next=link, total_count=2),
        page(plivo_record(), limit=20, offset=20, previous=link.replace("offset=20", "offset=0"), total_count=2),
    )
    look = adapter("plivo", server.url).look({NUMBER: None})[NUMBER]
    assert (look.kind, look.provider_number_id) == (LookKind.OWNED, DIGITS)
    asked = {"number_startswith": [DIGITS], "limit": ["20"]}
    assert [seen.query for seen in server.seen] == [{**asked, "offset": ["0"]}, {**asked, "offset": ["20"]}]
    assert {seen.path for seen in server.seen} == {f"{ACCOUNT}Number/"}


@pytest.mark.parametrize(
    ("active", "found"),
    [
        (True, LookKind.OWNED),
        (False, LookKind.PROCESSING),
        *((value, LookKind.UNCLEAR) for value in (None, "true", 1, [])),
    ],
)
def test_what_a_record_says_of_its_state(server: ScriptedServer, active: Any, found: LookKind) -> None:
    server.queue(page(plivo_record() | {"active": active}))
    assert adapter("plivo", server.url).look({NUMBER: None})[NUMBER].kind is found


@pytest.mark.parametrize(
    ("total", "found"),
    [
        (None, LookKind.ABSENT),
        (1, LookKind.ABSENT),
        *((total, LookKind.UNCLEAR) for total in (2, -1, "1", True, [])),
    ],
)
def test_a_list_that_is_shorter_than_it_says_settles_nothing(
    server: ScriptedServer, total: Any, found: LookKind
) -> None:
    server.queue(page(plivo_record(f"{GERMAN}1"), total_count=total))
    assert adapter("plivo", server.url).look({GERMAN: None})[GERMAN].kind is found


@pytest.mark.parametrize("number", [NUMBER, DIGITS])
def test_numbers_are_read_with_and_without_the_plus(server: ScriptedServer, number: str) -> None:
    server.queue(page(plivo_record() | {"number": number}))
    assert adapter("plivo", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.OWNED


def test_a_404_to_a_look_is_no_sign_of_absence(server: ScriptedServer) -> None:
    server.queue(reply(404, {"api_id": "a", "error": "not found"}))
    assert adapter("plivo", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR


@pytest.mark.parametrize(("prefix", "pattern"), [("", {}), ("415", {"pattern": ["415"]})])
def test_search(server: ScriptedServer, prefix: str, pattern: Any) -> None:
    items = [
        {"number": DIGITS, "region": "California", "monthly_rental_rate": "0.80000", "setup_rate": "0.5"},
        {"number": "12125550100", "region": 5, "monthly_rental_rate": "x"},
        *({"number": value} for value in (None, "14165550100", "442071234567")),
    ]
    server.queue(reply(200, {"meta": {}, "objects": items}))
    found = adapter("plivo", server.url).search(SearchQuery(prefix=prefix, limit=500))
    price = read_price(monthly="0.8", setup="0.5", currency="USD")
    wanted = [Candidate(number=NUMBER, region="California", price=price), Candidate(number="+12125550100")]
    assert found == [candidate for candidate in wanted if candidate.number.startswith(f"+1{prefix}")]
    assert server.seen[0].query == {"country_iso": ["US"], "limit": ["20"], "offset": ["0"], **pattern}


def test_a_search_that_finds_nothing_may_be_a_404_of_plivo_s_own(server: ScriptedServer) -> None:
    server.queue(reply(404, {"api_id": "a", "error": "not found"}), reply(404, {"message": "no route"}), reply(404))
    provider = adapter("plivo", server.url)
    assert provider.search(SearchQuery()) == []
    for _ in range(2):
        with pytest.raises(ProviderError):
            provider.search(SearchQuery())


def test_owned_walks_the_list(server: ScriptedServer) -> None:
    link = f"{ACCOUNT}Number/?limit=20&offset=20"
    server.queue(page(plivo_record(), next=link), page(plivo_record(OTHER) | {"active": False}))
    assert list(adapter("plivo", server.url).owned()) == [
        OwnedNumber(number=NUMBER, provider_number_id=DIGITS),
        OwnedNumber(number=OTHER, provider_number_id=OTHER[1:], usable=False),
    ]


UNREAD = "not told: Plivo answered HTTP 200, but with no balance as documented"


@pytest.mark.parametrize(
    ("answer", "ok", "message"),
    [
        (reply(200, {"cash_credits": "77.39415"}), True, "is told: 77.39415"),
        *((reply(200, body), None, UNREAD) for body in ({}, {"cash_credits": None}, {"cash_credits": 1.5}, [])),
        (reply(500), None, "not told: Plivo gave an answer that settles nothing (HTTP 500)"),
    ],
)
def test_the_check_tells_the_balance(server: ScriptedServer, answer: bytes, ok: bool | None, message: str) -> None:
    server.queue(page(), reply(200, {"objects": []}), answer)
    last = adapter("plivo", server.url).check()[-1]
    assert (last.name, last.ok, last.message) == ("balance", ok, message)
    assert server.seen[2].path == ACCOUNT


def test_a_404_to_each_call_proves_nothing(server: ScriptedServer) -> None:
    server.queue(*(reply(404, {"api_id": "a", "error": "not found"}) for _ in range(3)))
    checks = {check.name: check.ok for check in adapter("plivo", server.url).check()}
    assert checks == {"connection": True, "numbers": False, "search": None, "balance": None}
