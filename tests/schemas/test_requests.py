"""schemas.requests: what is accepted, what is refused and with which words, and the fingerprint."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.requests import (
    MAX_ORDER,
    BuyNumber,
    RequestError,
    check_provider,
    parse_buy,
    parse_order,
    problems_of,
)
from schemas.requests import refusal as refusal_of
from tasks.providers.registry import kinds

KINDS = kinds()
STOCK = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"


def buy(**fields):
    return parse_buy({"number": "+14155550100", "provider": "signalwire", **fields}, KINDS)


def refusal(**fields):
    with pytest.raises(RequestError) as caught:
        buy(**fields)
    return caught.value


def test_a_request_needs_a_number_and_a_provider():
    request = buy()
    assert (request.number, request.provider) == ("+14155550100", "signalwire")
    assert (request.idempotency_key, request.options, request.metadata) == (None, {}, {})
    assert buy(number="14155550100").number == "+14155550100"


def test_digits_without_a_plus_that_have_two_readings_are_refused_with_both():
    told = str(refusal(number="9175550042"))
    assert "+1 917 555 0042 (US) or +91 75550042 (IN): write the plus" in told
    assert buy(number="918765432109").number == "+918765432109"


def test_every_problem_is_in_one_message():
    with pytest.raises(RequestError) as caught:
        parse_buy({"numbr": "+14155550100", "idempotency_key": "a b"}, KINDS)
    assert "number: is required" in str(caught.value)
    assert "provider: is required" in str(caught.value)
    assert "numbr: unknown field: did you mean 'number'?" in str(caught.value)
    assert {place for place, _ in caught.value.problems} == {"number", "provider", "numbr", "idempotency_key"}
    assert caught.value.code == "invalid_request"


def test_more_than_five_problems_are_counted():
    error = refusal(**{f"field{i}": 1 for i in range(9)})
    assert len(error.problems) == 5
    assert str(error).endswith("; and 4 more")


def test_a_field_like_no_other_lists_what_is_known():
    assert "known are number, provider, idempotency_key, options, metadata" in str(refusal(zzz=1))


def test_a_foreign_field_name_is_cut_and_cleaned():
    error = refusal(**{"x\n" * 10_000: 1})
    assert len(str(error)) < 500
    assert "\n" not in error.problems[0][0]


@pytest.mark.parametrize("number", [14155550100, None, "", "4155", "+1 415 555 0100", ["+14155550100"]])
def test_a_message_carries_e164_as_text(number):
    assert refusal(number=number).problems[0][0] == "number"


@pytest.mark.parametrize("key", ["", "a b", "a\n", "\u00e9", "x" * 201, 7])
def test_a_key_is_1_to_200_visible_ascii_characters(key):
    assert refusal(idempotency_key=key).problems[0][0] == "idempotency_key"


def test_a_key_of_200_characters_is_taken():
    assert buy(idempotency_key="~" * 200).idempotency_key == "~" * 200


def test_an_unknown_provider_names_the_nearest_or_all():
    error = refusal(provider="signalwir")
    assert (error.code, str(error)) == (
        "unknown_provider",
        "provider: 'signalwir' is not configured: did you mean 'signalwire'?",
    )
    assert f"known are {', '.join(sorted(kinds()))}" in str(refusal(provider="zzz"))
    assert error.problems == (("provider", "'signalwir' is not configured: did you mean 'signalwire'?"),)


def test_options_are_typed_by_the_providers_kind():
    assert buy(provider="bird", options={"stock_item_id": STOCK.upper()}).options == {"stock_item_id": STOCK}
    assert buy(provider="fluents", options={"inbound_agent": "Ann"}).options == {"inbound_agent": "Ann"}
    assert buy(provider="fluents", options={"inbound_agent": None}).options == {}


@pytest.mark.parametrize(
    ("provider", "options", "message"),
    [
        ("bird", {"stock_item": STOCK}, "options.stock_item: unknown field: did you mean 'stock_item_id'?"),
        ("bird", {"stock_item_id": "x"}, "options.stock_item_id: must be a UUID"),
        ("timepay", {"inbound_agent": "x"}, "options.inbound_agent: unknown field: this provider takes none"),
        ("fluents", {"inbound_agent": ""}, "options.inbound_agent: is empty: give at least one character"),
        ("fluents", {"inbound_agent": "a\x00"}, "options.inbound_agent: has a character that it cannot have"),
        ("fluents", {"inbound_agent": "x" * 201}, "options.inbound_agent: is too long: 200"),
    ],
)
def test_wrong_options_are_refused_by_name(provider, options, message):
    assert str(refusal(provider=provider, options=options)).startswith(message)


def test_a_fingerprint_covers_everything_but_the_key():
    base = buy(provider="fluents", metadata={"a": 1, "b": 2}, options={"inbound_agent": "x"})
    same = buy(provider="fluents", metadata={"b": 2, "a": 1}, options={"inbound_agent": "x"}, idempotency_key="k")
    others = [
        buy(number="+14155550101", provider="fluents", metadata=base.metadata, options=base.options),
        buy(provider="vogent", metadata=base.metadata),
        buy(provider="fluents", metadata={"a": 1}, options=base.options),
        buy(provider="fluents", metadata=base.metadata, options={"inbound_agent": "y"}),
        buy(provider="fluents", metadata={"a": "1", "b": 2}, options=base.options),
    ]
    assert same.fingerprint == base.fingerprint
    assert len({base.fingerprint, *(other.fingerprint for other in others)}) == 6


def order(*requests, **fields):
    return parse_order({"requests": list(requests), **fields}, KINDS)


def item(last=0, **fields):
    return {"number": f"+1415555{last:04d}", "provider": "bird", **fields}


def test_an_order_is_taken_whole():
    taken = order(item(1), item(2, options={"stock_item_id": STOCK.upper()}), idempotency_key="k", metadata={"a": 1})
    assert [request.number for request in taken.requests] == ["+14155550001", "+14155550002"]
    assert taken.requests[1].options == {"stock_item_id": STOCK}
    assert taken.fingerprint != order(item(2), item(1), idempotency_key="k", metadata={"a": 1}).fingerprint
    assert taken.fingerprint == order(item(1), item(2, options={"stock_item_id": STOCK}), metadata={"a": 1}).fingerprint


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        ([item(1), item(2, numbr="x")], "requests.1.numbr: unknown field: did you mean 'number'?"),
        ([item(1), item(2, provider="brid")], "requests.1.provider: 'brid' is not configured: did you mean 'bird'?"),
        ([item(1, options={"stock": STOCK})], "requests.0.options.stock: unknown field"),
        ([item(1, number="nonsense")], "requests.0.number: 'nonsense' is not E.164"),
        ([], "requests: is empty: give at least one"),
        ("x", "requests: must be a list"),
    ],
)
def test_an_order_with_one_bad_request_is_refused_by_its_place(requests, message):
    with pytest.raises(RequestError) as caught:
        parse_order({"requests": requests}, KINDS)
    assert str(caught.value).startswith(message)


def test_an_orders_refusal_keeps_its_code():
    with pytest.raises(RequestError) as caught:
        order(item(provider="zzz"))
    assert caught.value.code == "unknown_provider"


def test_a_misspelt_field_of_an_order_is_named():
    with pytest.raises(RequestError, match="request: unknown field: did you mean 'requests'"):
        parse_order({"request": []}, KINDS)


def test_an_order_has_an_upper_bound():
    assert len(order(*(item(i) for i in range(MAX_ORDER))).requests) == MAX_ORDER
    with pytest.raises(RequestError, match="10000 at most, split it"):
        order(*(item(i) for i in range(MAX_ORDER + 1)))


def test_a_refusal_and_its_problems_say_the_same():
    with pytest.raises(ValidationError) as caught:
        BuyNumber.model_validate({"number": "+14155550100"})
    assert str(refusal_of(caught.value, BuyNumber)) == "provider: is required"
    assert problems_of(caught.value, BuyNumber, "x.") == (("x.provider", "is required"),)


def test_requests_cannot_be_changed_once_checked():
    request = check_provider(BuyNumber(number="+14155550100", provider="bird"), KINDS)
    with pytest.raises(ValidationError):
        request.number = "+14155550101"


def test_one_key_for_two_requests_of_an_order_refuses_it_whole() -> None:
    requests = [
        {"number": "+14155550100", "provider": "bird", "idempotency_key": "k"},
        {"number": "+14155550101", "provider": "bird", "idempotency_key": "k"},
    ]
    with pytest.raises(RequestError, match=r"requests.1.idempotency_key: 'k' is that of requests.0") as caught:
        parse_order({"requests": requests}, {"bird": kinds()["bird"]})
    assert caught.value.code == "key_conflict"
    same = [requests[0], requests[0]]
    assert len(parse_order({"requests": same}, {"bird": kinds()["bird"]}).requests) == 2
