"""Whatever a provider's body holds: no exception, and no purchase that the body does not confirm."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.outcomes import LookKind, OutcomeKind
from tasks.providers.adapter import Adapter, ProviderError, SearchQuery, Unsupported
from tests.scripted import ScriptedServer, reply
from tests.tasks.providers.adapters import KINDS, NUMBER, adapter, buy, success

KEYS = [
    *("success", "data", "number", "error", "message", "errors", "code", "title", "detail", "statusCode", "id", "type"),
    *("results", "numberString", "endpoint", "provisioningStatus", "order", "status", "items", "has_more", "links"),
    *("next", "cursor", "nextPageToken", "monthlyPrice", "amount"),
    *("phone_number", "sid", "account_sid", "date_created", "incoming_phone_numbers", "next_page_uri", "page", "start"),
    *("phone_number", "phone_numbers", "meta", "total_pages", "total_results", "customer_reference"),
    *("numbers", "objects", "meta", "offset", "active", "monthly_rental_rate"),
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([NUMBER, NUMBER[1:], 14155550100, "+14155550101", "provisioned", "provisioning", "cancelled"]),
)
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=12,
)
RAW = st.one_of(st.binary(max_size=200), BODIES.map(lambda body: json.dumps(body).encode()))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def provider(kind: str, server: ScriptedServer) -> Adapter:
    return adapter(kind, server.url)


@QUICK
@given(raw=RAW, status=st.sampled_from([200, 201, 400, 422]))
def test_buy_never_raises_and_never_says_yes_without_the_number(
    kind: str, provider: Adapter, server: ScriptedServer, raw: bytes, status: int
) -> None:
    server.queue(reply(status, raw))
    outcome = buy(provider, kind)
    assert outcome.http_status == status
    if outcome.yes:
        assert status < 300
        assert NUMBER[1:].encode() in raw
    assert outcome.kind is not OutcomeKind.NOT_SENT


@QUICK
@given(data=st.data())
def test_a_page_s_own_success_with_anything_in_place_of_its_values(
    kind: str, provider: Adapter, server: ScriptedServer, data: st.DataObject
) -> None:
    body = _replaced(success(kind)[1], data)
    server.queue(reply(200, body))
    outcome = buy(provider, kind)
    if outcome.yes and kind == "vonage":
        assert (outcome.kind, body["error-code"]) == (OutcomeKind.PROCESSING, "200")
    elif outcome.yes:
        assert NUMBER[1:] in json.dumps(body)


@QUICK
@given(raw=RAW, status=st.sampled_from([200, 404, 500]))
def test_reading_calls_raise_nothing_but_their_own_errors(
    kind: str, provider: Adapter, server: ScriptedServer, raw: bytes, status: int
) -> None:
    server.queue(reply(status, raw), reply(500), reply(500))
    try:
        look = provider.look({NUMBER: None})[NUMBER]
        if look.kind is LookKind.OWNED:
            assert NUMBER[1:].encode() in raw
    except Unsupported:
        assert kind == "timepay"
    server.clear()
    for call in (lambda: provider.search(SearchQuery(prefix="415")), lambda: list(provider.owned())):
        server.queue(reply(status, raw), reply(500))
        with contextlib.suppress(ProviderError, Unsupported):
            call()
        server.clear()
    server.queue(reply(status, raw), reply(status, raw))
    assert provider.check()
    server.clear()


def _replaced(body: Any, data: st.DataObject) -> Any:
    if isinstance(body, dict):
        return {key: _replaced(value, data) for key, value in body.items()}
    if isinstance(body, list):
        return [_replaced(value, data) for value in body]
    return data.draw(SCALARS) if data.draw(st.integers(0, 3)) == 0 else body
