from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Adapter, Known
from tasks.providers.transport.xml import read_xml
from tests.scripted import CUT, ScriptedServer, Seen, reply
from tests.tasks.providers.adapters import NUMBER, OTHER
from tests.tasks.providers.bandwidth.answers import (
    ACCESS,
    ACCOUNT,
    BY_ID,
    BY_NAME,
    ID,
    LAUGHS,
    PATH,
    REFERENCE,
    THIRD,
    buy,
    complete,
    failed,
    listed,
    look,
    named,
    one,
    order,
    record,
    xml,
)


def test_the_order_that_goes_out(provider: Adapter, server: ScriptedServer) -> None:
    outcome = buy(provider, server, xml("OrderResponse", order(), 201))
    assert (outcome.kind, outcome.provider_order_id, outcome.http_status) == (OutcomeKind.PROCESSING, ID, 201)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", f"{PATH}/orders")
    assert seen.headers["content-type"].startswith("application/xml")
    assert seen.headers["accept"] == "application/xml"
    assert read_xml(seen.body.decode())["Order"] == {
        "CustomerOrderId": REFERENCE,
        "Name": f"Dialstock {NUMBER}",
        "SiteId": "1234",
        "PartialAllowed": "false",
        "BackOrderRequested": "false",
        "ExistingTelephoneNumberOrderType": {"TelephoneNumberList": {"TelephoneNumber": NUMBER}},
    }


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (reply(201, {"Order": {"id": ID}}), "unreadable_answer"),
        (reply(201, LAUGHS), "unreadable_answer"),
        (reply(201, b"<OrderResponse><Order>"), "unreadable_answer"),
        *((reply(status, b""), "unreadable_answer") for status in (200, 202, 203, 204, 206, 207)),
        (xml("OrderResponse", order(number=OTHER), 201), "wrong_number"),
        (xml("OrderResponse", order(id=None), 201), "no_record"),
        (xml("OrderResponse", order(CustomerOrderId="another"), 201), "no_record"),
        (xml("OrderResponse", order("NEW"), 201), "no_record"),
        (xml("OrderResponse", order(None), 201), "no_record"),
        (xml("Other", order(), 201), "no_record"),
    ],
)
def test_what_is_no_order_of_this_call_is_unknown(
    provider: Adapter, server: ScriptedServer, answer: bytes, code: str
) -> None:
    outcome = buy(provider, server, answer)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, code)


def errors(status: int, code: str) -> bytes:
    return xml("OrderResponse", {"ErrorList": {"Error": {"Code": code, "Description": "some words"}}}, status)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        *(
            (400, code, OutcomeKind.REFUSED)
            for code in ("5005", "5017", "5018", "5071", "5002", "5070", "5072", "5093")
        ),
        *(
            (400, code, OutcomeKind.ACCOUNT)
            for code in ("5000", "5012", "5094", "5007", "5011", "5222", "5051", "5183")
        ),
        *((400, code, OutcomeKind.ACCOUNT) for code in ("5257", "5016", "5020", "5022", "5023")),
        *((400, code, OutcomeKind.UNKNOWN) for code in ("5003", "5019", "5086", "5218")),
        (400, "5524", OutcomeKind.REFUSED),
        *((400, code, OutcomeKind.REFUSED) for code in ("5052", "5095", "5124", "5211", "5215", "5522")),
        (403, "9999", OutcomeKind.ACCOUNT),
        *((500, code, OutcomeKind.UNKNOWN) for code in ("5005", "5000")),
    ],
)
def test_codes_beat_a_status_that_executed_nothing(
    provider: Adapter, server: ScriptedServer, status: int, code: str, kind: OutcomeKind
) -> None:
    outcome = buy(provider, server, errors(status, code))
    assert (outcome.kind, outcome.error_code) == (kind, code)
    assert "some words" in (outcome.error or "")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, OutcomeKind.ACCOUNT) for status in (401, 402, 403)),
        *((status, OutcomeKind.REFUSED) for status in (400, 404, 409, 422)),
        *((status, OutcomeKind.UNKNOWN) for status in (300, 301, 302, 307, 308, 405, 408, 410, 415, 418, 425)),
        *((status, OutcomeKind.UNKNOWN) for status in (500, 501, 502, 503, 504, 599)),
    ],
)
def test_a_status_without_a_body_says_enough(
    provider: Adapter, server: ScriptedServer, status: int, kind: OutcomeKind
) -> None:
    outcome = buy(provider, server, reply(status, b"", {"Location": f"{server.url}/elsewhere"}))
    assert (outcome.kind, outcome.error_code, outcome.http_status) == (kind, f"http_{status}", status)
    assert len(server.seen) == 1


DATE = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({**DATE, "X-RateLimit-Reset": "1445412490"}, 10.0),
        ({**DATE, "X-RateLimit-Reset": "1445412000"}, 0.0),
        ({**DATE, "X-RateLimit-Reset": "99999999999"}, 86_400.0),
        ({**DATE, "X-RateLimit-Reset": "soon"}, None),
        ({"X-RateLimit-Reset": "99999999999"}, None),
        ({"Date": "yesterday", "X-RateLimit-Reset": "99999999999"}, None),
        ({**DATE, "X-RateLimit-Reset": "1445412490", "Retry-After": "3"}, 3.0),
        ({}, None),
    ],
)
def test_a_429_tells_when_by_the_provider_s_own_clock(
    provider: Adapter, server: ScriptedServer, headers: dict[str, str], seconds: float | None
) -> None:
    outcome = buy(provider, server, reply(429, b"", headers))
    assert (outcome.kind, outcome.retry_after) == (OutcomeKind.THROTTLED, seconds)


@pytest.mark.parametrize("status", ["RECEIVED", "PROCESSING", "BACKORDERED"])
def test_an_order_that_is_under_way_is_asked_after_by_its_id_alone(
    provider: Adapter, server: ScriptedServer, status: str
) -> None:
    found = look(provider, server, BY_ID, xml("OrderResponse", order(status, id=None)))
    assert (found.kind, found.provider_order_id) == (LookKind.PROCESSING, ID)
    assert [seen.path for seen in server.seen] == [f"{PATH}/orders/{ID}"]


def test_an_order_that_is_complete_is_ours_once_the_number_shows_it(provider: Adapter, server: ScriptedServer) -> None:
    done = xml("OrderResponse", complete())
    found = look(provider, server, BY_ID, done, one())
    assert (found.kind, found.provider_number_id, found.provider_order_id) == (LookKind.OWNED, NUMBER, ID)
    assert server.seen[-1].path == "/api/v2/tns/%2B14155550100"
    assert look(provider, server, BY_ID, done, one(status="InAccount")).kind is LookKind.PROCESSING
    assert look(provider, server, BY_ID, done, reply(404), listed()).kind is LookKind.PROCESSING
    found = look(provider, server, BY_ID, done, reply(404), listed(record(NUMBER)))
    assert (found.kind, found.provider_order_id) == (LookKind.OWNED, ID)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (failed("5005"), LookKind.REFUSED),
        (failed("5018", about=None), LookKind.REFUSED),
        (failed("5005", status="PARTIAL"), LookKind.REFUSED),
        *((failed(code), LookKind.LOST) for code in ("5218", "5003", "5086", "5019", "5000", "1")),
        (failed(), LookKind.LOST),
        (failed("5005", "5003"), LookKind.LOST),
        (failed("5005", about=OTHER), LookKind.LOST),
        (order("COMPLETE"), LookKind.UNCLEAR),
        (order("NEW"), LookKind.UNCLEAR),
        (order(None), LookKind.UNCLEAR),
    ],
)
def test_an_order_that_ended_without_the_number(
    provider: Adapter, server: ScriptedServer, body: Any, kind: LookKind
) -> None:
    answer = xml("OrderResponse", body)
    found = look(provider, server, BY_ID, answer, reply(404), listed(record(OTHER)))
    assert (found.kind, found.provider_order_id) == (kind, ID)
    found = look(provider, server, BY_ID, answer, one())
    # No order of ours brought what is shown: it may be what was given back.
    assert (found.kind, found.provider_order_id) == (LookKind.OWNED, None)
    found = look(provider, server, BY_NAME, named(ID), answer, reply(404), listed())
    assert found.kind is kind
    assert look(provider, server, BY_ID, answer, reply(404), reply(500)).kind is LookKind.UNCLEAR


@pytest.mark.parametrize(
    "answer",
    [
        *(reply(404), reply(500), CUT, reply(200, {}), reply(200, LAUGHS)),
        xml("OrderResponse", {**order(), "Order": {**order()["Order"], "id": "another"}}),
        xml("OrderResponse", order(number=OTHER)),
        xml("OrderResponse", failed("5005"), headers={"Age": "60"}),
    ],
)
def test_an_order_that_cannot_be_read_leaves_a_number_open(
    provider: Adapter, server: ScriptedServer, answer: bytes
) -> None:
    assert look(provider, server, BY_ID, answer, reply(404), listed()).kind is LookKind.UNCLEAR
    assert look(provider, server, BY_ID, answer, reply(404), listed(record(NUMBER))).kind is LookKind.OWNED


@pytest.mark.parametrize(
    "answer",
    [
        *(reply(404), reply(500), CUT, reply(200, {}), xml("ResponseSelectWrapper", "")),
        *(named(count=1), named(count="x"), named(reference="another", count=1), named(ID, reference="another")),
        *(named(Warning="a shard is away"), named(Links={"next": "x"})),
        *(named("", count=1), xml("Other", {"ListOrderIdUserIdDate": {"TotalCount": 0}})),
        named().replace(b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nAge: 60\r\n"),
        named().replace(b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nX-Total-Count: x\r\n"),
    ],
)
def test_orders_that_cannot_be_read_leave_a_number_open(
    provider: Adapter, server: ScriptedServer, answer: bytes
) -> None:
    assert look(provider, server, BY_NAME, answer, reply(404), listed()).kind is LookKind.UNCLEAR
    assert look(provider, server, BY_NAME, answer, one()).kind is LookKind.OWNED


def test_no_order_and_no_number_is_absent(provider: Adapter, server: ScriptedServer) -> None:
    assert look(provider, server, BY_NAME, named(), reply(404), listed(record(OTHER))).kind is LookKind.ABSENT
    assert server.seen[0].query == {"page": ["1"], "size": ["1000"], "customerOrderId": [REFERENCE]}
    assert server.seen[2].query == {"accountId": [ACCOUNT], "page": ["1"], "size": ["1000"]}
    empty = xml("TelephoneNumbersResponse", {"TelephoneNumberCount": 0})
    assert look(provider, server, Known(), reply(404), empty).kind is LookKind.ABSENT


@pytest.mark.parametrize(
    "answer",
    [
        *(
            reply(404),
            reply(500),
            CUT,
            reply(200, {"TelephoneNumberCount": 0}),
            reply(200, b"<html/>"),
            reply(200, LAUGHS),
        ),
        *(listed(count=1), listed(count="x"), listed(count=-1), listed(TelephoneNumbers=None, count=1)),
        *(listed(TelephoneNumbers="text"), listed(TelephoneNumbers={"Other": "x"}), listed(Error="x")),
        *(
            listed(Links="x"),
            listed(following="x"),
            listed(following="Link=<https://x/tns?accountId=1&page=2>;rel=next"),
        ),
        *(listed({"Status": "Inservice"}), listed({**record(OTHER), "FullNumber": "4155550101"})),
        *(listed({**record(OTHER), "Alias": NUMBER}), listed({**record(OTHER), "Note": "415 555 0100"})),
        *(listed(record(NUMBER, account="1")), listed(record(NUMBER, "Available")), listed(record(NUMBER, None))),
        *(listed(record(OTHER, account=account)) for account in ("1", "", None)),
        listed(record(OTHER), record("+14155550102", account="1")),
        listed(record(OTHER)).replace(b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nX-Cache: HIT\r\n"),
        listed(record(OTHER)).replace(b"HTTP/1.1 200 X\r\n", b"HTTP/1.1 200 X\r\nContent-Range: items 5-9/20\r\n"),
    ],
)
def test_a_list_that_is_none_leaves_a_number_open(provider: Adapter, server: ScriptedServer, answer: bytes) -> None:
    assert look(provider, server, Known(), reply(404), answer).kind is LookKind.UNCLEAR


@pytest.mark.parametrize(("status", "kind"), [("Aging", LookKind.LOST), ("InAccount", LookKind.PROCESSING)])
def test_a_row_is_no_yes(provider: Adapter, server: ScriptedServer, status: str, kind: LookKind) -> None:
    assert look(provider, server, Known(), reply(404), listed(record(NUMBER, status))).kind is kind


@pytest.mark.parametrize("answer", [one(account="1"), one(OTHER), one(status="Aging"), one(status="Available")])
def test_a_number_of_another_account_is_the_list_s_to_say(
    provider: Adapter, server: ScriptedServer, answer: bytes
) -> None:
    assert look(provider, server, Known(), answer, listed(record(OTHER))).kind is LookKind.ABSENT


def test_a_list_is_walked_by_its_links(provider: Adapter, server: ScriptedServer) -> None:
    link = f'Link=<https://api.bandwidth.com/api/v2/tns?accountId={ACCOUNT}&page=777&size=1000>;rel="next";'
    first = listed(record(NUMBER), record(OTHER, "Aging"), count=3, following=link)
    server.queue(first, listed(record(THIRD, "InAccount"), count=3))
    assert list(provider.owned()) == [
        OwnedNumber(number=NUMBER, provider_number_id=NUMBER),
        OwnedNumber(number=THIRD, provider_number_id=THIRD, usable=False),
    ]
    assert [seen.query["page"] for seen in server.seen] == [["1"], ["777"]]


def test_one_walk_looks_for_all_numbers(provider: Adapter, server: ScriptedServer) -> None:
    server.queue(reply(404), one(OTHER), reply(404), listed(record(NUMBER)))
    found = provider.look({NUMBER: None, OTHER: None, THIRD: None})
    assert [found[number].kind for number in (NUMBER, OTHER, THIRD)] == [
        LookKind.OWNED,
        LookKind.OWNED,
        LookKind.ABSENT,
    ]
    assert len(server.seen) == 4


@pytest.mark.parametrize(("answer", "account"), [(reply(429), False), (reply(403), True)])
def test_who_is_sent_away_asks_no_further(
    provider: Adapter, server: ScriptedServer, answer: bytes, account: bool
) -> None:
    found = look(provider, server, BY_ID, answer)
    assert (found.kind, found.account, found.throttled) == (LookKind.UNCLEAR, account, not account)
    assert len(server.seen) == 1


def test_secrets_of_both_kinds_come_back_in_no_text(provider: Adapter, server: ScriptedServer) -> None:
    seen: list[Seen] = server.seen
    for status in (201, 400, 500):
        outcome = buy(provider, server, reply(status, f"<OrderResponse><x>{ACCESS}</x></OrderResponse>".encode()))
        assert ACCESS not in repr(outcome)
    assert len(seen) == 3
