"""Bandwidth's orders. The 201 tells of none but that it was received: what became of its number, it tells when asked.

OrderStatus is RECEIVED, PROCESSING or BACKORDERED, and in the end COMPLETE, PARTIAL or FAILED, with the numbers in
CompletedNumbers and FailedNumbers and what was wrong in ErrorList. A number that was taken meanwhile is a FAILED order
with 5005; only with such a code is it refused, else the order was given up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from schemas.outcomes import WRONG_NUMBER, Look, LookKind, Outcome, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError
from tasks.providers.bandwidth import reservations
from tasks.providers.bandwidth.errors import REFUSED, errors
from tasks.providers.reading.claims import read_claims
from tasks.providers.transport.answers import e164, fields, identifier, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session
from tasks.providers.transport.xml import many

_UNDER_WAY = ("RECEIVED", "PROCESSING", "BACKORDERED")
_ENDED = ("COMPLETE", "PARTIAL", "FAILED")
_NOTHING: tuple[Any, ...] = (None, "", {}, [])


def body(asks: Sequence[Ask], site_id: str, peer_id: str | None) -> dict[str, Any]:
    """The Order that asks for one number, or for as many of several as can be had, with their reservations; never on
    back order.
    """
    numbers = [ask.number for ask in asks]
    several = len(numbers) > 1
    return {
        "CustomerOrderId": asks[0].reference,
        "Name": f"Dialstock {numbers[0]}" + (f" and {len(numbers) - 1} more" if several else ""),
        "SiteId": site_id,
        "PeerId": peer_id,
        "PartialAllowed": several,
        "BackOrderRequested": False,
        "ExistingTelephoneNumberOrderType": {
            "TelephoneNumberList": {"TelephoneNumber": numbers},
            **reservations.named(asks),
        },
    }


def outcome(session: Session, answer: Answer, ask: Ask, asked: Set[str]) -> Outcome:
    """What a purchase of *ask*, one of the numbers *asked*, came to that was answered with an order."""
    response = fields(fields(answer.body).get("OrderResponse"))
    order = fields(response.get("Order"))
    order_id, said = identifier(order.get("id")), order.get("CustomerOrderId")
    numbers = _ordered(order)
    foreign = set(numbers) - asked
    named = numbers.count(ask.number) == 1 and not foreign
    if order_id is None or not named or (ask.reference and said not in (None, ask.reference)):
        code = WRONG_NUMBER if foreign and ask.number not in numbers else "no_record"
        return session.unsettled(answer, code, f"no order of {ask.number}")
    if response.get("OrderStatus") not in (*_UNDER_WAY, *_ENDED):
        return session.unsettled(answer, "no_record", f"an order of {ask.number} in no state that is documented")
    found = session.yes(answer, None, OutcomeKind.PROCESSING)
    return Outcome(**{**vars(found), "provider_order_id": session.clean(order_id)})


def look(session: Session, answer: Answer, order_id: str, number: str) -> Look:
    """What one order says of *number*. Raises ProviderError for another order, and for what cannot be read."""
    response = fields(fields(answer.body).get("OrderResponse"))
    order = fields(response.get("Order"))
    # The path names the order; its answer repeats the id in some forms only.
    if order.get("id") not in (None, order_id) or number not in (_ordered(order) or _ended(response)):
        raise ProviderError(session.unsettled(answer, "no_record", f"no order {order_id} of {number}"))
    kind, code = _state(response, number)
    if answer.flaw and kind in (LookKind.REFUSED, LookKind.LOST):
        raise ProviderError(session.unsettled(answer, "unreadable_answer", answer.flaw))
    told = {
        LookKind.REFUSED: "it is not to be had",
        LookKind.LOST: "it was given up",
        LookKind.UNCLEAR: "in a state that is not documented",
    }.get(kind)
    error = f"Bandwidth's order of {number} says: {told} ({code})" if told else None
    return Look(kind=kind, provider_order_id=order_id, error=session.clean(error), error_code=session.clean(code))


def named(session: Session, answer: Answer, reference: str) -> list[str]:
    """The ids of the orders that carry our name of a call: none is a finding.

    Raises ProviderError where it is not the whole list, or holds an order of another name.
    """
    wrapper = fields(fields(answer.body).get("ResponseSelectWrapper"))
    listed = fields(wrapper.get("ListOrderIdUserIdDate"))
    found = [fields(one) for one in many(listed.get("OrderIdUserIdDate"))]
    ids = [identifier(one.get("orderId")) for one in found]
    foreign = _foreign(listed, "TotalCount", "Links", "OrderIdUserIdDate") or _foreign(wrapper, "ListOrderIdUserIdDate")
    wrong = answer.flaw or read_claims(answer.headers, len(found)).wrong(page=1, seen=0, last=True)
    if answer.status != 200 or foreign or listed.get("TotalCount") != str(len(found)):
        wrong = "no whole list of orders"
    elif fields(listed.get("Links")).get("next") not in _NOTHING or None in ids:
        wrong = "a part of the orders of one call"
    elif any(one.get("CustomerOrderId") != reference for one in found):
        wrong = "orders of another name"
    if wrong:
        raise ProviderError(session.unsettled(answer, "unreadable_list", wrong))
    return [one for one in ids if one]


def _foreign(listed: Mapping[str, Any], *known: str) -> bool:
    """Whether it holds anything that we do not know."""
    return any(value not in _NOTHING for key, value in listed.items() if key not in known)


def _state(response: Mapping[str, Any], number: str) -> tuple[LookKind, str | None]:
    status = response.get("OrderStatus")
    if status in _UNDER_WAY:
        return LookKind.PROCESSING, None
    if status in ("COMPLETE", "PARTIAL") and _names(_completed(response), number):
        return LookKind.OWNED, None
    failed = status == "FAILED" or (status == "PARTIAL" and _names(_failed(response), number))
    if failed and not _names(_completed(response), number):
        own = [one for one in errors(response) if _about(one, number)]
        codes = [str(one.get("Code")) for one in own]
        refused = bool(codes) and all(code in REFUSED for code in codes)
        return (LookKind.REFUSED if refused else LookKind.LOST), next(iter(codes), "order_failed")
    return LookKind.UNCLEAR, None


def _about(error: Mapping[str, Any], number: str) -> bool:
    """Whether an error is about *number*, or about the whole order."""
    return error.get("TelephoneNumber") in (None, "") or same_number(error["TelephoneNumber"], number)


def _ordered(order: Mapping[str, Any]) -> list[str]:
    wanted = fields(fields(order.get("ExistingTelephoneNumberOrderType")).get("TelephoneNumberList"))
    return [number for one in many(wanted.get("TelephoneNumber")) if (number := e164(one))]


def _completed(response: Mapping[str, Any]) -> list[Any]:
    done = fields(response.get("CompletedNumbers"))
    return [fields(one).get("FullNumber") for one in many(done.get("TelephoneNumber"))]


def _failed(response: Mapping[str, Any]) -> list[Any]:
    return many(fields(response.get("FailedNumbers")).get("FullNumber"))


def _ended(response: Mapping[str, Any]) -> list[str]:
    """The numbers that an ended order tells of."""
    return [number for one in (*_completed(response), *_failed(response)) if (number := e164(one))]


def _names(numbers: list[Any], number: str) -> bool:
    return any(same_number(one, number) for one in numbers)
