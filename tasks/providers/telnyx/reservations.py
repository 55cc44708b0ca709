"""Telnyx's reservations, from its page 'Number Reservations': numbers are kept for us for 30 minutes, and cost nothing.

POST /v2/number_reservations {phone_numbers: [{phone_number}]} answers with an item for each, some of which may fail:
not all numbers can be reserved. Meanwhile nobody else may search for them, or order them; we order them as any other.
Our reading: an item's `status` has the words of an order's item, so only success is a yes. How many one call may carry
is not said, and the specification has no call that gives one back: it lapses.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.providers.adapter import ProviderError
from tasks.providers.transport.answers import e164, entries, fields
from tasks.providers.transport.session import Session

RESERVATIONS = "/v2/number_reservations"


def reserve(session: Session, numbers: Sequence[str]) -> dict[str, str | None]:
    """Those of *numbers* that are reserved now; their orders need not name that. Raises ProviderError."""
    asked = {"phone_numbers": [{"phone_number": number} for number in numbers]}
    answer = session.call("POST", RESERVATIONS, json=asked)
    reservation = fields(fields(answer.body).get("data"))
    if session.identify(reservation.get("id")) is None:
        raise ProviderError(session.unsettled(answer, "no_record", "no reservation as documented"))
    items = entries(reservation.get("phone_numbers"))
    states = [(e164(item.get("phone_number")), item.get("status")) for item in items]
    return {number: None for number in numbers if [state for one, state in states if one == number] == ["success"]}
