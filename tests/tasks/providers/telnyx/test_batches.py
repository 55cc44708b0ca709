"""Several numbers in one order: each is its item's, and an order has one connection."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind, OutcomeKind
from tasks.providers.adapter import Ask, Known
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, adapter, telnyx_order
from tests.tasks.providers.telnyx.test_adapter import searched

REFERENCE = "0193b2c4-0000-7000-8000-000000000001-7"
THIRD, FOURTH = "+14155550102", "+14155550103"
META = {"page_number": 1, "page_size": 250, "total_pages": 1, "total_results": 1}


def wanted(number: str, **options: Any) -> Ask:
    return Ask(number=number, reference=REFERENCE, options=options)


def order(**states: str) -> dict[str, Any]:
    """An order of several numbers; keys are their last digits."""
    numbers = {f"+1415555{end[1:]}": status for end, status in states.items()}
    items = [item for one, word in numbers.items() for item in telnyx_order(one, word)["data"]["phone_numbers"]]
    return {**telnyx_order()["data"], "customer_reference": REFERENCE, "phone_numbers": items}


def test_one_order_goes_out_for_all(server: ScriptedServer) -> None:
    server.queue(reply(200, {"data": order(_0100="success", _0101="pending", _0102="failure")}))
    provider = adapter("telnyx", server.url, connection_id="c-1")
    asks = [wanted(NUMBER), wanted(OTHER, requirement_group_id="g-1"), wanted(THIRD), wanted(FOURTH)]
    outcomes = provider.buy(asks)
    assert [(outcome.kind, outcome.provider_order_id) for outcome in outcomes] == [
        (OutcomeKind.PURCHASED, ID),
        (OutcomeKind.PROCESSING, ID),
        (OutcomeKind.REFUSED, ID),
        (OutcomeKind.UNKNOWN, None),
    ]
    assert outcomes[3].error_code == "no_record"
    (seen,) = server.seen
    assert seen.json == {
        "phone_numbers": [
            {"phone_number": NUMBER},
            {"phone_number": OTHER, "requirement_group_id": "g-1"},
            {"phone_number": THIRD},
            {"phone_number": FOURTH},
        ],
        "connection_id": "c-1",
        "customer_reference": REFERENCE,
    }


def test_one_search_shows_all_numbers_of_an_order(server: ScriptedServer) -> None:
    numbers = [f"+141555501{index:02}" for index in range(25)]
    server.queue(reply(200, {"data": [{"phone_number": number} for number in numbers]}))
    asks = [wanted(number) for number in numbers]
    assert adapter("telnyx", server.url).prepare_together(asks) == asks  # type: ignore[attr-defined]
    assert searched(server) == "41555501"


def test_what_the_search_for_an_order_does_not_show_is_not_said_to_be_sold(server: ScriptedServer) -> None:
    server.queue(reply(200, {"data": [{"phone_number": OTHER}]}))
    asks = [wanted(NUMBER), wanted(OTHER)]
    assert adapter("telnyx", server.url).prepare_together(asks) == [None, asks[1]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("states", "codes"),
    [
        ({"_0100": "success", "_0103": "success"}, [None, "wrong_number"]),
        ({"_0103": "success"}, ["wrong_number", "wrong_number"]),
        ({}, ["no_record", "no_record"]),
    ],
)
def test_an_order_that_names_others_leaves_in_doubt_what_it_does_not_name(
    server: ScriptedServer, states: dict[str, str], codes: list[str | None]
) -> None:
    server.queue(reply(200, {"data": order(**states)}))
    outcomes = adapter("telnyx", server.url).buy([wanted(NUMBER), wanted(OTHER)])
    assert [outcome.error_code for outcome in outcomes] == codes
    assert all(outcome.kind is OutcomeKind.UNKNOWN for outcome in outcomes if outcome.error_code)


@pytest.mark.parametrize("name", ["connection_id", "messaging_profile_id", "billing_group_id"])
@pytest.mark.parametrize("answer", [reply(200, {"data": order(_0100="success", _0102="success")}), reply(422)])
def test_who_wants_another_connection_is_not_in_the_order(server: ScriptedServer, name: str, answer: bytes) -> None:
    server.queue(answer)
    provider = adapter("telnyx", server.url, **{name: "as-configured"})
    outcomes = provider.buy(
        [wanted(NUMBER), wanted(OTHER, **{name: "another"}), wanted(THIRD, **{name: "as-configured"})]
    )
    assert (outcomes[1].kind, outcomes[1].retry_after) == (OutcomeKind.NOT_SENT, 0.0)
    assert {outcomes[0].kind, outcomes[2].kind} in ({OutcomeKind.PURCHASED}, {OutcomeKind.UNKNOWN})
    (seen,) = server.seen
    assert [item["phone_number"] for item in seen.json["phone_numbers"]] == [NUMBER, THIRD]
    assert seen.json[name] == "as-configured"


@pytest.mark.parametrize("name", ["connection_id", "messaging_profile_id", "billing_group_id"])
def test_who_has_no_place_in_the_order_is_told_before_the_call_is_written_down(
    server: ScriptedServer, name: str
) -> None:
    server.queue(reply(200, {"data": [{"phone_number": number} for number in (NUMBER, OTHER, THIRD)]}))
    asks = [wanted(NUMBER), wanted(OTHER, **{name: "another"}), wanted(THIRD, **{name: "as-configured"})]
    provider = adapter("telnyx", server.url, **{name: "as-configured"})
    first, second, third = provider.prepare_together(asks)  # type: ignore[attr-defined]
    assert (first, third) == (asks[0], asks[2])
    assert (second.kind, second.error_code, second.retry_after) == (OutcomeKind.NOT_SENT, "another_order", 0.0)


@pytest.mark.parametrize("code", ["85000", "85001", "10016", "20100", "10039", "85004"])
@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_a_code_for_all_of_them_refuses_none(server: ScriptedServer, status: int, code: str) -> None:
    server.queue(reply(status, {"errors": [{"code": code, "title": "words"}]}))
    outcomes = adapter("telnyx", server.url).buy([wanted(NUMBER), wanted(OTHER)])
    assert [(outcome.kind, outcome.error_code) for outcome in outcomes] == [(OutcomeKind.UNKNOWN, "batch_refused")] * 2


def test_a_doubtful_batch_is_found_by_its_name_for_each_number(server: ScriptedServer) -> None:
    found = reply(200, {"data": [order(_0100="success", _0101="failure")], "meta": META})
    row = {"id": "id-1", "phone_number": NUMBER, "status": "active"}
    server.queue(found, reply(200, {"data": [row], "meta": META}))
    server.queue(found, reply(200, {"data": [], "meta": {**META, "total_results": 0}}))
    server.queue(found, reply(200, {"data": [], "meta": {**META, "total_results": 0}}))
    known = Known(references=(REFERENCE,))
    looks = adapter("telnyx", server.url).look({NUMBER: known, OTHER: known, THIRD: known})
    assert [look.kind for look in looks.values()] == [LookKind.OWNED, LookKind.REFUSED, LookKind.UNCLEAR]
