"""Each row of the outcome table, for each provider, over a real socket."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest

from schemas.outcomes import MAX_TEXT, WRONG_NUMBER, Outcome, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError, SearchQuery, Unsupported
from tasks.providers.guard import ADAPTER_ERROR
from tasks.providers.registry import kinds
from tests.scripted import CUT, SILENCE, ScriptedServer, reply
from tests.tasks.providers.adapters import (
    ACCOUNT_SID,
    ID,
    KINDS,
    NUMBER,
    OTHER,
    TOKEN,
    adapter,
    ask,
    bird_record,
    buy,
    success,
)

KNOWN = {"timepay": None, "telnyx": None, "vonage": None, "plivo": NUMBER[1:]}
"""The id in a success, where it is another than `ID`."""

pytestmark = pytest.mark.parametrize("kind", KINDS)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 207, 226])
def test_any_2xx_with_the_number_s_record_is_a_purchase(server: ScriptedServer, kind: str, status: int) -> None:
    server.queue(reply(status, success(kind)[1]))
    outcome = buy(adapter(kind, server.url), kind)
    if kind == "vonage" and status != 200:  # one yes is documented
        assert (outcome.kind, outcome.http_status, outcome.error_code) == (OutcomeKind.UNKNOWN, status, "no_record")
        return
    # Vonage's yes names no number: its record is to be looked up.
    yes = OutcomeKind.PROCESSING if kind == "vonage" else OutcomeKind.PURCHASED
    assert (outcome.kind, outcome.http_status, outcome.error, outcome.error_code) == (yes, status, None, None)
    assert outcome.provider_number_id == KNOWN.get(kind, ID)
    assert outcome.provider_order_id == (ID if kind == "telnyx" else None)
    assert outcome.detail is not None
    assert outcome.yes


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "unreadable_answer"),
        (b"<html>ok</html>", "unreadable_answer"),
        (b'{"id": "1", "number": "+1415', "unreadable_answer"),
        (b"\xff\xfe", "unreadable_answer"),
        (b"[" * 50_000, "unreadable_answer"),
        (b"[]", None),
        (b"{}", None),
        (b"true", None),
        (b'{"success": true}', None),
        (b'{"success": true, "data": []}', None),
        (b'{"results": []}', None),
        (b'{"results": {"numberString": "+14155550100"}}', None),
        (b'{"id": "1"}', None),
    ],
)
def test_a_2xx_that_is_silent_or_unreadable_is_unknown(
    server: ScriptedServer, kind: str, body: bytes, code: str | None
) -> None:
    server.queue(reply(200, body))
    outcome = buy(adapter(kind, server.url), kind)
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert outcome.http_status == 200
    assert outcome.error
    assert outcome.error_code == code if code else outcome.error_code in ("no_record", "item_missing")


def test_a_204_is_unknown(server: ScriptedServer, kind: str) -> None:
    server.queue(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    outcome = buy(adapter(kind, server.url), kind)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, "unreadable_answer")


def test_a_2xx_about_another_number_is_unknown(server: ScriptedServer, kind: str) -> None:
    status, body = success(kind, OTHER)
    server.queue(reply(status, body | {"msisdn": OTHER[1:]} if kind == "vonage" else body))
    outcome = buy(adapter(kind, server.url), kind)
    assert outcome.kind is OutcomeKind.UNKNOWN
    # TimePay cannot be asked, so what it does not name is a person's anyway.
    assert outcome.error_code == ("item_missing" if kind == "timepay" else WRONG_NUMBER)
    assert outcome.provider_number_id is None


def its_own(kind: str) -> dict[str, Any]:
    """What a refusal says beside its status: who cannot be asked is believed in its own words alone."""
    return {"success": False} if kind == "timepay" else {}


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_the_number_is_refused(server: ScriptedServer, kind: str, status: int) -> None:
    server.queue(reply(status, {**its_own(kind), "message": "Number is not available"}))
    outcome = buy(adapter(kind, server.url), kind)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.REFUSED, f"http_{status}")
    assert "Number is not available" in (outcome.error or "")
    assert "Number is not available" in (outcome.detail or "")
    assert outcome.http_status == status


@pytest.mark.parametrize("status", [400, 402, 404])
@pytest.mark.parametrize("body", [None, b"", b"<html>", [], {"errors": [None]}, {"message": {"a": [1]}}])
def test_a_refusal_needs_no_readable_body(server: ScriptedServer, kind: str, status: int, body: Any) -> None:
    server.queue(reply(status, body))
    outcome = buy(adapter(kind, server.url), kind)
    wanted = OutcomeKind.ACCOUNT if status in (401, 402, 403) else OutcomeKind.REFUSED
    assert (outcome.said if its_own(kind) else outcome.kind) is wanted
    assert outcome.kind is (OutcomeKind.UNKNOWN if its_own(kind) else wanted)
    assert (outcome.error_code, outcome.http_status) == (f"http_{status}", status)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
@pytest.mark.parametrize(
    "body",
    [
        {"message": "Insufficient balance", "error": "Bad Request", "statusCode": 400},
        {"code": "NotEnoughBalance", "message": "There is not enough balance"},
        {"errors": [{"detail": None, "status": "422", "title": "x", "code": "account_limit_exceeded"}]},
    ],
)
def test_a_body_that_tells_of_the_account_beats_the_status(
    server: ScriptedServer, kind: str, status: int, body: Any
) -> None:
    server.queue(reply(status, {**its_own(kind), **body}))
    assert buy(adapter(kind, server.url), kind).kind is OutcomeKind.ACCOUNT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(({}, None), ({"Retry-After": "3"}, 3.0), ({"Retry-After": "later"}, None)),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_429_is_throttled(server: ScriptedServer, kind: str, header: dict[str, str], seconds: float | None) -> None:
    server.queue(reply(429, {"message": "Too many requests"}, header))
    outcome = buy(adapter(kind, server.url), kind)
    assert (outcome.kind, outcome.retry_after, outcome.http_status) == (OutcomeKind.THROTTLED, seconds, 429)


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 405, 408, 410, 418, 425, 500, 501, 502, 503, 504, 599])
def test_any_other_status_is_unknown_and_no_redirect_is_followed(
    server: ScriptedServer, kind: str, status: int
) -> None:
    server.queue(reply(status, {"message": "?"}, {"Location": f"{server.url}/elsewhere"}))
    outcome = buy(adapter(kind, server.url), kind)
    assert (outcome.kind, outcome.error_code, outcome.http_status) == (OutcomeKind.UNKNOWN, f"http_{status}", status)
    assert len(server.seen) == 1


def test_a_5xx_with_a_success_in_its_body_is_unknown(server: ScriptedServer, kind: str) -> None:
    server.queue(reply(500, success(kind)[1]))
    assert buy(adapter(kind, server.url), kind).kind is OutcomeKind.UNKNOWN


def test_a_cut_connection_is_unknown(server: ScriptedServer, kind: str) -> None:
    server.queue(CUT)
    outcome = buy(adapter(kind, server.url), kind)
    assert (outcome.kind, outcome.http_status) == (OutcomeKind.UNKNOWN, None)
    assert outcome.error_code in ("remote_protocol_error", "read_error")
    assert len(server.seen) == 1


def test_an_answer_that_breaks_off_is_unknown(server: ScriptedServer, kind: str) -> None:
    server.queue(reply(*success(kind))[:-5])
    assert buy(adapter(kind, server.url), kind).kind is OutcomeKind.UNKNOWN


def test_no_answer_is_unknown(server: ScriptedServer, kind: str) -> None:
    server.queue(SILENCE)
    outcome = buy(adapter(kind, server.url, policy={"timeout": 0.2}), kind)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.UNKNOWN, "read_timeout")


def test_no_connection_is_not_sent(kind: str) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        outcome = buy(adapter(kind, f"http://127.0.0.1:{held.getsockname()[1]}"), kind)
    assert (outcome.kind, outcome.error_code) == (OutcomeKind.NOT_SENT, "connect_error")
    assert outcome.http_status is None


def test_a_failed_tls_handshake_is_not_sent(server: ScriptedServer, kind: str) -> None:
    url = server.url.replace("http://", "https://")
    outcome = buy(adapter(kind, url, policy={"connect_timeout": 0.3}), kind)
    assert outcome.kind is OutcomeKind.NOT_SENT
    assert outcome.error_code in ("connect_error", "connect_timeout")


def test_texts_are_bounded_and_on_one_line(server: ScriptedServer, kind: str) -> None:
    server.queue(reply(422, {"message": "bad\n\x00\ud800 " + "x" * 100_000}))
    outcome = buy(adapter(kind, server.url), kind)
    for text in (outcome.error, outcome.detail):
        assert text is not None
        assert len(text) <= MAX_TEXT
        assert text.isprintable()


@pytest.mark.parametrize("status", [200, 401, 422, 429, 500])
@pytest.mark.parametrize("place", ["message", "title", "code", "id", "raw", "cut", "basic"])
def test_no_secret_comes_back_in_a_text(server: ScriptedServer, kind: str, status: int, place: str) -> None:
    server.queue(reply(status, _echo(kind, place)))
    outcome = buy(adapter(kind, server.url), kind)
    texts = [outcome.error, outcome.error_code, outcome.detail, outcome.provider_number_id]
    assert TOKEN not in repr(texts)
    assert TOKEN[:10] not in repr(texts)
    assert kind not in USERS or _basic(kind) not in repr(texts)


USERS = {"signalwire": "sandbox-project", "twilio": ACCOUNT_SID, "plivo": "MASANDBOX00000000001", "vonage": "sandbox1"}
"""Who signs in by HTTP Basic."""


def _basic(kind: str) -> str:
    return base64.b64encode(f"{USERS.get(kind, '')}:{TOKEN}".encode()).decode()


def _echo(kind: str, place: str) -> Any:
    body = success(kind)[1]
    record = {"bird": lambda: body["results"][0], "telnyx": lambda: body["data"]}.get(kind, lambda: body)()
    if place == "raw":
        return f"<h1>no access for {TOKEN}</h1>".encode()
    if place == "cut":
        return {"message": "x" * (MAX_TEXT - 10) + TOKEN}
    if place == "basic":
        return {"message": f"your header was Basic {_basic(kind)}"}
    if place == "id":
        record["sid" if kind == "twilio" else "id"] = TOKEN
        return body
    if place == "code":
        return {"code": TOKEN, "message": "m", "errors": [{"code": TOKEN.lower()}]}
    return {place: f"token {TOKEN} is bad", "errors": [{"title": f"token {TOKEN} is bad"}]}


def test_the_adapter_tells_its_batch(kind: str) -> None:
    provider = adapter(kind, "http://127.0.0.1:9")
    assert provider.max_batch == (25 if kind in ("bird", "timepay", "telnyx") else 1)
    lookups = {"timepay": "none", "vogent": "by_list", "fluents": "by_list", "vonage": "by_list"}
    assert provider.lookup == lookups.get(kind, "by_number")
    assert provider.can_search is kinds()[kind].searches is (kind != "timepay")
    with pytest.raises(ProviderError if kind not in ("timepay", "vogent") else Unsupported):
        provider.search(SearchQuery())
    if provider.max_batch == 1:
        outcomes = provider.buy([ask(kind), ask(kind, OTHER)])
        assert [outcome.error_code for outcome in outcomes] == [ADAPTER_ERROR] * 2


def test_prepare_needs_no_call_unless_it_must_search(kind: str) -> None:
    provider = adapter(kind, "http://127.0.0.1:9")
    wanted = ask(kind)
    if kind in ("bird", "telnyx"):
        outcome = provider.prepare(wanted)
        assert isinstance(outcome, Outcome)
        assert outcome.kind is OutcomeKind.NOT_SENT
    else:
        assert provider.prepare(wanted) is wanted
    assert isinstance(wanted, Ask)
    assert bird_record()["numberString"] == NUMBER
