from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import Candidate, LookKind, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Known, ProviderError, SearchQuery, Unsupported
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, TOKEN, adapter, buy

THIRD = "+14155550102"
# The example of the page 'Purchase available number'.
PAGE_200 = {"id": "<string>", "number": "+18001234567", "type": "PSTN", "agentId": "<string>"}


USER = {"id": ID, "number": "sip-user", "type": "SIP_USERNAME", "agentId": None}


def page(*numbers: str, cursor: Any = None, others: Any = ()) -> bytes:
    data = [{"id": ID, "number": number, "type": "PSTN", "agentId": None} for number in numbers]
    return reply(200, {"data": [*data, *others], "cursor": cursor})


@pytest.mark.parametrize(
    ("endpoint", "path", "body"),
    [
        ("phone_numbers", "/api/phone_numbers", b'{"type":"purchase","purchase":{"number":"+18001234567"}}'),
        ("phone_numbers/purchase", "/api/phone_numbers/purchase", b'{"number":"+18001234567"}'),
    ],
)
def test_both_endpoints(server: ScriptedServer, endpoint: str, path: str, body: bytes) -> None:
    server.queue(reply(200, PAGE_200))
    outcome = buy(adapter("vogent", server.url, purchase_endpoint=endpoint), "vogent", "+18001234567")
    assert (outcome.kind, outcome.provider_number_id) == (OutcomeKind.PURCHASED, "<string>")
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", path, body)
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "body",
    [
        {"id": ID, "number": NUMBER, "type": "SIP_USERNAME", "agentId": None},
        {"id": "", "number": NUMBER, "type": "PSTN"},
        {"id": ID, "number": "14155550", "type": "PSTN"},
    ],
)
def test_what_is_no_record_of_the_number_is_unknown(server: ScriptedServer, body: Any) -> None:
    server.queue(reply(200, body))
    assert buy(adapter("vogent", server.url), "vogent").kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("without", [{}, {"type": None}])
def test_an_older_record_has_no_type(server: ScriptedServer, without: Any) -> None:
    entry = {"id": ID, "number": NUMBER, "agentId": None, **without}
    server.queue(reply(200, entry), reply(200, {"data": [entry], "cursor": None}))
    provider = adapter("vogent", server.url)
    assert buy(provider, "vogent").kind is OutcomeKind.PURCHASED
    assert provider.look({NUMBER: None})[NUMBER].kind is LookKind.OWNED


@pytest.mark.parametrize("status", [400, 422])
def test_the_page_s_errors_have_no_documented_body(server: ScriptedServer, status: int) -> None:
    server.queue(reply(status, b"Invalid input"))
    outcome = buy(adapter("vogent", server.url), "vogent")
    assert (outcome.kind, outcome.detail) == (OutcomeKind.REFUSED, "Invalid input")


def test_one_walk_looks_for_all_numbers(server: ScriptedServer) -> None:
    server.queue(*[page(OTHER, cursor="a", others=[USER]), page(cursor="b"), page(NUMBER)] * 2)
    looks = adapter("vogent", server.url).look({NUMBER: None, OTHER: Known(number_id=ID), THIRD: None})
    assert {number: look.kind for number, look in looks.items()} == {
        NUMBER: LookKind.OWNED,
        OTHER: LookKind.OWNED,
        THIRD: LookKind.ABSENT,
    }
    assert looks[NUMBER].provider_number_id == ID
    assert [seen.query for seen in server.seen] == [
        {"limit": ["100"]},
        {"limit": ["100"], "cursor": ["a"]},
        {"limit": ["100"], "cursor": ["b"]},
    ] * 2


def test_the_walk_ends_when_all_are_found(server: ScriptedServer) -> None:
    server.queue(page(NUMBER, cursor="a"))
    assert adapter("vogent", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.OWNED
    assert len(server.seen) == 1


def test_a_number_that_is_called_a_sip_user_name_is_neither_ours_nor_absent(server: ScriptedServer) -> None:
    """A purchase answered 200 with such a record would be made again and again, if its look said 'not ours'."""
    entry = {"id": ID, "number": NUMBER, "type": "SIP_USERNAME", "agentId": None}
    listed = reply(200, {"data": [entry], "cursor": None})
    server.queue(listed, listed)
    provider = adapter("vogent", server.url)
    looks = provider.look({NUMBER: None, OTHER: None})
    assert {number: look.kind for number, look in looks.items()} == {
        NUMBER: LookKind.UNCLEAR,
        OTHER: LookKind.ABSENT,
    }
    assert list(provider.owned()) == [OwnedNumber(number=NUMBER, provider_number_id=ID, usable=False)]


@pytest.mark.parametrize("strange", [0, 5, False, [], ["SIP_USERNAME"], {"name": "SIP_USERNAME"}])
def test_a_number_whose_type_is_no_text_is_neither_ours_nor_absent(server: ScriptedServer, strange: Any) -> None:
    entry = {"id": ID, "number": NUMBER, "type": strange, "agentId": None}
    server.queue(reply(200, {"data": [entry], "cursor": None}), reply(200, entry))
    provider = adapter("vogent", server.url)
    assert provider.look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR
    assert buy(provider, "vogent").kind is OutcomeKind.UNKNOWN


def test_a_number_that_is_a_sip_user_name_too_is_ours(server: ScriptedServer) -> None:
    entry = {"id": "sip-1", "number": NUMBER, "type": "SIP_USERNAME", "agentId": None}
    server.queue(page(NUMBER, others=[entry]))
    assert adapter("vogent", server.url).look({NUMBER: None})[NUMBER].provider_number_id == ID


@pytest.mark.parametrize(
    "changes",
    [
        *({"number": value} for value in (None, "", " ", 5, [NUMBER], {"e164": NUMBER}, f"tel:{NUMBER}")),
        *({"number": value} for value in ("+1415555****", "+1******0100", "******0100", f"alice {NUMBER}")),
        *({"number": f"+1{blank}415{blank}555{blank}0100"} for blank in "\u2011\xa0\u2009/"),
        *({"number": value, "e164": NUMBER} for value in (None, "sip-user")),
        *({key: NUMBER} for key in ("phoneNumber", "phone_number", "numberString")),
    ],
)
def test_what_may_be_a_number_is_not_passed_over_as_a_sip_user_name(server: ScriptedServer, changes: Any) -> None:
    server.queue(*[page(OTHER, others=[{**USER, **changes}])] * 2)
    provider = adapter("vogent", server.url)
    assert provider.look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR
    with pytest.raises(ProviderError):
        list(provider.owned())


@pytest.mark.parametrize("name", [NUMBER[1:], NUMBER[2:], f"0{NUMBER[2:]}", "(415) 555-0100", "agent415.desk.5550100"])
def test_a_sip_user_name_with_the_digits_of_a_number_leaves_that_one_open_and_no_other(
    server: ScriptedServer, name: str
) -> None:
    server.queue(*[page(OTHER, others=[{**USER, "number": name}])] * 2)
    provider = adapter("vogent", server.url)
    found = provider.look({NUMBER: None, THIRD: None})
    assert [look.kind for look in found.values()] == [LookKind.UNCLEAR, LookKind.ABSENT]
    assert [one.number for one in provider.owned()] == [OTHER]


@pytest.mark.parametrize(
    "name",
    [
        "alice",
        "1001",
        "sip:alice@example.com",
        "user__2026-x",
        "foxx2026",
        "xxx",
        "14155550109",
        "4155550",
        "2026-10-04-00017",
    ],
)
def test_a_sip_user_name_does_not_hide_that_a_number_is_absent(server: ScriptedServer, name: str) -> None:
    server.queue(page(OTHER, others=[{**USER, "number": name}]))
    assert adapter("vogent", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.ABSENT


@pytest.mark.parametrize(
    ("answer", "account", "retry_after"),
    [
        (reply(500), False, None),
        (CUT, False, None),
        (reply(401), True, None),
        (reply(429, None, {"Retry-After": "5"}), False, 5.0),
        (reply(200, {"data": None}), False, None),
        (reply(200, {"data": [], "cursor": 5}), False, None),
        (reply(200, {"data": [], "cursor": "a"}), False, None),
    ],
)
def test_a_walk_that_breaks_keeps_what_it_found_and_is_never_absent(
    server: ScriptedServer, answer: bytes, account: bool, retry_after: float | None
) -> None:
    server.queue(page(OTHER, cursor="a"), answer)
    looks = adapter("vogent", server.url).look({NUMBER: None, OTHER: None})
    assert looks[OTHER].kind is LookKind.OWNED
    assert looks[NUMBER].kind is LookKind.UNCLEAR
    assert (looks[NUMBER].account, looks[NUMBER].retry_after) == (account, retry_after)
    assert looks[NUMBER].error


def test_search_gives_ten_at_most_and_needs_a_prefix(server: ScriptedServer) -> None:
    server.queue(reply(200, [{"number": NUMBER}, {"number": "sip"}, {"number": "+12125550100"}]))
    provider = adapter("vogent", server.url)
    assert provider.search(SearchQuery(prefix="415", limit=50)) == [Candidate(number=NUMBER)]
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/api/phone_numbers/search")
    assert seen.json == {"prefix": "415", "country": "US", "limit": 10}
    with pytest.raises(Unsupported, match="area code"):
        provider.search(SearchQuery())


def test_a_search_that_is_no_list_raises(server: ScriptedServer) -> None:
    server.queue(reply(200, {"data": []}))
    with pytest.raises(ProviderError, match="Vogent answered HTTP 200"):
        adapter("vogent", server.url).search(SearchQuery(prefix="415"))


def test_owned_leaves_sip_user_names_out(server: ScriptedServer) -> None:
    server.queue(page(NUMBER, cursor="", others=[USER]))
    assert list(adapter("vogent", server.url).owned()) == [OwnedNumber(number=NUMBER, provider_number_id=ID)]
