"""Bandwidth's reservations, from its specification of /api/v2 and its page 'Reserving Phone Numbers'.

POST /accounts/{id}/tnreservation with <Reservation><ReservedTn>, one number a call, is answered 201 with a Location
that ends in the reservation's id. For 4 hours by default no search shows the number, and nobody else can order it; an
order of ours has to name the id in its ReservationIdList, or it does not get the number. An account may not have it
(5046). 5040 and 5041 are a number that is not found or not available. That it costs nothing is our reading.

DELETE /accounts/{id}/tnreservation/{id} is answered 200 with the reservation that was; 5042 and 5043 are one that is
not found, and our reading is that nothing is kept by it.

What becomes of an order that names a reservation which has lapsed is not said, so an old one is not named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tasks.providers.adapter import Ask, ProviderError
from tasks.providers.bandwidth.login import Login
from tasks.providers.transport.answers import fields
from tasks.providers.transport.http import Answer
from tasks.providers.transport.xml import write_xml

HOURS = 4
_LOCATION = re.compile(r"(?:.*/)?tnreservation/([A-Za-z0-9-]{1,64})\.?", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_NOT_TO_BE_HAD = ("5040", "5041")
_NOT_THERE = ("5042", "5043")


def reserve(login: Login, account: str, numbers: Sequence[str]) -> dict[str, str | None]:
    """The id under which the one number is kept for us; none where it is not to be had. *account* is its path.

    Raises ProviderError.
    """
    [number] = numbers
    body = write_xml("Reservation", {"ReservedTn": number})
    answer = login.read(f"{account}/tnreservation", method="POST", xml=body)
    if _says(login, answer, _NOT_TO_BE_HAD):
        return {}
    login.require(answer)
    found = _LOCATION.fullmatch(answer.headers.get("location", ""))
    if answer.status != 201 or answer.flaw or found is None:
        raise ProviderError(login.session().unsettled(answer, "no_record", answer.flaw or "no reservation's address"))
    return {number: found[1]}


def cancel(login: Login, account: str, reservation: str) -> None:
    """End a reservation: its own record, or that there is none, says that it is done. Raises ProviderError."""
    if not _ID.fullmatch(reservation):
        raise ValueError("a reservation's id of other signs")
    answer = login.read(f"{account}/tnreservation/{reservation}", method="DELETE")
    if _says(login, answer, _NOT_THERE):
        return
    done = _done(login.require(answer), reservation)
    if answer.flaw or not done:
        what = answer.flaw or f"no word that reservation {reservation} ended"
        raise ProviderError(login.session().unsettled(answer, "no_record", what))


def named(asks: Sequence[Ask]) -> dict[str, Any]:
    """What an order says of the reservations of its numbers; nothing where there are none."""
    ids = [ask.reservation for ask in asks if ask.reservation]
    return {"ReservationIdList": {"ReservationId": ids}} if ids else {}


def _says(login: Login, answer: Answer, codes: tuple[str, ...]) -> bool:
    """Whether an answer is a refusal with nothing but one of *codes*."""
    return answer.status == 400 and login.session().said(answer.body).codes in [(code,) for code in codes]


def _done(answer: Answer, reservation: str) -> bool:
    record = fields(fields(fields(answer.body).get("ReservationResponse")).get("Reservation"))
    return answer.status == 200 and record.get("ReservationId") == reservation
