"""A number of Bandwidth is given back by an order to disconnect it, which is carried out later."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.outcomes import LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import Adapter, Known, releasing
from tasks.providers.transport.xml import read_xml
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import ID, NUMBER, OTHER, adapter
from tests.tasks.providers.bandwidth.answers import ACCESS, LAUGHS, LOGIN, PATH, listed, look, record, xml

ROOT = "DisconnectTelephoneNumberOrderResponse"


def taken(*numbers: str, status: Any = "RECEIVED", known: Any = ID, **more: Any) -> dict[str, Any]:
    wanted = {"TelephoneNumberList": {"TelephoneNumber": list(numbers)}, "DisconnectMode": "normal"}
    order = {"OrderCreateDate": "2026-01-02", "id": known, "DisconnectTelephoneNumberOrderType": wanted}
    return {"orderRequest": order, "OrderStatus": status, **more}


def give_back(provider: Adapter, number: str = NUMBER, known: str = NUMBER) -> ReleaseOutcome:
    found = releasing(provider)
    assert found is not None
    return found.release(number, known)


def test_an_order_to_disconnect_is_accepted(provider: Adapter, server: ScriptedServer) -> None:
    server.queue(xml(ROOT, taken(NUMBER), 201))
    outcome = give_back(provider)
    assert (outcome.kind, outcome.http_status, outcome.error) == (ReleaseKind.ACCEPTED, 201, None)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", f"{PATH}/disconnects")
    assert seen.headers["content-type"].startswith("application/xml")
    assert seen.headers["authorization"] == f"Bearer {ACCESS}"
    assert read_xml(seen.body.decode()) == {
        "DisconnectTelephoneNumberOrder": {
            "name": f"Dialstock {NUMBER}",
            "DisconnectTelephoneNumberOrderType": {"TelephoneNumberList": {"TelephoneNumber": NUMBER}},
        }
    }


ERRORS = {"ErrorList": {"Error": {"Code": "5006", "Description": "is not associated with your account"}}}


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        *((xml(ROOT, taken(NUMBER, status=status), 201), ReleaseKind.ACCEPTED) for status in (None, "PROCESSING")),
        (xml(ROOT, taken(NUMBER[2:]), 201), ReleaseKind.UNKNOWN),
        *((xml(ROOT, taken(NUMBER, status=status), 201), ReleaseKind.UNKNOWN) for status in ("FAILED", "NEW", "")),
        (xml(ROOT, taken(NUMBER), 200), ReleaseKind.UNKNOWN),
        (xml(ROOT, taken(NUMBER, known=None), 201), ReleaseKind.UNKNOWN),
        (xml(ROOT, taken(OTHER), 201), ReleaseKind.UNKNOWN),
        (xml(ROOT, taken(NUMBER, OTHER), 201), ReleaseKind.UNKNOWN),
        (xml(ROOT, taken(NUMBER, **ERRORS), 201), ReleaseKind.UNKNOWN),
        (xml("OrderResponse", taken(NUMBER), 201), ReleaseKind.UNKNOWN),
        (xml(ROOT, taken(NUMBER), 201, {"Age": "60"}), ReleaseKind.UNKNOWN),
        (reply(201, LAUGHS), ReleaseKind.UNKNOWN),
        (reply(201, taken(NUMBER)), ReleaseKind.UNKNOWN),
        (reply(204), ReleaseKind.UNKNOWN),
        (CUT, ReleaseKind.UNKNOWN),
        (xml(ROOT, ERRORS, 400), ReleaseKind.REFUSED),
        (xml(ROOT, {"ErrorList": {"Error": {"Code": "5001"}}}, 400), ReleaseKind.REFUSED),
        (xml(ROOT, {"ErrorList": {"Error": {"Code": "5012"}}}, 400), ReleaseKind.ACCOUNT),
        (reply(403, b""), ReleaseKind.ACCOUNT),
        (reply(429, b""), ReleaseKind.THROTTLED),
        (reply(500, b""), ReleaseKind.UNKNOWN),
    ],
)
def test_only_an_order_of_the_very_number_is_accepted(
    provider: Adapter, server: ScriptedServer, answer: bytes, kind: ReleaseKind
) -> None:
    server.queue(answer)
    assert give_back(provider).kind is kind
    assert len(server.seen) == 1


@pytest.mark.parametrize("known", [OTHER, NUMBER[1:], "", "../x"])
def test_an_id_of_another_number_is_not_sent(provider: Adapter, server: ScriptedServer, known: str) -> None:
    outcome = give_back(provider, known=known)
    assert (outcome.kind, outcome.error_code) == (ReleaseKind.REFUSED, "bad_id")
    assert server.seen == []


def test_a_token_is_fetched_first_and_dropped_where_it_is_refused(server: ScriptedServer) -> None:
    provider = adapter("bandwidth", server.url)
    server.queue(LOGIN, reply(401, b""), LOGIN, xml(ROOT, taken(NUMBER), 201))
    assert give_back(provider).kind is ReleaseKind.ACCOUNT
    assert give_back(provider).kind is ReleaseKind.ACCEPTED
    assert [seen.path.rpartition("/")[2] for seen in server.seen] == ["token", "disconnects"] * 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(reply(500), ReleaseKind.NOT_SENT), (CUT, ReleaseKind.NOT_SENT), (reply(401), ReleaseKind.ACCOUNT)],
)
def test_without_a_token_nothing_is_sent(server: ScriptedServer, answer: bytes, kind: ReleaseKind) -> None:
    server.queue(answer)
    assert give_back(adapter("bandwidth", server.url)).kind is kind
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", ["Aging", "Disconnected"])
def test_a_number_that_ages_is_gone(provider: Adapter, server: ScriptedServer, status: str) -> None:
    shown = reply(404), listed(record(NUMBER, status))
    assert look(provider, server, Known(number_id=NUMBER), *shown).kind is LookKind.LOST
