from __future__ import annotations

from typing import Any

import pytest

from schemas.money import read_price
from schemas.outcomes import COMPLIANCE, Candidate, Look, LookKind, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, Known, ProviderError, SearchQuery
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import HOLDING, ID, NUMBER, OTHER, TOKEN, adapter, buy, telnyx_order

REFERENCE = "0193b2c4-0000-7000-8000-000000000001-7"
PENDING_PAPERS = {"requirements_met": False, "requirements_status": "requirement-info-pending"}
COSTS = {"upfront_cost": "1.00", "monthly_cost": "2.5", "currency": "USD"}


def meta(total: int, *, page: int = 1, pages: int = 1) -> dict[str, int]:
    return {"page_number": page, "page_size": 250, "total_pages": pages, "total_results": total}


def order(status: Any = "pending", number: str = NUMBER, reference: Any = REFERENCE, **item: Any) -> dict[str, Any]:
    return {**telnyx_order(number, status, **item)["data"], "customer_reference": reference}


def orders(*found: Any, **changes: Any) -> bytes:
    return reply(200, {"data": list(found), "meta": meta(len(found)), **changes})


def listed(*numbers: str, status: str = "active") -> bytes:
    data = [{"id": f"id-{number}", "phone_number": number, "status": status} for number in numbers]
    return reply(200, {"data": data, "meta": meta(len(data))})


def look(server: ScriptedServer, known: Known, *answers: bytes) -> Look:
    server.clear()
    server.seen.clear()
    server.queue(*answers)
    return adapter("telnyx", server.url).look({NUMBER: known})[NUMBER]


BY_ID, BY_NAME = Known(order_id=ID), Known(references=(REFERENCE,))


def test_the_order_that_goes_out(server: ScriptedServer) -> None:
    server.queue(reply(200, {"data": order("success")}))
    papers = {"requirement_groups": {"US": "other", "US/local": "group-1"}, "connection_id": "c-1"}
    provider = adapter("telnyx", server.url, **papers)
    (outcome,) = provider.buy([Ask(number=NUMBER, reference=REFERENCE, options={"billing_group_id": "b-1"})])
    assert (outcome.kind, outcome.provider_order_id) == (OutcomeKind.PURCHASED, ID)
    assert outcome.provider_number_id is None
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/v2/number_orders")
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.json == {
        "phone_numbers": [{"phone_number": NUMBER, "requirement_group_id": "group-1"}],
        "connection_id": "c-1",
        "billing_group_id": "b-1",
        "customer_reference": REFERENCE,
    }


@pytest.mark.parametrize(
    ("status", "item", "kind", "code"),
    [
        ("success", {}, OutcomeKind.PURCHASED, None),
        ("pending", {}, OutcomeKind.PROCESSING, None),
        ("pending", {"requirements_met": False, "requirements_status": "approved"}, OutcomeKind.PROCESSING, None),
        (
            "pending",
            {"requirements_met": False, "requirements_status": "requirement-info-under-review"},
            OutcomeKind.PROCESSING,
            None,
        ),
        ("pending", PENDING_PAPERS, OutcomeKind.COMPLIANCE, COMPLIANCE),
        ("pending", {**PENDING_PAPERS, "requirements_status": None}, OutcomeKind.COMPLIANCE, COMPLIANCE),
        (
            "pending",
            {**PENDING_PAPERS, "requirements_status": "requirement-info-exception"},
            OutcomeKind.COMPLIANCE,
            COMPLIANCE,
        ),
        ("failure", {}, OutcomeKind.REFUSED, "order_failed"),
        ("cancelled", {}, OutcomeKind.REFUSED, "order_failed"),
        ("pending", {"requirements_status": "cancelled"}, OutcomeKind.REFUSED, "order_failed"),
        ("deleted", {}, OutcomeKind.UNKNOWN, "not_delivered"),
        *((status, {}, OutcomeKind.UNKNOWN, "not_delivered") for status in (None, "", "active", 5, ["success"], {})),
    ],
)
def test_the_item_is_read_and_not_the_order(
    server: ScriptedServer, status: Any, item: Any, kind: OutcomeKind, code: str | None
) -> None:
    server.queue(reply(200, {"data": {**order(status, **item), "status": "success"}}))
    outcome = buy(adapter("telnyx", server.url), "telnyx")
    assert (outcome.kind, outcome.error_code) == (kind, code)
    assert outcome.provider_order_id == (None if kind is OutcomeKind.UNKNOWN else ID)


def test_what_lacks_papers_tells_where_they_go(server: ScriptedServer) -> None:
    number = "+4915112345678"
    server.queue(reply(200, {"data": order("pending", number, **PENDING_PAPERS)}))
    outcome = buy(adapter("telnyx", server.url), "telnyx", number)
    assert 'requirement_groups."DE/mobile"' in (outcome.error or "")
    assert "providers.toml" in (outcome.error or "")


@pytest.mark.parametrize(
    "data",
    [
        {**order("success"), "customer_reference": "another"},
        {**order("success"), "id": None},
        {**order("success"), "phone_numbers": order("success")["phone_numbers"] * 2},
        {**order("success"), "phone_numbers": {}},
        [order("success")],
        None,
    ],
)
def test_what_is_no_order_of_this_call_is_unknown(server: ScriptedServer, data: Any) -> None:
    server.queue(reply(200, {"data": data}))
    (outcome,) = adapter("telnyx", server.url).buy([Ask(number=NUMBER, reference=REFERENCE)])
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, "no_record")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        *((422, code, OutcomeKind.REFUSED) for code in ("85000", "85001", "85006", "10002", "10016", "10012")),
        *((403, code, OutcomeKind.REFUSED) for code in ("85001", "10002")),
        *((422, f"2000{n}", OutcomeKind.ACCOUNT) for n in range(1, 9)),
        *((400, f"2001{n}", OutcomeKind.ACCOUNT) for n in range(2, 8)),
        *((422, code, OutcomeKind.ACCOUNT) for code in ("10009", "10010", "10038", "10039", "20100")),
        *((422, code, OutcomeKind.ACCOUNT) for code in ("85004", "85005")),
        *((422, code, OutcomeKind.UNKNOWN) for code in ("10007", "10008", "10036", "10037")),
        (422, "10011", OutcomeKind.THROTTLED),
        (429, "85001", OutcomeKind.THROTTLED),
        (422, "99999", OutcomeKind.REFUSED),
        (403, "99999", OutcomeKind.ACCOUNT),
        *((500, code, OutcomeKind.UNKNOWN) for code in ("85001", "10007", "20100")),
        (408, "85001", OutcomeKind.UNKNOWN),
    ],
)
def test_codes_beat_a_status_that_executed_nothing(
    server: ScriptedServer, status: int, code: str, kind: OutcomeKind
) -> None:
    server.queue(reply(status, {"errors": [{"code": code, "title": "words", "detail": "more words"}]}))
    outcome = buy(adapter("telnyx", server.url), "telnyx")
    assert (outcome.kind, outcome.error_code) == (kind, code)
    assert "words" in (outcome.error or "")
    assert ("providers.toml" in (outcome.error or "")) is (code in ("85004", "85005"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": "12"}, 12.0),
        ({"Retry-After": "3", "x-ratelimit-reset": "12"}, 3.0),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "999999999"}, 86_400.0),
    ],
)
def test_a_429_tells_in_its_headers_how_long_to_wait(
    server: ScriptedServer, headers: dict[str, str], seconds: float | None
) -> None:
    server.queue(reply(429, {"errors": [{"code": "10011"}]}, headers))
    assert buy(adapter("telnyx", server.url), "telnyx").retry_after == seconds


def searched(server: ScriptedServer) -> str:
    """How the numbers begin that the one search was for, of which no other is shown."""
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", "/v2/available_phone_numbers")
    (beginning,) = seen.query.pop("filter[phone_number][starts_with]")
    assert seen.query == {
        "filter[country_code]": ["US"],
        "filter[limit]": ["100"],
        "filter[best_effort]": ["false"],
    }
    return beginning


def test_prepare_searches_for_that_very_number(server: ScriptedServer) -> None:
    server.queue(reply(200, {"data": [{"phone_number": NUMBER}]}))
    ask = Ask(number=NUMBER)
    assert adapter("telnyx", server.url).prepare(ask) is ask
    assert searched(server) == "4155550100"


def test_prepare_finds_the_number_among_longer_ones(server: ScriptedServer) -> None:
    """Where numbers are of several lengths, one may be how others begin."""
    server.queue(reply(200, {"data": [{"phone_number": "+493090182011"}, {"phone_number": "+4930901820"}]}))
    ask = Ask(number="+4930901820")
    assert adapter("telnyx", server.url).prepare(ask) is ask


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (reply(200, {"data": []}), OutcomeKind.REFUSED, "not_in_stock"),
        (reply(200, {"data": [{"phone_number": OTHER}]}), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(200, {"data": [{"phone_number": None}]}), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(200, {"data": None}), OutcomeKind.NOT_SENT, "search_failed"),
        (reply(500), OutcomeKind.NOT_SENT, "search_failed"),
        (CUT, OutcomeKind.NOT_SENT, "search_failed"),
        (reply(401), OutcomeKind.ACCOUNT, "http_401"),
        (reply(429), OutcomeKind.THROTTLED, "http_429"),
    ],
)
def test_a_number_that_no_search_shows_is_not_ordered(
    server: ScriptedServer, answer: bytes, kind: OutcomeKind, code: str
) -> None:
    server.queue(answer)
    outcome = adapter("telnyx", server.url).prepare(Ask(number=NUMBER))
    assert not isinstance(outcome, Ask)
    assert (outcome.kind, outcome.error_code) == (kind, code)
    assert [seen.method for seen in server.seen] == ["GET"]


def test_a_number_of_no_country_is_not_ordered(server: ScriptedServer) -> None:
    outcome = adapter("telnyx", server.url).prepare(Ask(number="+88312345678901"))
    assert not isinstance(outcome, Ask)
    assert (outcome.kind, server.seen) == (OutcomeKind.REFUSED, [])


def test_an_order_that_is_pending_is_asked_after_by_its_id_alone(server: ScriptedServer) -> None:
    found = look(server, BY_ID, reply(200, {"data": order("pending")}))
    assert (found.kind, found.provider_order_id, found.compliance) == (LookKind.PROCESSING, ID, False)
    assert [seen.path for seen in server.seen] == [f"/v2/number_orders/{ID}"]


def test_an_order_that_lacks_papers_says_so(server: ScriptedServer) -> None:
    for known, answer in (
        (BY_ID, reply(200, {"data": order(**PENDING_PAPERS)})),
        (BY_NAME, orders(order(**PENDING_PAPERS))),
    ):
        found = look(server, known, answer)
        assert (found.kind, found.compliance, found.error_code) == (LookKind.PROCESSING, True, COMPLIANCE)
        assert "requirement_groups" in (found.error or "")


def test_an_order_that_succeeded_is_ours_once_the_list_shows_it(server: ScriptedServer) -> None:
    done = reply(200, {"data": order("success")})
    found = look(server, BY_ID, done, listed(NUMBER))
    known = (found.provider_number_id, found.provider_order_id)
    assert (found.kind, *known) == (LookKind.OWNED, f"id-{NUMBER}", ID)
    found = look(server, BY_ID, done, listed())
    assert (found.kind, found.provider_order_id) == (LookKind.PROCESSING, ID)
    assert [seen.path for seen in server.seen] == [f"/v2/number_orders/{ID}", "/v2/phone_numbers"]
    assert server.seen[1].query["filter[phone_number]"] == [NUMBER[1:]]


@pytest.mark.parametrize("status", ["failure", "cancelled"])
def test_a_number_is_refused_where_its_order_failed_and_the_list_does_not_show_it(
    server: ScriptedServer, status: str
) -> None:
    for known, answer in ((BY_ID, reply(200, {"data": order(status)})), (BY_NAME, orders(order(status)))):
        found = look(server, known, answer, listed(HOLDING))
        assert (found.kind, found.error_code, found.provider_order_id) == (LookKind.REFUSED, "order_failed", ID)
        found = look(server, known, answer, listed(NUMBER))
        # No order of ours brought what is listed: it may be what was given back.
        assert (found.kind, found.provider_order_id) == (LookKind.OWNED, None)
        assert look(server, known, answer, listed(NUMBER, status="purchase-failed")).kind is LookKind.LOST
        assert look(server, known, answer, reply(500)).kind is LookKind.UNCLEAR
        assert look(server, known, answer, listed(OTHER)).kind is LookKind.UNCLEAR
    assert look(server, BY_ID, reply(200, {"data": order(status)}, {"Age": "9"}), listed()).kind is LookKind.UNCLEAR


def test_where_the_known_order_failed_those_of_other_calls_are_asked_for(server: ScriptedServer) -> None:
    known = Known(order_id=ID, references=(REFERENCE, "another"))
    failed, pending = order("failure"), {**order("pending", reference="another"), "id": "order-2"}
    found = look(server, known, reply(200, {"data": failed}), orders(failed), orders(pending))
    assert (found.kind, found.provider_order_id) == (LookKind.PROCESSING, "order-2")
    assert [seen.query.get("filter[customer_reference]") for seen in server.seen] == [None, [REFERENCE], ["another"]]
    assert (
        look(server, known, reply(200, {"data": failed}), orders(failed), orders(), listed()).kind is LookKind.REFUSED
    )


def test_no_order_and_no_number_is_absent(server: ScriptedServer) -> None:
    assert look(server, BY_NAME, orders(), listed()).kind is LookKind.ABSENT
    assert [seen.path for seen in server.seen] == ["/v2/number_orders", "/v2/phone_numbers"]
    assert look(server, BY_NAME, orders(), listed(NUMBER)).kind is LookKind.OWNED


@pytest.mark.parametrize(
    "answer",
    [
        reply(404),
        reply(500),
        CUT,
        reply(200, {"data": []}),
        orders(errors=["a shard is away"]),
        orders(data=None),
        orders(data=[None], meta=meta(1)),
        orders(meta=meta(1)),
        orders(meta=meta(0, page=2)),
        orders(meta={}),
        orders(order("pending", number=OTHER)),
        orders(order("success", reference="another")),
        orders(order("success", reference=None)),
        orders({**order("success"), "phone_numbers": []}),
        orders(order("nobody knows")),
        reply(200, {"data": [], "meta": meta(0)}, {"Age": "60"}),
        reply(200, {"data": [], "meta": meta(0)}, {"X-Total-Count": "x"}),
        reply(206, {"data": [], "meta": meta(0)}),
    ],
)
def test_orders_that_cannot_be_read_leave_a_number_open_unless_the_list_shows_it(
    server: ScriptedServer, answer: bytes
) -> None:
    found = look(server, BY_NAME, answer, listed())
    assert found.kind is LookKind.UNCLEAR
    assert found.error
    assert look(server, BY_NAME, answer, listed(NUMBER)).kind is LookKind.OWNED


@pytest.mark.parametrize("answer", [reply(404), reply(200, {"data": {**order(), "id": "other"}}), reply(200, {})])
def test_an_order_that_is_not_there_by_its_id_leaves_a_number_open(server: ScriptedServer, answer: bytes) -> None:
    assert look(server, BY_ID, answer, listed()).kind is LookKind.UNCLEAR


@pytest.mark.parametrize(("answer", "account"), [(reply(429), False), (reply(401), True)])
def test_who_is_sent_away_asks_no_further(server: ScriptedServer, answer: bytes, account: bool) -> None:
    found = look(server, BY_NAME, answer)
    assert (found.kind, found.account, found.throttled) == (LookKind.UNCLEAR, account, not account)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("active", LookKind.OWNED),
        *((word, LookKind.PROCESSING) for word in ("purchase-pending", "provision-pending")),
        *((f"requirement-info-{word}", LookKind.PROCESSING) for word in ("pending", "under-review", "exception")),
        *((word, LookKind.LOST) for word in ("purchase-failed", "deleted")),
        *((word, LookKind.UNCLEAR) for word in ("emergency-only", "ported-out", "port-pending", "ACTIVE", "", None, 5)),
    ],
)
def test_a_row_is_no_yes(server: ScriptedServer, status: Any, kind: LookKind) -> None:
    assert look(server, Known(), listed(NUMBER, status=status)).kind is kind


def test_owned_walks_the_pages(server: ScriptedServer) -> None:
    rows = [
        {"id": "1", "phone_number": NUMBER, "status": "active"},
        {"id": "2", "phone_number": OTHER, "status": "deleted"},
    ]
    rows.append({"id": "3", "phone_number": "+14155550102", "status": "purchase-pending"})
    server.queue(
        reply(200, {"data": rows[:2], "meta": meta(3, pages=2)}),
        reply(200, {"data": rows[2:], "meta": meta(3, page=2, pages=2)}),
    )
    assert list(adapter("telnyx", server.url).owned()) == [
        OwnedNumber(number=NUMBER, provider_number_id="1"),
        OwnedNumber(number="+14155550102", provider_number_id="3", usable=False),
    ]
    assert [seen.query["page[number]"] for seen in server.seen] == [["1"], ["2"]]
    assert {seen.query["page[size]"][0] for seen in server.seen} == {"250"}


def test_a_search_tells_the_price(server: ScriptedServer) -> None:
    regions = [{"region_type": "state", "region_name": "CA"}]
    offers = [
        {"phone_number": NUMBER, "cost_information": COSTS, "region_information": regions},
        {"phone_number": OTHER, "cost_information": {**COSTS, "monthly_cost": "free", "upfront_cost": None}},
        {"phone_number": "+12125550100"},
    ]
    server.queue(reply(200, {"data": offers}), reply(200, {"data": [None]}))
    provider = adapter("telnyx", server.url)
    found = provider.search(SearchQuery(prefix="415", limit=500))
    price = read_price(monthly="2.5", setup="1", currency="USD")
    assert found == [Candidate(number=NUMBER, region="CA", price=price), Candidate(number=OTHER)]
    assert server.seen[0].query["filter[limit]"] == ["100"]
    with pytest.raises(ProviderError):
        provider.search(SearchQuery())
