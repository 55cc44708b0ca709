"""Fluents' sandbox, after its page 'Buy number'.

Get by number, list and available come from the vendor's other pages and a public connector reference for this API;
what `filters` may hold is not documented, so `country` and `area_code` are our reading. 401, 404 of get and 429 are
undocumented and have the shape of the page's 400 and 404 here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tasks.providers.sandbox.api import AccountReason, Order, RefusalReason, SingleNumberApi, route
from tasks.providers.sandbox.exchange import (
    E164,
    TEXT,
    UUID_TEXT,
    Check,
    Incoming,
    Invalid,
    Problem,
    Refusal,
    Reply,
    check_object,
    is_uuid,
)
from tasks.providers.sandbox.ledger import Record, new_record

_USER_ID = str(uuid5(NAMESPACE_URL, "sandbox-user"))
_AREA_CODE = Check(lambda value: isinstance(value, str) and value.isdecimal(), "must be digits")
_ERRORS = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_REFUSALS: dict[RefusalReason, str] = {
    "refused": "The phone number is not available for purchase",
    "not_for_sale": "The phone number is not available for purchase",
    "owned": "The phone number is already owned",
}


class FluentsApi(SingleNumberApi):
    """POST /v1/numbers/buy; GET /v1/numbers, /v1/numbers/list and /v1/numbers/available."""

    success = 201
    routes = (
        route("POST", "/v1/numbers/buy"),
        route("GET", "/v1/numbers", "get"),
        route("GET", "/v1/numbers/list", "list_owned"),
        route("GET", "/v1/numbers/available", "available"),
    )

    def read_order(self, incoming: Incoming) -> Order:
        """One number by `phone_number`, or the first for sale in `area_code`."""
        required = {"telephony_provider": TEXT, "telephony_account_connection": UUID_TEXT}
        optional = {"phone_number": E164, "area_code": _AREA_CODE, "inbound_agent": TEXT}
        body = check_object(incoming.json(), required, optional)
        number = body.get("phone_number") or self._any_number(body.get("area_code"))
        extra = {name: value for name, value in body.items() if name not in ("phone_number", "area_code")}
        return Order(account="", numbers=[number], extra=extra)

    def get(self, incoming: Incoming) -> Reply:
        """One owned number by its E.164 form."""
        incoming.only("phone_number")
        record = self.ledger.find(self.kind, "", incoming.text("phone_number"))
        return _error(404, "Number not found") if record is None else Reply(200, self.describe(record))

    def list_owned(self, incoming: Incoming) -> Reply:
        """Owned numbers in pages from 1, `size` 1 to 100 and 10 by default."""
        incoming.only("page", "size")
        page, size = incoming.whole("page", 1, 1, 10**6), incoming.whole("size", 10, 1, 100)
        owned = self.ledger.owned(self.kind, "")
        shown = owned[(page - 1) * size : page * size]
        return Reply(200, _envelope([self.describe(record) for record in shown], page, size, len(owned)))

    def available(self, incoming: Incoming) -> Reply:
        """Numbers for sale, in the shape of owned ones as the vendor's example has it."""
        needed = ("limit", "telephony_provider", "telephony_account_connection", "filters")
        incoming.only(*needed)
        missing = [Problem(name, f"{name} is required") for name in needed if not incoming.text(name)]
        if not is_uuid(incoming.text("telephony_account_connection")):
            missing.append(Problem("", "telephony_account_connection must be a UUID"))
        if missing:
            raise Invalid(*missing)
        filters, limit = _filters(incoming.text("filters")), incoming.whole("limit", 10, 1, 100)
        numbers = self.for_sale(filters.get("country", "US"), filters.get("area_code", ""))
        items = [self.describe(new_record(self.kind, "", number)) for number in islice(numbers, limit)]
        return Reply(200, _envelope(items, 1, limit, len(items)))

    def describe(self, record: Record) -> dict[str, Any]:
        """NormalizedNumberDto; the agent's fields only where an agent is linked."""
        agent = record.extra.get("inbound_agent")
        return {
            "id": record.id,
            "user_id": _USER_ID,
            "number": record.number,
            "active": True,
            "label": record.number,
            "outbound_only": agent is None,
            "example_context": {},
            "telephony_provider": record.extra.get("telephony_provider", "twilio"),
            "description": "",
            "telephony_account_connection": record.extra.get("telephony_account_connection", _USER_ID),
            **({} if agent is None else {"inbound_agent": agent, "inbound_agent_name": agent}),
        }

    def invalid(self, exc: Invalid) -> Reply:
        """The page's BadRequestError."""
        return _error(400, "; ".join(problem.message for problem in exc.problems))

    def refused(self, reason: RefusalReason) -> Reply:
        """The page has 400 and 404 for a purchase; this is the 400."""
        return _error(400, _REFUSALS[reason])

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - one number
        """401, undocumented; balance and quota as a 400."""
        if reason == "credentials":
            return _error(401, "Unauthorized")
        return _error(400, "Insufficient balance" if reason == "balance" else "Number quota exceeded")

    def throttled(self) -> Reply:
        """Not documented; in the shape of the page's errors."""
        return _error(429, "Too many requests")

    def failed(self) -> Reply:
        """Not documented; in the shape of the page's errors."""
        return Reply(500, {"message": "Internal server error", "statusCode": 500})

    def _any_number(self, area_code: str | None) -> str:
        if area_code is None:
            raise Invalid(Problem("", "phone_number or area_code is required"))
        number = next(self.for_sale("US", area_code), None)
        if number is None:
            raise Refusal(_error(404, "No number is available in this area"))
        return number


def _error(status: int, message: str) -> Reply:
    return Reply(status, {"message": message, "error": _ERRORS[status], "statusCode": status})


def _envelope(items: list[dict[str, Any]], page: int, size: int, total: int) -> dict[str, Any]:
    more = page * size < total
    return {
        "items": items,
        "page": page,
        "size": size,
        "has_more": more,
        "total": total,
        "total_is_estimated": False,
    }


def _filters(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise Invalid(Problem("filters", "filters must be JSON")) from exc
    return check_object(value, {}, {"country": TEXT, "area_code": _AREA_CODE})
