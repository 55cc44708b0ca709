from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import OutcomeKind
from tasks.providers.transport.classify import Said, error_code, kind_of, read_said, snake, tells_of_account

ACCOUNT, REFUSED = OutcomeKind.ACCOUNT, OutcomeKind.REFUSED
THROTTLED, UNKNOWN = OutcomeKind.THROTTLED, OutcomeKind.UNKNOWN


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((400, 404, 409, 422), REFUSED),
        ((401, 402, 403), ACCOUNT),
        ((429,), THROTTLED),
        ((408, 405, 406, 410, 412, 413, 415, 418, 425, 451), UNKNOWN),
        ((300, 301, 302, 303, 307, 308), UNKNOWN),
        ((500, 501, 502, 503, 504, 520, 599), UNKNOWN),
    ],
)
def test_the_status_alone(statuses: tuple[int, ...], kind: OutcomeKind) -> None:
    assert {status: kind_of(status, Said()) for status in statuses} == dict.fromkeys(statuses, kind)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((400, ACCOUNT), (404, ACCOUNT), (409, ACCOUNT), (412, ACCOUNT), (422, ACCOUNT), (429, THROTTLED)),
        *((408, UNKNOWN), (500, UNKNOWN), (503, UNKNOWN), (302, UNKNOWN)),
    ],
)
def test_a_body_that_tells_of_balance_beats_a_client_error_only(status: int, kind: OutcomeKind) -> None:
    assert kind_of(status, Said(parts=("Not enough balance",))) == kind


@pytest.mark.parametrize("code", ["insufficient_balance", "account_limit_exceeded", "auto_top_up_deactivated"])
@pytest.mark.parametrize("status", [400, 404, 409, 422, 429])
def test_a_catalogue_code_beats_every_client_error(status: int, code: str) -> None:
    assert kind_of(status, Said(codes=("422", code))) == ACCOUNT


def test_the_catalogue_s_rate_limit_is_a_throttle_whatever_the_status() -> None:
    assert kind_of(422, Said(codes=("rate_limit_exceeded",))) == THROTTLED
    assert kind_of(500, Said(codes=("rate_limit_exceeded",))) == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "Insufficient balance",
        "There is not enough balance in the wallet",
        "not enough balance",
        "NotEnoughBalance",
        "insufficient-funds",
        "Your balance is too low.",
        "Out of credits",
        "Credit exhausted",
        "Number quota exceeded",
        "You have exceeded your quota",
        "You have reached your phone number limit",
        "The account limit has been reached",
        "Unauthorized",
        "Unauthorised request",
        "Missing or invalid authorization header",
        "Invalid API key",
        "The access key is missing or invalid",
        "Your API token has expired: access token expired",
        "invalid token",
        "Twilio credentials are invalid",
        "Authentication failed",
        "Account suspended",
        "Your account has been deactivated",
        "Payment required",
    ],
)
def test_phrases_about_the_account(text: str) -> None:
    assert tells_of_account(text)


@pytest.mark.parametrize(
    "text",
    [
        "Number is not available",
        "number not in your quota region",
        "This number is outside the quota area of the provider",
        "The balance of numbers in area 415 is sold by another carrier",
        "Unauthorized number range for this address",
        "A letter of authorization is required",
        "missing letter of authorization",
        "This number was credited to another account",
        "Invalid Attribute",
        "Invalid page token",
        "page_token is invalid",
        "account connection not found",
        "The phone number is already owned by another account",
        "number must not exceed 15 digits",
        "The limit parameter is invalid",
        "Address validation failed: missing street",
        "requires a bundle with proof of funds transfer",
        "Long Code Number not found",
        "credit card numbers are not phone numbers",
        "",
    ],
)
def test_phrases_about_a_number_or_a_request(text: str) -> None:
    assert not tells_of_account(text)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"success": False, "message": "m"}, Said(parts=("m",))),
        ({"success": False, "error": "Unauthorized", "message": "m"}, Said(parts=("Unauthorized", "m"))),
        ({"message": ["a", "b"], "error": "Bad Request", "statusCode": 400}, Said(parts=("Bad Request", "a", "b"))),
        (
            {"errors": [{"detail": None, "status": "422", "title": "Invalid Attribute", "code": "422"}]},
            Said(codes=("422",), parts=("Invalid Attribute",)),
        ),
        ({"code": "NotFound", "message": "m", "details": {"x": 1}}, Said(codes=("NotFound",), parts=("m",))),
        ({"code": 25, "message": "m"}, Said(codes=("25",), parts=("m",))),
        ({"error": "same", "message": "same"}, Said(parts=("same",))),
        (None, Said()),
        ([], Said()),
        ("text", Said()),
        ({"message": {"a": 1}, "error": None, "code": True, "errors": "x"}, Said()),
        ({"errors": [None, 5, [], {"title": "t"}]}, Said(parts=("t",))),
    ],
)
def test_error_bodies_of_the_five_pages_and_broken_ones(body: Any, said: Said) -> None:
    assert read_said(body) == said


def test_error_texts_are_bounded() -> None:
    said = read_said({"message": ["x" * 100_000] * 50, "errors": [{"title": str(n)} for n in range(1000)]})
    assert len(said.parts) < 20
    assert max(len(part) for part in said.parts) <= 4_000


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ((), "http_422"),
        (("422",), "http_422"),
        (("422", "could_not_purchase"), "could_not_purchase"),
        (("InvalidPayload",), "invalid_payload"),
        (("***",), "http_422"),
        (("x" * 500,), "x" * 64),
    ],
)
def test_the_code_is_the_provider_s_own_or_the_status(codes: tuple[str, ...], code: str) -> None:
    assert error_code(422, Said(codes=codes)) == code


@pytest.mark.parametrize(
    ("text", "words"),
    [("NotEnoughBalance", "not_enough_balance"), ("a-b c__d", "a_b_c_d"), ("HTTP", "http"), ("é!", "")],
)
def test_snake(text: str, words: str) -> None:
    assert snake(text) == words
