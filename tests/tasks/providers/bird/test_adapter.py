from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import Candidate, LookKind, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, Known, ProviderError, SearchQuery
from tests.schemas.prices import a_month
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, TOKEN, adapter, ask, bird_record, buy

NUMBERS = "/workspaces/sandbox-workspace/numbers-long-code"
STOCK = "/organizations/sandbox-organization/numbers-stock-items"
ITEM = "123e4567-e89b-12d3-a456-426614174000"


def stock_item(number: Any = NUMBER, **changes: Any) -> dict[str, Any]:
    # The example of 'Buying a number through Bird'.
    price = {"currencyCode": "EUR", "amount": 3500000, "exponent": -6}
    common = {"id": ITEM, "countryCode": "US", "type": "local", "numberString": number, "monthlyPrice": price}
    return {**common, "backOrderRequired": False, "backOrderStockId": "text", **changes}


def results(*records: Any, token: Any = None) -> bytes:
    return reply(200, {"results": list(records), **({} if token is None else {"nextPageToken": token})})


def test_the_request_is_the_page_s(server: ScriptedServer) -> None:
    server.queue(reply(201, {"results": [bird_record()]}))
    outcome = buy(adapter("bird", server.url), "bird")
    assert (outcome.kind, outcome.provider_number_id) == (OutcomeKind.PURCHASED, ID)
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.query) == ("POST", NUMBERS, {})
    assert seen.json == {"numberStockItemIds": [ask("bird").options["stock_item_id"]]}
    assert seen.headers["authorization"] == f"AccessKey {TOKEN}"


@pytest.mark.parametrize(
    ("status", "order", "kind", "look"),
    [
        ("provisioned", "fulfilled", OutcomeKind.PURCHASED, LookKind.OWNED),
        ("provisioned", "cancelled", OutcomeKind.PURCHASED, LookKind.OWNED),
        ("provisioning", "submitted", OutcomeKind.PROCESSING, LookKind.PROCESSING),
        ("provisioning", None, OutcomeKind.PROCESSING, LookKind.PROCESSING),
        (None, "draft", OutcomeKind.PROCESSING, LookKind.PROCESSING),
        (None, "fulfilled", OutcomeKind.PURCHASED, LookKind.OWNED),
        (None, None, OutcomeKind.PURCHASED, LookKind.OWNED),
        ("provisioning", "rejected", OutcomeKind.UNKNOWN, LookKind.LOST),
        ("provisioning", "cancelled", OutcomeKind.UNKNOWN, LookKind.LOST),
        (None, "rejected", OutcomeKind.UNKNOWN, LookKind.LOST),
        ("deprovisioned", "fulfilled", OutcomeKind.UNKNOWN, LookKind.LOST),
        ("deprovisioning", "processing", OutcomeKind.UNKNOWN, LookKind.LOST),
        ("exploded", "fulfilled", OutcomeKind.UNKNOWN, LookKind.UNCLEAR),
        *((status, "cancelled", OutcomeKind.UNKNOWN, LookKind.UNCLEAR) for status in ("active", "PROVISIONED", 5, {})),
        ("", "rejected", OutcomeKind.UNKNOWN, LookKind.UNCLEAR),
        (["provisioned"], "fulfilled", OutcomeKind.UNKNOWN, LookKind.UNCLEAR),
        *(
            (None, order, OutcomeKind.UNKNOWN, LookKind.UNCLEAR)
            for order in (["rejected"], "Rejected", "", 5, False, {})
        ),
        *(("provisioning", order, OutcomeKind.UNKNOWN, LookKind.UNCLEAR) for order in (["rejected"], "lost", True)),
        *(("deprovisioned", order, OutcomeKind.UNKNOWN, LookKind.UNCLEAR) for order in (["fulfilled"], "kept", 0)),
        *(("provisioned", order, OutcomeKind.PURCHASED, LookKind.OWNED) for order in (["rejected"], "lost", 0)),
    ],
)
def test_the_states_of_a_record(
    server: ScriptedServer, status: Any, order: Any, kind: OutcomeKind, look: LookKind
) -> None:
    record = bird_record(status=status, order=order)
    server.queue(reply(201, {"results": [record]}), results(record), reply(200, record), results())
    provider = adapter("bird", server.url)
    assert buy(provider, "bird").kind is kind
    assert provider.look({NUMBER: None})[NUMBER].kind is look
    assert provider.look({NUMBER: Known(number_id=ID)})[NUMBER].kind is look


@pytest.mark.parametrize(
    "strange", ["cancelled", "", 0, False, 5, [], ["x"], [{"provisioningStatus": "deprovisioned"}]]
)
@pytest.mark.parametrize("part", ["endpoint", "order"])
def test_a_part_of_a_record_that_is_no_object_is_no_state(server: ScriptedServer, part: str, strange: Any) -> None:
    record = {**bird_record(status="provisioning", order="cancelled"), part: strange}
    server.queue(reply(201, {"results": [record]}), results(record), reply(200, record), results())
    provider = adapter("bird", server.url)
    assert buy(provider, "bird").kind is OutcomeKind.UNKNOWN
    for known in (None, Known(number_id=ID)):
        assert provider.look({NUMBER: known})[NUMBER].kind is LookKind.UNCLEAR


@pytest.mark.parametrize(
    ("endpoint", "order", "look"),
    [
        (None, {"status": "cancelled"}, LookKind.LOST),
        ({}, {"status": "cancelled"}, LookKind.LOST),
        ({"provisioningStatus": "provisioning"}, None, LookKind.PROCESSING),
        (None, None, LookKind.OWNED),
    ],
)
def test_a_part_of_a_record_may_be_left_out(server: ScriptedServer, endpoint: Any, order: Any, look: LookKind) -> None:
    record = {**bird_record(), "endpoint": endpoint, "order": order}
    left_out = {key: value for key, value in record.items() if value is not None}
    server.queue(results(record), results(left_out))
    assert [adapter("bird", server.url).look({NUMBER: None})[NUMBER].kind for _ in range(2)] == [look] * 2


def test_each_number_of_a_batch_needs_its_own_record(server: ScriptedServer) -> None:
    third, fourth = "+14155550102", "+14155550103"
    records = [bird_record(OTHER, "provisioning"), bird_record(), bird_record(fourth), bird_record(fourth)]
    server.queue(reply(201, {"results": records}))
    asks = [ask("bird", number) for number in (NUMBER, OTHER, third, fourth)]
    outcomes = adapter("bird", server.url).buy(asks)
    assert [outcome.kind for outcome in outcomes] == [
        OutcomeKind.PURCHASED,
        OutcomeKind.PROCESSING,
        OutcomeKind.UNKNOWN,
        OutcomeKind.UNKNOWN,
    ]
    assert server.seen[0].json == {"numberStockItemIds": [ask.options["stock_item_id"] for ask in asks]}


@pytest.mark.parametrize(
    ("status", "body", "count", "kind", "code"),
    [
        (404, {"code": "NotFound", "message": "not found"}, 1, OutcomeKind.REFUSED, "not_found"),
        (422, {"code": "InvalidPayload", "message": "bad"}, 1, OutcomeKind.REFUSED, "invalid_payload"),
        (422, {"code": "InvalidPayload", "message": "bad"}, 2, OutcomeKind.UNKNOWN, "batch_refused"),
        (404, {"code": "NotFound", "message": "not found"}, 25, OutcomeKind.UNKNOWN, "batch_refused"),
        (422, {"code": "NotEnough", "message": "not enough balance"}, 2, OutcomeKind.UNKNOWN, "batch_refused"),
        (402, {"code": "Pay", "message": "m"}, 25, OutcomeKind.UNKNOWN, "batch_refused"),
        (401, {"code": "Denied", "message": "m"}, 2, OutcomeKind.ACCOUNT, "denied"),
        (412, {"code": "InsufficientBalance", "message": "m"}, 1, OutcomeKind.ACCOUNT, "insufficient_balance"),
        (403, {"code": "Forbidden", "message": "m"}, 2, OutcomeKind.UNKNOWN, "batch_refused"),
        (429, {"code": "TooMany", "message": "m"}, 2, OutcomeKind.UNKNOWN, "batch_refused"),
        (503, {"code": "Down", "message": "m"}, 2, OutcomeKind.UNKNOWN, "down"),
    ],
)
def test_refusals_of_one_and_of_many(
    server: ScriptedServer, status: int, body: Any, count: int, kind: OutcomeKind, code: str
) -> None:
    server.queue(reply(status, body))
    outcomes = adapter("bird", server.url).buy([ask("bird", f"+1415555{n:04d}") for n in range(count)])
    assert len(outcomes) == count
    assert {(outcome.kind, outcome.error_code, outcome.http_status) for outcome in outcomes} == {(kind, code, status)}


def prepared(server: ScriptedServer, answer: bytes, number: str = NUMBER) -> Ask | Outcome:
    server.queue(answer)
    return adapter("bird", server.url).prepare(Ask(number=number, options={}))


def test_prepare_finds_the_stock_item_by_the_exact_number(server: ScriptedServer) -> None:
    items = [stock_item(f"{NUMBER}9", id="1"), stock_item(None, id="2"), stock_item(), stock_item(id="4")]
    assert prepared(server, results(*items)) == Ask(number=NUMBER, options={"stock_item_id": ITEM})
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", STOCK)
    assert seen.query == {"countryCodes": ["US"], "prefix": [NUMBER], "limit": ["99"]}


@pytest.mark.parametrize(("named", "bought"), [("4", "4"), ("other", ITEM), (f" {ITEM}", ITEM)])
def test_the_stock_item_that_a_request_names_is_bought_where_it_is_the_number_s(
    server: ScriptedServer, named: str, bought: str
) -> None:
    """An id of a column that slipped is another number's, and nothing but the search tells."""
    server.queue(results(stock_item(), stock_item(id="4"), stock_item(f"{NUMBER}9", id="other")))
    asked = Ask(number=NUMBER, options={"stock_item_id": named})
    assert adapter("bird", server.url).prepare(asked) == Ask(number=NUMBER, options={"stock_item_id": bought})


def test_one_search_finds_the_stock_items_of_a_batch(server: ScriptedServer) -> None:
    server.queue(results(stock_item(), stock_item(OTHER, id="5"), stock_item(f"{NUMBER}9", id="6")))
    asks = [Ask(number=NUMBER), Ask(number=OTHER), Ask(number=f"{NUMBER[:-1]}7")]
    found = adapter("bird", server.url).prepare_together(asks)  # type: ignore[attr-defined]
    assert [own and own.options for own in found] == [{"stock_item_id": ITEM}, {"stock_item_id": "5"}, None]
    (seen,) = server.seen
    assert seen.query == {"countryCodes": ["US"], "prefix": [NUMBER[:-1]], "limit": ["99"]}


@pytest.mark.parametrize(
    "items", [[], [stock_item(id=None)], [stock_item(backOrderRequired=True)], [stock_item(OTHER), stock_item(id=None)]]
)
def test_prepare_refuses_what_is_not_in_stock(server: ScriptedServer, items: list[Any]) -> None:
    outcome = prepared(server, results(*items))
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.REFUSED, "not_in_stock")
    assert NUMBER in (outcome.error or "")


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (reply(500), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(302), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(408), OutcomeKind.NOT_SENT, "search_failed"),
        (CUT, OutcomeKind.NOT_SENT, "search_failed"),
        (reply(200, b"<html>"), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(200, {"results": {}}), OutcomeKind.NOT_SENT, "search_failed"),
        (results(stock_item(OTHER)), OutcomeKind.NOT_SENT, "search_failed"),
        (results(stock_item(None)), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(200, {"results": [], "errors": ["down"]}), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(429, None, {"Retry-After": "2"}), OutcomeKind.THROTTLED, "http_429"),
        (reply(401), OutcomeKind.ACCOUNT, "http_401"),
        (reply(402), OutcomeKind.ACCOUNT, "http_402"),
        (reply(403), OutcomeKind.ACCOUNT, "http_403"),
        (reply(404, {"code": "NotFound", "message": "m"}), OutcomeKind.REFUSED, "not_found"),
    ],
)
def test_a_search_that_fails_has_bought_nothing(
    server: ScriptedServer, answer: bytes, kind: OutcomeKind, code: str
) -> None:
    outcome = prepared(server, answer)
    assert isinstance(outcome, Outcome)
    assert (outcome.kind, outcome.error_code) == (kind, code)
    assert outcome.retry_after == (2.0 if kind is OutcomeKind.THROTTLED else None)


def test_a_look_by_number_compares_exactly_and_walks(server: ScriptedServer) -> None:
    server.queue(results(bird_record(f"{NUMBER}9"), token="t1"), results(bird_record()))
    look = adapter("bird", server.url).look({NUMBER: None})[NUMBER]
    assert (look.kind, look.provider_number_id) == (LookKind.OWNED, ID)
    assert [seen.query for seen in server.seen] == [
        {"numberString": [NUMBER[1:]], "limit": ["99"]},
        {"numberString": [NUMBER[1:]], "limit": ["99"], "pageToken": ["t1"]},
    ]


def test_a_number_that_was_lost_and_bought_again_is_ours(server: ScriptedServer) -> None:
    server.queue(results(bird_record(status="deprovisioned"), bird_record(status="provisioning")))
    assert adapter("bird", server.url).look({NUMBER: None})[NUMBER].kind is LookKind.PROCESSING


@pytest.mark.parametrize("by_id", [reply(404), reply(200, bird_record(status="deprovisioned"))])
def test_a_look_by_id_falls_back_on_the_number(server: ScriptedServer, by_id: bytes) -> None:
    newer = {**bird_record(), "id": "newer"}
    server.queue(by_id, results(newer))
    look = adapter("bird", server.url).look({NUMBER: Known(number_id=ID)})[NUMBER]
    assert (look.kind, look.provider_number_id) == (LookKind.OWNED, "newer")
    assert [seen.path for seen in server.seen] == [f"{NUMBERS}/{ID}", NUMBERS]


@pytest.mark.parametrize("answer", [reply(500), results({"id": ID}), reply(200, {"results": [], "errors": ["x"]})])
def test_a_record_that_is_lost_is_not_the_last_word_of_a_list_that_cannot_be_read(
    server: ScriptedServer, answer: bytes
) -> None:
    server.queue(reply(200, bird_record(status="deprovisioned")), answer)
    assert adapter("bird", server.url).look({NUMBER: Known(number_id=ID)})[NUMBER].kind is LookKind.UNCLEAR


def test_a_number_that_is_under_way_is_polled_by_one_request(server: ScriptedServer) -> None:
    server.queue(reply(200, bird_record(status="provisioning")))
    assert adapter("bird", server.url).look({NUMBER: Known(number_id=ID)})[NUMBER].kind is LookKind.PROCESSING
    assert len(server.seen) == 1


@pytest.mark.parametrize("known", ["../../secrets", "a/b", "a?b", "", "a" * 65])
def test_an_id_that_is_none_never_gets_into_a_path(server: ScriptedServer, known: str) -> None:
    server.queue(results())
    assert adapter("bird", server.url).look({NUMBER: Known(number_id=known)})[NUMBER].kind is LookKind.ABSENT
    assert [seen.path for seen in server.seen] == [NUMBERS]


@pytest.mark.parametrize(
    "answers",
    [
        [reply(200, bird_record(OTHER))],
        [reply(200, [])],
        [reply(500)],
        [reply(404), reply(500)],
        [reply(404), reply(200, {"results": None})],
        [reply(404), results(token="t"), results(token="t")],
        [reply(404), results(bird_record(OTHER))],
        [reply(404), results(token=["t"])],
    ],
)
def test_a_look_that_fails_is_never_absent(server: ScriptedServer, answers: list[bytes]) -> None:
    server.queue(*answers)
    look = adapter("bird", server.url).look({NUMBER: Known(number_id=ID)})[NUMBER]
    assert look.kind is LookKind.UNCLEAR
    assert look.error


@pytest.mark.parametrize(
    ("price", "monthly"),
    [
        ({"currencyCode": "EUR", "amount": 3500000, "exponent": -6}, "3.50 EUR"),
        ({"currencyCode": "USD", "amount": 1, "exponent": 0}, "1.00 USD"),
        ({"currencyCode": "USD", "amount": 12345, "exponent": -4}, "1.2345 USD"),
        ({"currencyCode": "USD", "amount": 0, "exponent": -2}, "0.00 USD"),
        ({"currencyCode": "JPY", "amount": 5, "exponent": 2}, "500.00 JPY"),
        ({"currencyCode": "USD", "amount": "1", "exponent": 0}, None),
        ({"currencyCode": "USD", "amount": 1, "exponent": 999999999}, None),
        ({"currencyCode": "USD", "amount": 10**40, "exponent": 0}, None),
        ({"currencyCode": "EURO", "amount": 1, "exponent": 0}, None),
        ({"currencyCode": None, "amount": 1, "exponent": 0}, None),
        (None, None),
        ([], None),
    ],
)
def test_search_shows_prices(server: ScriptedServer, price: Any, monthly: str | None) -> None:
    server.queue(
        results(stock_item(monthlyPrice=price), stock_item("+12125550100"), stock_item(backOrderRequired=True))
    )
    found = adapter("bird", server.url).search(SearchQuery(prefix="415", limit=1000))
    assert found == [Candidate(number=NUMBER, price=None if monthly is None else a_month(monthly), stock_item_id=ITEM)]
    assert server.seen[0].query == {"countryCodes": ["US"], "prefix": ["+1415"], "limit": ["99"]}


def test_search_without_a_prefix(server: ScriptedServer) -> None:
    server.queue(results(stock_item("+442071234567")))
    found = adapter("bird", server.url).search(SearchQuery(country="GB", limit=1))
    assert [candidate.number for candidate in found] == ["+442071234567"]
    assert server.seen[0].query == {"countryCodes": ["GB"], "limit": ["1"]}


def test_a_search_that_fails_raises(server: ScriptedServer) -> None:
    server.queue(reply(403))
    with pytest.raises(ProviderError) as caught:
        adapter("bird", server.url).search(SearchQuery())
    assert caught.value.outcome.kind is OutcomeKind.ACCOUNT


def test_owned_leaves_out_what_is_lost(server: ScriptedServer) -> None:
    server.queue(results(bird_record(), token="t"), results(bird_record(OTHER, "deprovisioned")))
    assert list(adapter("bird", server.url).owned()) == [OwnedNumber(number=NUMBER, provider_number_id=ID)]
    assert [seen.query for seen in server.seen] == [{"limit": ["99"]}, {"limit": ["99"], "pageToken": ["t"]}]


@pytest.mark.parametrize(
    ("answers", "lines"),
    [
        ([results(), results()], [("connection", True), ("token", True), ("workspace", True), ("organization", True)]),
        (
            [reply(404), results()],
            [("connection", True), ("workspace", False), ("token", True), ("organization", True)],
        ),
        (
            [results(), reply(404)],
            [("connection", True), ("token", True), ("workspace", True), ("organization", False)],
        ),
        ([reply(401)], [("connection", True), ("token", False)]),
        ([results(), reply(403)], [("connection", True), ("token", True), ("workspace", True), ("token", False)]),
        ([reply(402)], [("connection", True), ("account", False)]),
        ([reply(429), reply(503)], [("connection", True), ("workspace", False), ("organization", False)]),
        ([CUT], [("connection", False)]),
    ],
)
def test_the_check_tells_what_is_wrong(server: ScriptedServer, answers: list[bytes], lines: list[Any]) -> None:
    server.queue(*answers)
    checks = adapter("bird", server.url).check()
    assert [(check.name, check.ok) for check in checks] == lines
    assert len(server.seen) == len(answers)
    assert {seen.method for seen in server.seen} == {"GET"}
    assert TOKEN not in repr(checks)
