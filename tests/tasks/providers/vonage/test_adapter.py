from __future__ import annotations

import base64
from typing import Any

import pytest

from schemas.config.balances import parse_low_balance
from schemas.money import read_price
from schemas.outcomes import WRONG_NUMBER, Candidate, LookKind, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, ProviderError, SearchQuery
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, OTHER, TOKEN, adapter, buy, success, vonage_record

DIGITS = NUMBER[1:]
NOWHERE = "+12009999999"
"""Of an area code that no country of +1 has."""
ADDRESS = "Numbers from this country can be requested from the Dashboard as they require a valid local address"


def page(*records: dict[str, Any], count: int | None = None) -> bytes:
    return reply(200, {"count": len(records) if count is None else count, "numbers": list(records)})


def said(status: int, code: Any = None, label: Any = None) -> bytes:
    return reply(status, {"error-code": str(status) if code is None else code, "error-code-label": label})


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    server.queue(reply(*success("vonage")))
    outcome = buy(adapter("vonage", server.url), "vonage")
    assert (outcome.kind, outcome.provider_number_id, outcome.provider_order_id) == (OutcomeKind.PROCESSING, None, None)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", "/number/buy", {})
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    assert seen.body == f"country=US&msisdn={DIGITS}".encode()
    scheme, _, credentials = seen.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials).decode()) == ("Basic", f"sandbox1:{TOKEN}")


@pytest.mark.parametrize(
    ("number", "options", "country"),
    [
        ("+14165550100", {}, "CA"),
        ("+442071234567", {}, "GB"),
        (NUMBER, {"country": "CA"}, "CA"),
        (NOWHERE, {"country": "US"}, "US"),
    ],
)
def test_the_country_is_the_number_s_own_or_the_request_s(
    server: ScriptedServer, number: str, options: Any, country: str
) -> None:
    server.queue(reply(*success("vonage")))
    provider = adapter("vonage", server.url)
    ask = provider.prepare(Ask(number=number, options=options))
    assert isinstance(ask, Ask)
    provider.buy([ask])
    assert server.seen[0].body == f"country={country}&msisdn={number[1:]}".encode()


def test_a_number_whose_country_cannot_be_told_is_refused_before_it_is_sent(server: ScriptedServer) -> None:
    refused = adapter("vonage", server.url).prepare(Ask(number=NOWHERE))
    assert isinstance(refused, Outcome)
    assert (refused.kind, refused.error_code) == (OutcomeKind.REFUSED, "no_country")
    assert "give it as the option `country`" in (refused.error or "")
    assert server.seen == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error-code": "420", "error-code-label": "method failed"}, "no_record"),
        ({"error-code": 200}, "no_record"),
        ({"error-code": None}, "no_record"),
        ({"error-code-label": "success"}, "no_record"),
        ({"error-code": "200", "msisdn": OTHER[1:]}, WRONG_NUMBER),
        ({"error-code": "200", "msisdn": []}, WRONG_NUMBER),
    ],
)
def test_a_2xx_that_is_no_yes_as_documented_is_unknown(server: ScriptedServer, body: Any, code: str) -> None:
    server.queue(reply(200, body))
    outcome = buy(adapter("vonage", server.url), "vonage")
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, code)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("label", "kind", "mend"),
    [
        ("method failed", OutcomeKind.REFUSED, "dialstock provider check tells the balance"),
        ("you already own this number", OutcomeKind.REFUSED, ""),
        (None, OutcomeKind.REFUSED, ""),
        (ADDRESS, OutcomeKind.COMPLIANCE, "dialstock purchase resolve NUMBER --bought"),
        ("insufficient balance", OutcomeKind.ACCOUNT, ""),
    ],
)
def test_of_a_420_the_label_tells(server: ScriptedServer, label: Any, kind: OutcomeKind, mend: str) -> None:
    server.queue(said(420, label=label))
    outcome = buy(adapter("vonage", server.url), "vonage")
    assert (outcome.kind, outcome.http_status) == (kind, 420)
    assert (label or "") in (outcome.error or "")
    assert mend in (outcome.error or "")


@pytest.mark.parametrize(
    "answer", [reply(420, {"message": "enhance your calm"}), reply(420, b"<html>"), said(420, "7")]
)
def test_a_420_that_is_not_vonage_s_own_may_have_bought(server: ScriptedServer, answer: bytes) -> None:
    server.queue(answer)
    assert buy(adapter("vonage", server.url), "vonage").kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, OutcomeKind.REFUSED) for status in (400, 404)),
        *((status, OutcomeKind.ACCOUNT) for status in (401, 402, 403)),
        *((status, OutcomeKind.UNKNOWN) for status in (301, 405, 500, 503)),
        (429, OutcomeKind.THROTTLED),
    ],
)
def test_other_errors_go_by_their_status(server: ScriptedServer, status: int, kind: OutcomeKind) -> None:
    server.queue(said(status, label="number not found"))
    outcome = buy(adapter("vonage", server.url), "vonage")
    assert (outcome.kind, outcome.error_code) == (kind, f"http_{status}")
    assert "number not found" in (outcome.error or "")
    assert ("give that as the option `country`" in (outcome.error or "")) is (status == 404)


def test_a_look_asks_for_what_begins_so_and_is_content_with_that(server: ScriptedServer) -> None:
    server.queue(page(vonage_record(f"{NUMBER}9"), vonage_record(), count=2))
    look = adapter("vonage", server.url).look({NUMBER: None})[NUMBER]
    assert (look.kind, look.provider_number_id) == (LookKind.OWNED, DIGITS)
    (seen,) = server.seen
    assert (seen.path, seen.query) == (
        "/account/numbers",
        {"pattern": [DIGITS], "search_pattern": ["0"], "size": ["100"], "index": ["1"]},
    )


@pytest.mark.parametrize("none", [reply(200, {}), page()])
def test_what_does_not_begin_so_is_looked_for_in_the_whole_list_once_for_all(
    server: ScriptedServer, none: bytes
) -> None:
    first, second = page(vonage_record(OTHER), count=2), page(vonage_record("+14155550103"), count=2)
    server.queue(none, none, first, second, first, second)
    looks = adapter("vonage", server.url).look({NUMBER: None, "+14155550104": None})
    assert {look.kind for look in looks.values()} == {LookKind.ABSENT}
    assert [seen.query["index"] for seen in server.seen] == [["1"], ["1"], ["1"], ["2"], ["1"], ["2"]]
    assert all("pattern" not in seen.query for seen in server.seen[2:])


def test_a_list_that_does_not_begin_so_is_another_question_s(server: ScriptedServer) -> None:
    other = page(vonage_record(OTHER))
    server.queue(other, other)
    look = adapter("vonage", server.url).look({NUMBER: None})[NUMBER]
    assert (look.kind, "pattern" in (look.error or "")) == (LookKind.UNCLEAR, True)


def test_many_numbers_are_looked_for_in_the_list_alone(server: ScriptedServer) -> None:
    numbers = [f"+1415555{n:04d}" for n in range(21)]
    server.queue(page(*map(vonage_record, numbers)))
    looks = adapter("vonage", server.url).look(dict.fromkeys(numbers))
    assert {look.kind for look in looks.values()} == {LookKind.OWNED}
    assert len(server.seen) == 1


def test_a_number_that_only_the_whole_list_shows_is_ours(server: ScriptedServer) -> None:
    server.queue(reply(200, {}), page(vonage_record()))
    assert adapter("vonage", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.OWNED


def test_of_an_account_without_any_number_nothing_is_absent(server: ScriptedServer) -> None:
    server.queue(reply(200, {}), reply(200, {}))
    provider = adapter("vonage", server.url)
    assert provider.look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR
    server.queue(reply(200, {}))
    with pytest.raises(ProviderError, match="does not prove that the account owns no number"):
        list(provider.owned())


@pytest.mark.parametrize(
    "pages",
    [
        [page(vonage_record(OTHER), vonage_record("+14155550103"), count=1)],
        [page(vonage_record(OTHER), count=2), page(vonage_record("+14155550103"), vonage_record(OTHER), count=2)],
        [page(count=1)],
        [page(vonage_record(OTHER), count=2), page(count=2)],
        [page(vonage_record(OTHER), count=2), reply(200, {})],
    ],
)
def test_a_count_that_is_not_of_what_is_shown_settles_nothing(server: ScriptedServer, pages: list[bytes]) -> None:
    server.queue(reply(200, {}), *pages, *pages)
    assert adapter("vonage", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.UNCLEAR


def test_where_calls_go_is_no_number_of_ours(server: ScriptedServer) -> None:
    forwards = vonage_record(OTHER) | {"voiceCallbackType": "tel", "voiceCallbackValue": DIGITS}
    server.queue(reply(200, {}), page(forwards))
    assert adapter("vonage", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.ABSENT


@pytest.mark.parametrize(("prefix", "pattern"), [("", {}), ("415", {"pattern": ["1415"], "search_pattern": ["0"]})])
def test_search(server: ScriptedServer, prefix: str, pattern: Any) -> None:
    items = [
        {"msisdn": DIGITS, "cost": "0.90", "initialPrice": "1", "country": "US"},
        {"msisdn": "12125550100", "cost": "x"},
        *({"msisdn": value} for value in (None, "14165550100", "442071234567")),
    ]
    server.queue(reply(200, {"count": 5, "numbers": items}))
    found = adapter("vonage", server.url).search(SearchQuery(prefix=prefix, limit=500))
    wanted = [
        Candidate(number=NUMBER, price=read_price(monthly="0.9", setup="1", currency="EUR")),
        Candidate(number="+12125550100"),
    ]
    assert found == [candidate for candidate in wanted if candidate.number.startswith(f"+1{prefix}")]
    assert server.seen[0].query == {"country": ["US"], "size": ["100"], "index": ["1"], **pattern}


def test_a_search_that_finds_nothing_is_an_empty_object(server: ScriptedServer) -> None:
    provider = adapter("vonage", server.url)
    server.queue(reply(200, {}), reply(200, {"count": 0}), reply(200, []))
    assert provider.search(SearchQuery()) == []
    for _ in range(2):
        with pytest.raises(ProviderError):
            provider.search(SearchQuery())


def test_owned_walks_the_list(server: ScriptedServer) -> None:
    server.queue(page(vonage_record(), count=2), page(vonage_record(OTHER), count=2))
    assert list(adapter("vonage", server.url).owned()) == [
        OwnedNumber(number=NUMBER, provider_number_id=DIGITS),
        OwnedNumber(number=OTHER, provider_number_id=OTHER[1:]),
    ]


UNREAD = "not told: Vonage answered HTTP 200, but with no balance as documented"
BEHIND = "; where it is used up, Vonage cancels the account's numbers"


@pytest.mark.parametrize(
    ("answer", "ok", "message"),
    [
        (reply(200, {"value": 10.28, "autoReload": False}), True, f"is told: 10.28 EUR{BEHIND}"),
        (reply(200, {"value": -3.14159, "autoReload": True}), True, f"is told: -3.14159 EUR{BEHIND}"),
        (reply(200, b'{"value": 10.10000000000000000001}'), True, f"is told: 10.10000000000000000001 EUR{BEHIND}"),
        *((reply(200, b'{"value": %s}' % value), None, UNREAD) for value in (b"null", b"true", b'"x"', b"1e9", b"NaN")),
        *((reply(200, body), None, UNREAD) for body in ([], b"no", b'{"value": 1, "value": 2}')),
        (reply(500), None, "not told: Vonage gave an answer that settles nothing (HTTP 500)"),
    ],
)
def test_the_check_tells_the_balance(server: ScriptedServer, answer: bytes, ok: bool | None, message: str) -> None:
    server.queue(reply(200, {}), reply(200, {}), answer)
    last = adapter("vonage", server.url).check()[-1]
    assert (last.name, last.ok, last.message) == ("balance", ok, message)
    assert server.seen[2].path == "/account/get-balance"


@pytest.mark.parametrize(("low", "ok"), [("10.29", False), ("10.28", False), ("10.27", True)])
def test_a_low_balance_fails_the_check_and_says_what_comes(server: ScriptedServer, low: str, ok: bool) -> None:
    server.queue(reply(200, {}), reply(200, {}), reply(200, {"value": 10.28}))
    last = adapter("vonage", server.url, low_balance=parse_low_balance(f"{low} EUR")).check()[-1]
    assert last.ok is ok
    words = f"10.28 EUR is low (low_balance is {low} EUR): pay in{BEHIND}"
    assert last.message == (f"is told: 10.28 EUR{BEHIND}" if ok else words)
