"""Bandwidth's disconnects: an order that gives numbers back, and is carried out later like any other.

From its pages 'How to disconnect phone numbers' and 'Phone Number Disconnect Summary': POST /accounts/{id}/disconnects
with a <DisconnectTelephoneNumberOrder>, whose type wrapper is needed (else 5001), is answered 201 with an
<orderRequest> that names the numbers, and mostly an OrderStatus. One page needs a `name`, the other leaves it out. 5006
is a number that is not on the account. What is disconnected ages, and can be had back for a time. Our reading: /api/v2
takes +E.164 here as it does in orders. What became of the order is not asked for: the list of numbers tells, and a
number that stays there is looked at until a person says what it is.
"""

from __future__ import annotations

from schemas.outcomes import Outcome
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import ProviderError
from tasks.providers.bandwidth.errors import errors
from tasks.providers.bandwidth.login import Login
from tasks.providers.reading import searches
from tasks.providers.transport.answers import e164, fields, identifier
from tasks.providers.transport.http import Answer
from tasks.providers.transport.release import unsent
from tasks.providers.transport.xml import many, write_xml

_TAKEN = (None, "RECEIVED", "PROCESSING", "COMPLETE")


def disconnect(login: Login, account: str, number: str, number_id: str) -> ReleaseOutcome:
    """Order that *number* is disconnected, once; a number has no id but itself. *account* is its path.

    A token is fetched in its turn where there is none: nothing was sent then that gives back.
    """
    if number_id != number:
        return unsent("bad_id", f"Bandwidth's id of {number} is another")
    try:
        session = login.session()
    except ProviderError as exc:
        return ReleaseOutcome.of(searches.search_failed(exc.outcome))
    wanted = {"TelephoneNumberList": {"TelephoneNumber": [number]}}
    body = {"name": f"Dialstock {number}", "DisconnectTelephoneNumberOrderType": wanted}
    answer = session.act("POST", f"{account}/disconnects", xml=write_xml("DisconnectTelephoneNumberOrder", body))
    if isinstance(answer, Outcome):
        if answer.http_status == 401:
            login.drop(session)
        return ReleaseOutcome.of(answer)
    flaw = answer.flaw or (None if _is_taken(answer, number) else "no order that disconnects the number")
    if flaw:
        return ReleaseOutcome.of(session.unsettled(answer, "no_record", flaw))
    return ReleaseOutcome(kind=ReleaseKind.ACCEPTED, http_status=answer.status, detail=session.clean(answer.text))


def _is_taken(answer: Answer, number: str) -> bool:
    response = fields(fields(answer.body).get("DisconnectTelephoneNumberOrderResponse"))
    order = fields(response.get("orderRequest"))
    listed = fields(fields(order.get("DisconnectTelephoneNumberOrderType")).get("TelephoneNumberList"))
    named = [e164(one) for one in many(listed.get("TelephoneNumber"))] == [number]
    ordered = answer.status == 201 and identifier(order.get("id")) is not None
    return ordered and named and not errors(response) and response.get("OrderStatus") in _TAKEN
