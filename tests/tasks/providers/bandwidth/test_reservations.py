"""Numbers that Bandwidth keeps for us: only its own address of a reservation says so, and orders name it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from schemas.outcomes import OutcomeKind
from tasks.providers.adapter import Adapter, Ask, CancelsReservations, ProviderError, Reserving
from tasks.providers.transport.turns import at_once, in_turn
from tasks.providers.transport.xml import read_xml
from tests.scripted import CUT, ScriptedServer, reply
from tests.tasks.providers.adapters import NUMBER, OTHER
from tests.tasks.providers.bandwidth.answers import LOGIN, PATH, REFERENCE, xml
from tests.tasks.providers.bandwidth.test_batches import received

KNOWN = "8da0f39c-043c-4806-9f0f-497b2d197bc5"
ADDRESS = f"https://dashboard.bandwidth.com/api/accounts/9900000/TnReservation/{KNOWN}"


def created(location: str = ADDRESS, status: int = 201) -> bytes:
    return reply(status, b"", {"Location": location})


def refused(code: str, status: int = 400) -> bytes:
    told = {"ErrorCode": code, "Description": f"Reservation failed: telephone number {NUMBER} is not available."}
    return xml("ReservationResponse", {"ResponseStatus": told}, status)


def ended(known: str = KNOWN) -> bytes:
    inner = {"ReservationId": known, "AccountId": "9900000", "ReservationExpires": 1492, "ReservedTn": NUMBER}
    return xml("ReservationResponse", {"Reservation": inner})


def reserve(provider: Adapter, server: ScriptedServer, *answers: bytes) -> dict[str, Any]:
    server.queue(*answers)
    with in_turn(at_once):
        return dict(cast(Reserving, provider).reserve([NUMBER]))


def cancel(provider: Adapter, server: ScriptedServer, *answers: bytes) -> None:
    server.queue(*answers)
    with in_turn(at_once):
        cast(CancelsReservations, provider).cancel_reservation(KNOWN)


@pytest.mark.parametrize("location", [ADDRESS, ADDRESS.lower() + ".", f"{PATH}/tnreservation/{KNOWN}"])
def test_a_reservation_is_known_by_its_address(provider: Adapter, server: ScriptedServer, location: str) -> None:
    assert reserve(provider, server, created(location)) == {NUMBER: KNOWN}
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", f"{PATH}/tnreservation")
    assert read_xml(seen.body.decode()) == {"Reservation": {"ReservedTn": NUMBER}}


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (refused("5046"), OutcomeKind.REFUSED, "5046"),
        (refused("5041", 404), OutcomeKind.REFUSED, "5041"),
        (refused("5041", 500), OutcomeKind.UNKNOWN, None),
        (reply(403), OutcomeKind.ACCOUNT, None),
        (reply(429), OutcomeKind.THROTTLED, None),
        (reply(500), OutcomeKind.UNKNOWN, None),
        (CUT, OutcomeKind.UNKNOWN, None),
        (reply(201), OutcomeKind.UNKNOWN, "unreadable_answer"),
        (created(status=200), OutcomeKind.UNKNOWN, "unreadable_answer"),
        (created(f"{PATH}/orders/{KNOWN}"), OutcomeKind.UNKNOWN, "unreadable_answer"),
        (created(f"{PATH}/tnreservation/"), OutcomeKind.UNKNOWN, "unreadable_answer"),
        (created(f"{PATH}/tnreservation/a/b"), OutcomeKind.UNKNOWN, "unreadable_answer"),
    ],
)
def test_what_is_no_reservation_reserves_nothing(
    provider: Adapter, server: ScriptedServer, answer: bytes, kind: OutcomeKind, code: str | None
) -> None:
    with pytest.raises(ProviderError) as caught:
        reserve(provider, server, answer)
    assert caught.value.outcome.kind is kind
    assert code in (None, caught.value.outcome.error_code)
    assert len(server.seen) == 1


@pytest.mark.parametrize("code", ["5040", "5041"])
def test_what_is_not_to_be_had_is_not_reserved(provider: Adapter, server: ScriptedServer, code: str) -> None:
    assert reserve(provider, server, refused(code)) == {}


def test_one_is_reserved_again_with_a_new_token(provider: Adapter, server: ScriptedServer) -> None:
    assert reserve(provider, server, reply(401), LOGIN, created()) == {NUMBER: KNOWN}
    assert [seen.method for seen in server.seen] == ["POST"] * 3


def test_an_order_names_the_reservation_of_each_of_its_numbers(provider: Adapter, server: ScriptedServer) -> None:
    server.queue(received(NUMBER, OTHER))
    asks = [
        Ask(number=NUMBER, reference=REFERENCE, reservation=KNOWN),
        Ask(number=OTHER, reference=REFERENCE, reservation="other-1"),
    ]
    assert {one.kind for one in provider.buy(asks)} == {OutcomeKind.PROCESSING}
    (seen,) = server.seen
    wanted = read_xml(seen.body.decode())["Order"]["ExistingTelephoneNumberOrderType"]
    assert wanted["TelephoneNumberList"] == {"TelephoneNumber": [NUMBER, OTHER]}
    assert wanted["ReservationIdList"] == {"ReservationId": [KNOWN, "other-1"]}


def test_an_order_of_what_is_not_reserved_names_none(provider: Adapter, server: ScriptedServer) -> None:
    server.queue(received(NUMBER))
    provider.buy([Ask(number=NUMBER, reference=REFERENCE)])
    assert b"Reservation" not in server.seen[0].body


@pytest.mark.parametrize("answer", [ended(), refused("5042"), refused("5043")])
def test_a_reservation_is_given_back(provider: Adapter, server: ScriptedServer, answer: bytes) -> None:
    cancel(provider, server, answer)
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("DELETE", f"{PATH}/tnreservation/{KNOWN}")


@pytest.mark.parametrize(
    "answer",
    [
        *(ended("other-1"), refused("5047"), refused("5042", 500), refused("5042", 404), reply(404), reply(200)),
        *(reply(200, b"<html>"), reply(429), reply(500), CUT),
    ],
)
def test_what_may_stand_still_is_not_given_back(provider: Adapter, server: ScriptedServer, answer: bytes) -> None:
    with pytest.raises(ProviderError):
        cancel(provider, server, answer)
    assert len(server.seen) == 1


def test_an_id_that_would_change_the_path_goes_into_none(provider: Adapter, server: ScriptedServer) -> None:
    with pytest.raises(ProviderError):
        cast(CancelsReservations, provider).cancel_reservation("../orders")
    assert server.seen == []
