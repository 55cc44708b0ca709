"""Telnyx's orders: what became of a number in one. The item is read, never the order, whose numbers go their own ways.

An item's `status` is pending, success or failure, and cancelled or deleted by the vendor's guides. Without papers it is
pending with `requirements_met` false until its deadline, and cancelled by itself then. `requirements_status` tells
whether that is ours to mend (requirement-info-pending, -exception) or theirs to review.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from schemas.config.papers import paper_for, papers_mend
from schemas.outcomes import COMPLIANCE, WRONG_NUMBER, Look, LookKind, Outcome, OutcomeKind
from tasks.providers.adapter import Ask, ProviderError
from tasks.providers.reading.claims import read_claims
from tasks.providers.telnyx.config import TelnyxConfig
from tasks.providers.telnyx.pages import strange
from tasks.providers.transport.answers import e164, entries, fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

_BY_STATUS = {
    "success": LookKind.OWNED,
    "pending": LookKind.PROCESSING,
    "failure": LookKind.REFUSED,
    "cancelled": LookKind.REFUSED,
    "deleted": LookKind.LOST,
}
_OUTCOMES = {
    LookKind.OWNED: OutcomeKind.PURCHASED,
    LookKind.PROCESSING: OutcomeKind.PROCESSING,
    LookKind.REFUSED: OutcomeKind.REFUSED,
}
_IN_THEIR_HANDS = ("approved", "requirement-info-under-review")
_OVER = ("cancelled", "deleted")
_ORDER_FIELDS = ("connection_id", "messaging_profile_id", "billing_group_id")

APART = Outcome(
    kind=OutcomeKind.NOT_SENT,
    error_code="another_order",
    error="it wants another connection, profile or billing group than the first of its batch: it is ordered next",
    retry_after=0.0,
)
"""What a number of a batch comes to that has no place in its order: nothing was sent, and it is next."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One number of an order; `kind` UNCLEAR where it says nothing that is documented."""

    order_id: str
    kind: LookKind
    lacks_papers: bool = False

    def look(self, number: str) -> Look:
        """What a look says that has found this item."""
        error: str | None = None
        code: str | None = None
        if self.kind is LookKind.REFUSED:
            error, code = f"Telnyx's order of {number} has failed, or was cancelled", "order_failed"
        elif self.lacks_papers:
            error, code = lacking(number), COMPLIANCE
        elif self.kind is LookKind.UNCLEAR:
            error = "its order's state is not documented"
        return Look(
            kind=self.kind,
            provider_order_id=self.order_id,
            compliance=self.lacks_papers,
            error=error,
            error_code=code,
        )


def lacking(number: str) -> str:
    """What a person is told of an order that lacks papers. The order stands, and is cancelled by itself in the end."""
    mend = papers_mend("requirement_groups", number)
    return f"Telnyx's order of {number} stands and lacks papers: give them in its portal, and for further ones {mend}"


def find(session: Session, order: Mapping[str, Any], number: str) -> Item | None:
    """*number*'s item in an order; None where there is no single one, or the order has no id."""
    order_id = session.identify(order.get("id"))
    own = [item for item in entries(order.get("phone_numbers")) if same_number(item.get("phone_number"), number)]
    if order_id is None or len(own) != 1:
        return None
    status, papers = (own[0].get(key) for key in ("status", "requirements_status"))
    if status == "pending" and papers in _OVER:
        status = papers
    kind = _BY_STATUS.get(status, LookKind.UNCLEAR) if isinstance(status, str) else LookKind.UNCLEAR
    lacks = kind is LookKind.PROCESSING and own[0].get("requirements_met") is False and papers not in _IN_THEIR_HANDS
    return Item(order_id=order_id, kind=kind, lacks_papers=lacks)


def together(config: TelnyxConfig, asks: Sequence[Ask]) -> list[Ask]:
    """Those of *asks* that go into one order with the first."""
    given = _given(config, asks[0])
    return [ask for ask in asks if _given(config, ask) == given]


def body(config: TelnyxConfig, asks: Sequence[Ask]) -> dict[str, Any]:
    """The order of numbers that go together, each with the papers configured for its country."""
    return {"phone_numbers": [_item(config, ask) for ask in asks], **_given(config, asks[0])}


def _item(config: TelnyxConfig, ask: Ask) -> dict[str, Any]:
    papers = ask.options.get("requirement_group_id") or paper_for(config.requirement_groups, ask.number)
    return {"phone_number": ask.number, **({"requirement_group_id": papers} if papers else {})}


def _given(config: TelnyxConfig, ask: Ask) -> dict[str, Any]:
    given = {name: ask.options.get(name) or getattr(config, name) for name in _ORDER_FIELDS}
    given["customer_reference"] = ask.reference
    return {name: value for name, value in given.items() if value}


def outcome(session: Session, answer: Answer, ask: Ask, asked: Set[str]) -> Outcome:
    """What a purchase of *ask*, one of the numbers *asked*, came to that was answered with an order.

    An item's id is not the number's.
    """
    order = fields(fields(answer.body).get("data"))
    item, said = find(session, order, ask.number), order.get("customer_reference")
    if item is None or (ask.reference and said not in (None, ask.reference)):
        others = {e164(entry.get("phone_number")) for entry in entries(order.get("phone_numbers"))} - {None}
        code = WRONG_NUMBER if others - asked and ask.number not in others else "no_record"
        return session.unsettled(answer, code, f"no order of {ask.number}")
    kind = OutcomeKind.COMPLIANCE if item.lacks_papers else _OUTCOMES.get(item.kind)
    if kind is None:
        return session.unsettled(answer, "not_delivered", f"an order of {ask.number} that is not on its way to us")
    look = item.look(ask.number)
    found = replace(session.yes(answer, None, kind), provider_order_id=item.order_id)
    if found.kind is not kind:
        return found
    return replace(found, error=session.clean(look.error), error_code=look.error_code)


def one(session: Session, answer: Answer, order_id: str, number: str) -> Item:
    """The item of an order that was asked for by its id. Raises ProviderError for anything else."""
    item = find(session, fields(fields(answer.body).get("data")), number)
    if item is None or item.order_id != order_id:
        raise ProviderError(session.unsettled(answer, "no_record", f"no order {order_id} of {number}"))
    if answer.flaw and item.kind in (LookKind.REFUSED, LookKind.LOST):
        raise ProviderError(session.unsettled(answer, "unreadable_answer", answer.flaw))
    return item


def named(session: Session, answer: Answer, reference: str, number: str) -> list[Item]:
    """The items of the orders that carry our name of a call: none is a finding.

    Raises ProviderError where it is not the whole list, or holds an order of another name or number.
    """
    body = fields(answer.body)
    listed, orders = body.get("data"), entries(body.get("data"))
    foreign = [key for key, value in body.items() if key not in ("data", "meta") and value not in (None, "", [], {})]
    wrong = answer.flaw or strange(answer)
    wrong = wrong or read_claims(answer.headers, len(orders)).wrong(page=1, seen=0, last=True)
    if answer.status != 200 or not isinstance(listed, list) or len(listed) != len(orders) or foreign:
        wrong = "no list of orders as documented"
    elif not wrong and fields(body.get("meta")).get("total_results") != len(orders):
        wrong = "a part of the orders of one call"
    elif any(order.get("customer_reference") != reference for order in orders):
        wrong = "orders of another name"
    found = [find(session, order, number) for order in orders]
    if wrong or None in found:
        raise ProviderError(session.unsettled(answer, "unreadable_list", wrong or "an order of another number"))
    return [item for item in found if item]
