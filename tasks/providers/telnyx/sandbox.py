"""Telnyx's sandbox, after its published specification and its guides 'Number search' and 'Number orders'.

A number is sold that a search has shown; else 422 with code 85000. An order is pending until its number is ready. Only
of that code the status is known: the others' are ours. A refusal for want of papers is an order that stands.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from uuid import uuid4

from schemas.numbering.regions import region_of
from tasks.providers.sandbox.api import AccountReason, Line, Order, SandboxApi, route
from tasks.providers.sandbox.exchange import (
    E164,
    TEXT,
    Check,
    Incoming,
    Invalid,
    Problem,
    Refusal,
    Reply,
    bounded,
    check_object,
)
from tasks.providers.sandbox.ledger import Record
from tasks.providers.telnyx.sandbox_orders import ORDER_FIELDS, order, status, type_of

_ITEM, _OPTIONAL = {"phone_number": E164}, {"requirement_group_id": TEXT, "bundle_id": TEXT}
_LIST = Check(lambda value: isinstance(value, list) and bool(value), "must be a list of numbers")
_SEARCH = (
    *("filter[country_code]", "filter[phone_number][starts_with]", "filter[phone_number][ends_with]"),
    *("filter[phone_number][contains]", "filter[national_destination_code]", "filter[phone_number_type]"),
    *("filter[limit]", "filter[best_effort]"),
)
_PAGING = ("page[number]", "page[size]")
_COST = {"upfront_cost": "1.00", "monthly_cost": "1.00", "currency": "USD"}
_BALANCE = {
    "record_type": "balance",
    "pending": "0.00",
    "balance": "100.00",
    "credit_limit": "0.00",
    "available_credit": "100.00",
    "currency": "USD",
}


class TelnyxApi(SandboxApi):
    """Number orders, owned numbers, the search that comes before an order, and the balance."""

    partial = True
    routes = (
        route("POST", "/v2/number_orders"),
        route("GET", "/v2/number_orders", "list_orders"),
        route("GET", "/v2/number_orders/{id}", "get_order"),
        route("GET", "/v2/phone_numbers", "list_owned"),
        route("DELETE", "/v2/phone_numbers/{id}", "find"),
        route("GET", "/v2/available_phone_numbers", "search"),
        route("GET", "/v2/balance", "balance"),
        route("POST", "/v2/number_reservations", "reserve"),
    )

    def read_order(self, incoming: Incoming) -> Order:
        """{phone_numbers: [{phone_number}]}, of numbers that a search has shown."""
        body = check_object(incoming.json(), {"phone_numbers": _LIST}, dict.fromkeys(ORDER_FIELDS, TEXT))
        numbers = [check_object(item, _ITEM, _OPTIONAL)["phone_number"] for item in body["phone_numbers"]]
        if not all(map(self.inventory.was_shown, numbers)):
            raise Refusal(_errors(422, "85000", "Phone number not recently searched"))
        extra = {"order_id": str(uuid4()), **{name: body.get(name) for name in ORDER_FIELDS}}
        return Order(account="", numbers=numbers, extra=extra)

    def sold(self, lines: Sequence[Line]) -> Reply:
        """The order with its items: one that lacks papers stands, and one of several that is refused has failed.

        (Telnyx does not say what it does then. A number that is refused alone is 85001.)
        """
        if _refused_alone(lines):
            return _errors(422, "85001", "The requested phone number is no longer available")
        records = [_standing(line) for line in lines if line.state != "missing"]
        return Reply(200, {"data": order(records)} if records else {})

    def take(self, lines: Sequence[Line]) -> None:
        """An order names all of its numbers, whatever became of them and of its answer."""
        for line in () if _refused_alone(lines) else lines:
            if line.state == "refused":
                self.ledger.take(_standing(line))

    def list_orders(self, incoming: Incoming) -> Reply:
        """Orders, by our name of the call where one is given."""
        incoming.only("filter[customer_reference]", "filter[status]", *_PAGING)
        wanted = incoming.text("filter[customer_reference]")
        found = [one for one in self._orders() if wanted in ("", one["customer_reference"])]
        return _page(incoming, found)

    def get_order(self, incoming: Incoming) -> Reply:
        """One order by its id."""
        found = next((one for one in self._orders() if one["id"] == incoming.args[0]), None)
        return self.not_found() if found is None else Reply(200, {"data": found})

    def list_owned(self, incoming: Incoming) -> Reply:
        """Owned numbers, newest first; the filter takes digits, and anything else finds nothing."""
        incoming.only("filter[phone_number]", "filter[customer_reference]", "filter[status]", *_PAGING)
        digits = incoming.text("filter[phone_number]")
        owned = filter(self.ledger.lists, reversed(self.ledger.owned(self.kind, "")))
        wanted = [one for one in owned if digits in one.number and (not digits or digits.isdecimal())]
        return _page(incoming, [self.describe(record) for record in wanted])

    def find(self, incoming: Incoming) -> Record | None:
        """The owned number with the path's id."""
        return self.ledger.by_id(self.kind, "", incoming.args[0])

    def given_back(self, record: Record) -> Reply:
        """200 with the record."""
        return Reply(200, {"data": {**self.describe(record), "status": "deleted"}})

    def not_found(self) -> Reply:
        """10005."""
        return _errors(404, "10005", "Resource not found")

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale, which may be ordered from now on; prefixes are national."""
        incoming.only(*_SEARCH)
        country = incoming.text("filter[country_code]")
        if len(country) != 2:
            raise Invalid(Problem("filter[country_code]", "is required"))
        text = incoming.text("filter[limit]")
        limit = bounded("filter[limit]", int(text) if text.isdecimal() else text or 10, 1, 10**6)
        area = incoming.text("filter[national_destination_code]")
        prefix = incoming.text("filter[phone_number][starts_with]") or area
        found = list(islice(self.for_sale(country, prefix), limit))
        for number in found:
            self.inventory.show(number)
        return Reply(200, {"data": [_offer(number) for number in found], "meta": {"total_results": len(found)}})

    def reserve(self, incoming: Incoming) -> Reply:
        """A reservation of what is for sale; all of it is kept for the one account that there is here."""
        wanted = check_object(incoming.json(), {"phone_numbers": _LIST}, {"customer_reference": TEXT})
        numbers = [check_object(item, {"phone_number": E164})["phone_number"] for item in wanted["phone_numbers"]]
        owned = self.ledger.shown(self.kind)
        items = [
            {"phone_number": number, "status": "success" if self._is_free(number, owned) else "failure"}
            for number in numbers
        ]
        states = {item["status"] for item in items}
        status = "partial_success" if len(states) > 1 else states.pop()
        return Reply(200, {"data": {"id": str(uuid4()), "status": status, "phone_numbers": items}})

    def _is_free(self, number: str, owned: Container[str]) -> bool:
        return number not in owned and self.inventory.sells(self.kind, number)

    def balance(self, incoming: Incoming) -> Reply:
        """Enough of it."""
        incoming.only()
        return Reply(200, {"data": _BALANCE})

    def describe(self, record: Record) -> dict[str, Any]:
        """An owned number, in a state of its order's."""
        words = {"success": "active", "pending": "purchase-pending", "failure": "purchase-failed"}
        return {
            "id": record.id,
            "record_type": "phone_number",
            "phone_number": record.number,
            "phone_number_type": type_of(record.number),
            "status": words[status(record)],
            "customer_reference": record.extra.get("customer_reference"),
            "connection_id": record.extra.get("connection_id"),
            "tags": [],
            "purchased_at": record.at,
        }

    def invalid(self, exc: Invalid) -> Reply:
        """400 for what is no JSON, else 422; 10016 for a number that is not E.164."""
        code = "10016" if any(problem.code == "not_e164" for problem in exc.problems) else "10015"
        return _errors(400 if exc.malformed else 422, code, "; ".join(problem.message for problem in exc.problems))

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - the call's
        """10009, 20100 and 10039."""
        if reason == "credentials":
            return _errors(401, "10009", "Authentication failed")
        if reason == "balance":
            return _errors(403, "20100", "Insufficient funds")
        return _errors(403, "10039", "Account limit reached")

    def throttled(self) -> Reply:
        """10011; the headers that tell limits are left out, as their values are not published."""
        return _errors(429, "10011", "Too many requests")

    def failed(self) -> Reply:
        """10007."""
        return _errors(500, "10007", "Unexpected error")

    def _orders(self) -> list[dict[str, Any]]:
        return [order(records) for records in self.ledger.orders(self.kind, "")]


def _refused_alone(lines: Sequence[Line]) -> bool:
    return [line.state for line in lines] == ["refused"] and lines[0].reason != "compliance"


def _standing(line: Line) -> Record:
    """An item as the order shows it. No code is known for a number that is ours."""
    if line.state != "refused":
        return line.record
    word = "papers" if line.reason == "compliance" else "failed"
    return replace(line.record, extra={**line.record.extra, word: True})


def _page(incoming: Incoming, found: list[dict[str, Any]]) -> Reply:
    size, number = incoming.whole("page[size]", 20, 1, 250), incoming.whole("page[number]", 1, 1, 10**6)
    total = len(found)
    meta = {"page_number": number, "page_size": size, "total_pages": -(-total // size), "total_results": total}
    return Reply(200, {"data": found[(number - 1) * size : number * size], "meta": meta})


def _offer(number: str) -> dict[str, Any]:
    return {
        "record_type": "available_phone_number",
        "phone_number": number,
        "best_effort": False,
        "quickship": True,
        "reservable": True,
        "region_information": [{"region_type": "country_code", "region_name": region_of(number)}],
        "features": [{"name": "voice"}, {"name": "sms"}],
        "cost_information": _COST,
    }


def _errors(status: int, code: str, detail: str) -> Reply:
    return Reply(status, {"errors": [{"code": code, "title": detail, "detail": detail}]})
