from __future__ import annotations

import base64
from typing import Any

import pytest

from schemas.outcomes import Candidate, LookKind, OutcomeKind, OwnedNumber
from tasks.providers.adapter import ProviderError, SearchQuery
from tasks.providers.reading import lookups
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import HOLDING, ID, NUMBER, OTHER, TOKEN, adapter, buy, success

PATH = "/api/relay/rest/phone_numbers"
RECORD = success("signalwire")[1]


def page(*numbers: str, following: Any = None) -> bytes:
    links = {"self": PATH, **({} if following is None else {"next": following})}
    return reply(200, {"links": links, "data": [{"id": ID, "number": number} for number in numbers]})


def errors(*codes: Any, detail: Any = "d") -> dict[str, Any]:
    return {"errors": [{"detail": detail, "status": "422", "title": "Invalid Attribute", "code": c} for c in codes]}


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    server.queue(reply(200, RECORD))
    outcome = buy(adapter("signalwire", server.url), "signalwire")
    assert (outcome.kind, outcome.provider_number_id) == (OutcomeKind.PURCHASED, ID)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", PATH, {})
    assert seen.body == b'{"number":"+14155550100"}'
    scheme, _, credentials = seen.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials).decode()) == ("Basic", f"sandbox-project:{TOKEN}")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "Bad Request"}, OutcomeKind.REFUSED, "http_400"),
        (401, {"error": "Unauthorized"}, OutcomeKind.ACCOUNT, "http_401"),
        (403, {"error": "Forbidden"}, OutcomeKind.ACCOUNT, "http_403"),
        (500, {"error": "Internal Server Error"}, OutcomeKind.UNKNOWN, "http_500"),
        (422, errors("422", detail=None), OutcomeKind.REFUSED, "http_422"),
        (422, errors("could_not_purchase"), OutcomeKind.REFUSED, "could_not_purchase"),
        (422, errors("not_e164", "422"), OutcomeKind.REFUSED, "not_e164"),
        *((422, errors(word), OutcomeKind.REFUSED, word) for word in ("number_not_supported", "number_blacklisted")),
        *((422, errors(word), OutcomeKind.REFUSED, word) for word in ("invalid_number_format", "value_not_unique")),
        (422, errors("not_unique_within_project"), OutcomeKind.REFUSED, "not_unique_within_project"),
        (422, errors("not_unique_within_space"), OutcomeKind.REFUSED, "not_unique_within_space"),
        (422, errors("422", "insufficient_balance"), OutcomeKind.ACCOUNT, "insufficient_balance"),
        (422, errors("account_limit_exceeded"), OutcomeKind.ACCOUNT, "account_limit_exceeded"),
        (404, errors("auto_top_up_deactivated"), OutcomeKind.ACCOUNT, "auto_top_up_deactivated"),
        (422, errors("rate_limit_exceeded"), OutcomeKind.THROTTLED, "rate_limit_exceeded"),
        (422, errors("purchased_too_recently"), OutcomeKind.REFUSED, "purchased_too_recently"),
        (500, errors("insufficient_balance"), OutcomeKind.UNKNOWN, "insufficient_balance"),
        (422, errors(None, 5, [], {}), OutcomeKind.REFUSED, "5"),
    ],
)
def test_the_page_s_errors_and_the_catalogue(
    server: ScriptedServer, status: int, body: Any, kind: OutcomeKind, code: str
) -> None:
    server.queue(reply(status, body, {"Retry-After": "4"}))
    outcome = buy(adapter("signalwire", server.url), "signalwire")
    assert (outcome.kind, outcome.error_code, outcome.http_status) == (kind, code, status)
    assert outcome.retry_after == (4.0 if kind is OutcomeKind.THROTTLED else None)


def test_a_look_compares_exactly_and_follows_the_pages(server: ScriptedServer) -> None:
    server.queue(
        page(f"{NUMBER}9", following=f"{PATH}?page_number=1&page_token=PA1&filter_number=+14155550100"),
        page(HOLDING, following=f"{server.url}{PATH}?page_number=2&page_token=PA2"),
        page(NUMBER),
    )
    look = adapter("signalwire", server.url).look({NUMBER: None})[NUMBER]
    assert (look.kind, look.provider_number_id) == (LookKind.OWNED, ID)
    common = {"filter_number": [NUMBER[1:]], "page_size": ["100"]}
    assert [seen.query for seen in server.seen] == [
        common,
        {**common, "page_number": ["1"], "page_token": ["PA1"]},
        {**common, "page_number": ["2"], "page_token": ["PA2"]},
    ]
    assert {seen.path for seen in server.seen} == {PATH}


def test_a_link_below_a_gateway_s_path_stays_there(server: ScriptedServer) -> None:
    server.queue(page(HOLDING, following=f"{PATH}?page_number=1&page_token=PA1"), page(NUMBER))
    look = adapter("signalwire", f"{server.url}/gateway").look({NUMBER: None})[NUMBER]
    assert look.kind is LookKind.OWNED
    assert {seen.path for seen in server.seen} == {f"/gateway{PATH}"}


def test_a_number_that_no_page_shows_is_absent(server: ScriptedServer) -> None:
    server.queue(page())
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.ABSENT


@pytest.mark.parametrize("links", [{}, {"self": PATH, "first": f"{PATH}?page_number=0", "next": None, "prev": ""}])
def test_links_that_lead_nowhere_end_a_list(server: ScriptedServer, links: Any) -> None:
    server.queue(reply(200, {"links": links, "data": []}))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.ABSENT


@pytest.mark.parametrize("value", [None, "", PATH, f"{PATH}?page_number=0", f"{PATH}?page_token=PA0&page_number=0"])
@pytest.mark.parametrize("key", ["last", "docs", "current"])
def test_a_link_of_another_name_to_a_page_that_is_known_is_harmless(
    server: ScriptedServer, key: str, value: Any
) -> None:
    server.queue(reply(200, {"links": {"self": PATH, key: value}, "data": [{"id": ID, "number": HOLDING}]}))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.ABSENT


@pytest.mark.parametrize(
    ("key", "far", "end", "found"),
    [
        ("last", 2, 2, LookKind.ABSENT),
        ("last", 9, 9, LookKind.UNCLEAR),
        ("nextPage", 2, 2, LookKind.UNCLEAR),
        ("nextPage", 1, 2, LookKind.ABSENT),
    ],
)
def test_the_last_page_may_be_far_and_is_the_last(
    server: ScriptedServer, key: str, far: int, end: int, found: LookKind
) -> None:
    at = [f"{PATH}?page_number={n}&page_token=PA{n}" for n in range(10)]
    links = [
        {"self": at[0], "next": at[1], key: at[far]},
        {"self": at[1], "next": at[2], "prev": at[0]},
        {"self": at[2], "prev": at[1], key: at[end]},
    ]
    pages = [
        reply(200, {"links": one, "data": [{"id": str(n), "number": f"{HOLDING}{n}"}]}) for n, one in enumerate(links)
    ]
    server.queue(*pages * 2)
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is found


@pytest.mark.parametrize(
    "links",
    [
        *({key: f"{PATH}?page_number=9"} for key in ("Next", "last", "next_page", "error")),
        *({"error": value} for value in ("down", ["down"], "/elsewhere", "http://[")),
        *(
            {"self": PATH, "last": value}
            for value in ("/elsewhere", f"/v2{PATH}", f"{PATH}?page_number=1&page_token=x")
        ),
        *({"self": PATH, "last": value} for value in (f"{PATH}?filter_number=1", f"//evil.example{PATH}", "http://[")),
        *({"self": 5}, {"first": {}}, {"prev": False}),
    ],
)
def test_links_that_are_not_as_documented_settle_nothing_and_hide_no_number(server: ScriptedServer, links: Any) -> None:
    provider = adapter("signalwire", server.url)
    server.queue(reply(200, {"links": links, "data": [RECORD]}), reply(200, {"links": links, "data": []}))
    assert provider.look({NUMBER: None})[NUMBER].kind is LookKind.OWNED
    assert provider.look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR


@pytest.mark.parametrize(
    ("key", "found"),
    [
        *((key, LookKind.ABSENT) for key in ("call_request_url", "message_relay_context", "call_verto_resource")),
        *((key, LookKind.UNCLEAR) for key in ("name", "e911_address_id", "call_forward_to", "alias")),
    ],
)
def test_another_number_may_be_forwarded_to_ours(server: ScriptedServer, key: str, found: LookKind) -> None:
    entry = {**RECORD, "number": HOLDING, key: f"https://example.com/forward?to={NUMBER}"}
    server.queue(reply(200, {"links": {"self": PATH}, "data": [entry]}))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is found


def test_a_page_without_a_number_has_no_other_pages(server: ScriptedServer) -> None:
    server.queue(page(following=f"{PATH}?page_number=1&page_token=PA1"), page(HOLDING))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR
    server.queue(reply(200, {"links": {"self": PATH, "prev": f"{PATH}?page_number=0"}, "data": []}))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR


@pytest.mark.parametrize(
    "following",
    [
        f"http://127.0.0.1:1{PATH}?page_number=1",
        f"https://evil.example{PATH}?page_number=1",
        f"//evil.example{PATH}?page_number=1",
        "/elsewhere?page_number=1",
        PATH,
        "http://[",
        5,
        {"href": PATH},
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed_and_settles_nothing(
    server: ScriptedServer, following: Any
) -> None:
    server.queue(page(HOLDING, following=following))
    look = adapter("signalwire", server.url).look({NUMBER: None})[NUMBER]
    assert look.kind is LookKind.UNCLEAR
    assert len(server.seen) == 1


def test_a_list_that_goes_in_circles_settles_nothing(server: ScriptedServer) -> None:
    server.queue(*(page(f"{HOLDING}{n}", following=f"{PATH}?page_number=1&page_token=x") for n in range(5)))
    look = adapter("signalwire", server.url).look({NUMBER: None})[NUMBER]
    assert look.kind is LookKind.UNCLEAR
    assert "no end" in (look.error or "")
    assert len(server.seen) == 2


def test_a_list_without_end_is_bounded(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "MAX_PAGES", 4)
    server.queue(*(page(f"{HOLDING}{n}", following=f"{PATH}?page_number={n}") for n in range(1, 9)))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR
    assert len(server.seen) == 4


@pytest.mark.parametrize(
    "answer",
    [reply(500), reply(404), reply(200, {}), reply(200, []), reply(200, {"data": {}}), reply(200, {"data": [None]})],
)
def test_a_walk_that_breaks_half_way_is_never_absent(server: ScriptedServer, answer: bytes) -> None:
    server.queue(page(HOLDING, following=f"{PATH}?page_number=1"), answer)
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR


@pytest.mark.parametrize(
    ("prefix", "filters"),
    [
        ("", {}),
        ("41", {}),
        ("415", {"areacode": ["415"]}),
        ("41555", {"starts_with": ["41555"]}),
        ("4155550100", {"starts_with": ["4155550"]}),
    ],
)
def test_search(server: ScriptedServer, prefix: str, filters: Any) -> None:
    data = [
        {"e164": NUMBER, "number": "(415) 555-0100", "region": "CA"},
        {"number": "+12125550100", "region": 5},
        {"number": None},
        {"number": "+14165550100"},
        {"number": "+442071234567"},
    ]
    server.queue(reply(200, {"links": {}, "data": data}))
    found = adapter("signalwire", server.url).search(SearchQuery(prefix=prefix, limit=500))
    wanted = [Candidate(number=NUMBER, region="CA"), Candidate(number="+12125550100")]
    assert found == [candidate for candidate in wanted if candidate.number.startswith(f"+1{prefix}")]
    assert server.seen[0].query == {"max_results": ["100"], **filters}
    assert server.seen[0].path == f"{PATH}/search"


def test_owned_walks_the_list(server: ScriptedServer) -> None:
    server.queue(page(NUMBER, following=f"{PATH}?page_number=1&page_token=PA"), page(OTHER))
    assert list(adapter("signalwire", server.url).owned()) == [
        OwnedNumber(number=NUMBER, provider_number_id=ID),
        OwnedNumber(number=OTHER, provider_number_id=ID),
    ]
    assert server.seen[0].query == {"page_size": ["1000"]}


def test_owned_raises_where_it_breaks(server: ScriptedServer) -> None:
    server.queue(page(NUMBER, following=f"{PATH}?page_number=1"), reply(401))
    walk = adapter("signalwire", server.url).owned()
    assert next(walk).number == NUMBER
    with pytest.raises(ProviderError) as caught:
        next(walk)
    assert caught.value.outcome.kind is OutcomeKind.ACCOUNT


def test_behind_a_gateway_links_are_of_the_providers_own_host(server: ScriptedServer) -> None:
    there = f"https://space.signalwire.com{PATH}"
    asked = f"filter_number={NUMBER[1:]}&page_size=100"
    first = {"self": f"{there}?{asked}", "first": f"{there}?{asked}", "next": f"{there}?{asked}&page_number=1"}
    last = {"self": f"{there}?{asked}&page_number=1", "first": f"{there}?{asked}"}
    entry = {**RECORD, "number": HOLDING}
    pages = [{"links": first, "data": [entry]}, {"links": last, "data": [{**entry, "id": "2"}]}]
    server.queue(*(reply(200, page) for page in pages * 2))
    assert adapter("signalwire", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.ABSENT
    assert len(server.seen) == 4
