"""Several numbers in one order: what can be had is sold, and each number is told of by itself."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind, Outcome, OutcomeKind
from tasks.providers.adapter import Adapter, Ask
from tasks.providers.transport.xml import read_xml
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, OTHER
from tests.tasks.providers.bandwidth.answers import BY_ID, BY_NAME, ID, REFERENCE, THIRD, listed, look, named, xml


def ordered(*numbers: str, **changes: Any) -> dict[str, Any]:
    wanted = {"TelephoneNumberList": {"TelephoneNumber": list(numbers)}}
    return {"CustomerOrderId": REFERENCE, "id": ID, "ExistingTelephoneNumberOrderType": wanted, **changes}


def received(*numbers: str, **changes: Any) -> bytes:
    return xml("OrderResponse", {"Order": ordered(*numbers, **changes), "OrderStatus": "RECEIVED"}, 201)


def partial(
    *errors: tuple[str, str | None], done: tuple[str, ...] = (OTHER,), failed: tuple[str, ...] = (NUMBER,)
) -> Any:
    listed = [{"Code": code, "Description": "words", "TelephoneNumber": about} for code, about in errors]
    return {
        "Order": ordered(NUMBER, OTHER, THIRD),
        "OrderStatus": "PARTIAL",
        "ErrorList": {"Error": listed},
        "CompletedNumbers": {"TelephoneNumber": [{"FullNumber": one} for one in done]},
        "FailedNumbers": {"FullNumber": list(failed)},
    }


def buy(provider: Adapter, server: ScriptedServer, answer: bytes) -> list[Outcome]:
    server.queue(answer)
    return provider.buy([Ask(number=number, reference=REFERENCE) for number in (NUMBER, OTHER)])


def test_one_order_goes_out_for_what_of_them_can_be_had(provider: Adapter, server: ScriptedServer) -> None:
    outcomes = buy(provider, server, received(OTHER, NUMBER))
    assert [(one.kind, one.provider_order_id) for one in outcomes] == [(OutcomeKind.PROCESSING, ID)] * 2
    (seen,) = server.seen
    order = read_xml(seen.body.decode())["Order"]
    assert order["PartialAllowed"] == "true"
    assert order["BackOrderRequested"] == "false"
    assert order["CustomerOrderId"] == REFERENCE
    assert len(order["Name"]) <= 50
    assert order["ExistingTelephoneNumberOrderType"]["TelephoneNumberList"]["TelephoneNumber"] == [NUMBER, OTHER]


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        (received(NUMBER), [None, "no_record"]),
        (received(NUMBER, OTHER, OTHER), [None, "no_record"]),
        (received(NUMBER, THIRD), ["no_record", "wrong_number"]),
        (received(THIRD), ["wrong_number", "wrong_number"]),
        (received(NUMBER, OTHER, CustomerOrderId="another"), ["no_record", "no_record"]),
        (received(NUMBER, OTHER, id=None), ["no_record", "no_record"]),
        (reply(201, b"<html/>"), ["no_record", "no_record"]),
    ],
)
def test_what_an_order_does_not_name_is_in_doubt(
    provider: Adapter, server: ScriptedServer, answer: bytes, codes: list[str | None]
) -> None:
    outcomes = buy(provider, server, answer)
    assert [one.error_code for one in outcomes] == codes
    assert all(one.kind is OutcomeKind.UNKNOWN for one in outcomes if one.error_code)


@pytest.mark.parametrize("code", ["5005", "5002", "5072", "5007", "5022", "5095", "5211", "5215"])
def test_a_code_for_all_of_them_refuses_none(provider: Adapter, server: ScriptedServer, code: str) -> None:
    errors = {"ErrorList": {"Error": {"Code": code, "Description": "words"}}}
    outcomes = buy(provider, server, xml("OrderResponse", errors, 400))
    assert [(one.kind, one.error_code) for one in outcomes] == [(OutcomeKind.UNKNOWN, "batch_refused")] * 2


def test_a_cut_answer_leaves_all_of_them_in_doubt(provider: Adapter, server: ScriptedServer) -> None:
    assert [one.kind for one in buy(provider, server, CUT)] == [OutcomeKind.UNKNOWN] * 2


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (partial(("5005", NUMBER)), LookKind.REFUSED),
        (partial(("5005", NUMBER), ("5003", THIRD), failed=(NUMBER, THIRD)), LookKind.REFUSED),
        (partial(("5017", None)), LookKind.REFUSED),
        (partial(("5003", NUMBER)), LookKind.LOST),
        (partial(("5005", THIRD)), LookKind.LOST),
        (partial(("5005", NUMBER), failed=(THIRD,)), LookKind.UNCLEAR),
        (partial(("5017", None), failed=()), LookKind.UNCLEAR),
        (partial(done=(NUMBER,), failed=()), LookKind.PROCESSING),  # the list is to show it
    ],
)
def test_an_order_that_ended_in_part_is_read_number_by_number(
    provider: Adapter, server: ScriptedServer, body: Any, kind: LookKind
) -> None:
    answer = xml("OrderResponse", body)
    assert look(provider, server, BY_ID, answer, reply(404), listed()).kind is kind
    assert look(provider, server, BY_NAME, named(ID), answer, reply(404), listed()).kind is kind
