"""Answers that say no, or yes, beside what makes a doubt of it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind, OutcomeKind
from tasks.providers.bandwidth import errors
from tasks.providers.transport.classify import Said
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import KINDS, NUMBER, adapter, buy, success


@pytest.mark.parametrize("codes", [("85001", "10008"), ("10008", "85001"), ("20100", "10036"), ("10016", "10007")])
def test_a_doubt_among_telnyx_s_codes_is_a_doubt(server: ScriptedServer, codes: tuple[str, ...]) -> None:
    server.queue(reply(422, {"errors": [{"code": code, "title": "t", "detail": "d"} for code in codes]}))
    assert buy(adapter("telnyx", server.url), "telnyx").kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("codes", [("5005", "5218"), ("5218", "5005"), ("5005", "5086"), ("5007", "5003")])
def test_a_doubt_among_bandwidth_s_codes_is_a_doubt(codes: tuple[str, ...]) -> None:
    assert errors.judge(400, Said(codes=codes)) is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refusal_with_another_answer_behind_it_is_a_doubt(server: ScriptedServer, kind: str, status: int) -> None:
    refused, sold = reply(status, {"message": "Number is not available"}, {"X": "y"}), reply(*success(kind))
    server.queue(refused + sold)
    assert buy(adapter(kind, server.url), kind).kind is OutcomeKind.UNKNOWN


BESIDE = {
    "fluents": {"error": "Bad Request", "message": "Insufficient balance", "statusCode": 400},
    "signalwire": {"errors": [{"code": "could_not_purchase", "title": "t", "detail": "d", "status": "422"}]},
    "twilio": {"code": 21422, "message": "not available", "status": 400, "more_info": "x"},
    "telnyx": {"errors": [{"code": "10008", "title": "t", "detail": "d"}]},
    "plivo": {"error": "number is not available"},
    "bird": {"code": "NotEnoughBalance", "message": "There is not enough balance"},
    "vogent": {"error": "Validation exception"},
    "vonage": {"error-code-label": "method failed"},
}


@pytest.mark.parametrize("kind", BESIDE)
def test_a_record_within_an_error_is_no_yes(server: ScriptedServer, kind: str) -> None:
    status, body = success(kind)
    server.queue(reply(status, {**body, **BESIDE[kind]}))
    assert buy(adapter(kind, server.url), kind).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("beside", [{"active": False}, {"error": "Not Found", "statusCode": 404, "message": "no"}])
def test_a_get_of_fluents_that_says_no_beside_the_number_is_no_yes(server: ScriptedServer, beside: Any) -> None:
    server.queue(reply(200, {**success("fluents")[1], **beside}))
    server.queue(reply(200, {"items": [], "page": 1, "size": 100, "has_more": False}))
    assert adapter("fluents", server.url).look({NUMBER: None})[NUMBER].kind is not LookKind.OWNED


@pytest.mark.parametrize(
    "error", ["Unexpected error at server. Please try again!", "timeout of 30000ms exceeded", "socket hang up"]
)
def test_an_item_of_timepay_that_failed_half_way_is_a_doubt(server: ScriptedServer, error: str) -> None:
    server.queue(reply(200, {"success": True, "data": [{"number": NUMBER[1:], "success": False, "error": error}]}))
    assert buy(adapter("timepay", server.url), "timepay").kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("kind", ["timepay", "fluents", "signalwire", "vogent", "bird", "plivo", "vonage", "twilio"])
@pytest.mark.parametrize("words", ["timeout of 30000ms exceeded", "Request timed out", "Unexpected error at server"])
def test_a_400_that_tells_of_a_time_out_is_a_doubt(server: ScriptedServer, kind: str, words: str) -> None:
    server.queue(reply(400, {"success": False, "message": words, "error": "Bad Request", "statusCode": 400}))
    assert buy(adapter(kind, server.url), kind).kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("code", [20500, 20503])
@pytest.mark.parametrize("status", [400, 404])
def test_twilio_s_own_failure_is_a_doubt_whatever_the_status(server: ScriptedServer, status: int, code: int) -> None:
    server.queue(reply(status, {"code": code, "message": "An error has occurred", "status": 500}))
    assert buy(adapter("twilio", server.url), "twilio").kind is OutcomeKind.UNKNOWN


def test_an_item_of_timepay_speaks_for_itself_whatever_the_whole_says(server: ScriptedServer) -> None:
    item = {"number": NUMBER[1:], "success": True, "error": None}
    server.queue(reply(207, {"success": False, "error": "1 of 2 failed", "code": 0, "data": [item]}))
    assert buy(adapter("timepay", server.url), "timepay").kind is OutcomeKind.PURCHASED


def test_an_order_of_telnyx_beside_an_error_says_so(server: ScriptedServer) -> None:
    status, body = success("telnyx")
    server.queue(reply(status, {**body, "errors": [{"code": "10008", "title": "t", "detail": "d"}]}))
    assert buy(adapter("telnyx", server.url), "telnyx").error_code == "error_beside"
