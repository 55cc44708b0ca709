"""Vogent's sandbox, after its pages 'Purchase available number' (deprecated) and 'Create a phone number'.

Its 400 and 422 have no documented body, and 401, 429 and 5xx are not documented at all: `{"error": ...}` is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from tasks.providers.sandbox.api import AccountReason, Order, RefusalReason, SingleNumberApi, route
from tasks.providers.sandbox.exchange import E164, Check, Incoming, Invalid, Problem, Reply, bounded, check_object
from tasks.providers.sandbox.ledger import Record

_PURCHASE = Check(lambda value: value == "purchase", "must be purchase here")
_OBJECT = Check(lambda value: isinstance(value, dict), "must be an object")
_DIGITS = Check(lambda value: isinstance(value, str) and value.isdecimal(), "must be digits without a country code")
_COUNTRY = Check(lambda value: isinstance(value, str) and len(value) == 2, "must be an ISO 3166-1 alpha-2 code")
_ANY = Check(lambda _: True, "")


class VogentApi(SingleNumberApi):
    """POST /api/phone_numbers, the deprecated /purchase, /search; GET the list and one by id."""

    routes = (
        route("POST", "/api/phone_numbers"),
        route("POST", "/api/phone_numbers/purchase"),
        route("POST", "/api/phone_numbers/search", "search"),
        route("GET", "/api/phone_numbers", "list_owned"),
        route("GET", "/api/phone_numbers/{id}", "get"),
        route("DELETE", "/api/phone_numbers/{id}", "find"),
    )

    def read_order(self, incoming: Incoming) -> Order:
        """{type: purchase, purchase: {number}}, or the deprecated {number}."""
        body = incoming.json()
        if not incoming.path.endswith("/purchase"):
            body = check_object(body, {"type": _PURCHASE, "purchase": _OBJECT})["purchase"]
        return Order(account="", numbers=[check_object(body, {"number": E164})["number"]])

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale, 5 by default and 10 at most."""
        optional = {"country": _COUNTRY, "limit": _ANY}
        body = check_object(incoming.json(), {"prefix": _DIGITS}, optional)
        limit = bounded("limit", body.get("limit", 5), 1, 10)
        numbers = self.for_sale(body.get("country", "US"), body["prefix"])
        return Reply(200, [{"number": number} for number in islice(numbers, limit)])

    def list_owned(self, incoming: Incoming) -> Reply:
        """Owned numbers by cursor; there is no filter by number."""
        incoming.only("limit", "cursor")
        limit = incoming.whole("limit", 100, 1, 100)
        start = incoming.whole("cursor", 0, 0, 10**9)
        owned = self.ledger.owned(self.kind, "")
        end = start + limit
        data = [self.describe(record) for record in owned[start:end]]
        return Reply(200, {"data": data, "cursor": str(end) if end < len(owned) else None})

    def get(self, incoming: Incoming) -> Reply:
        """One owned number by its id; what an unknown one answers is not documented."""
        record = self.find(incoming)
        return self.not_found() if record is None else Reply(200, self.describe(record))

    def find(self, incoming: Incoming) -> Record | None:
        """The owned number with the path's id."""
        return self.ledger.by_id(self.kind, "", incoming.args[0])

    def given_back(self, record: Record) -> Reply:
        """200 with the record."""
        return Reply(200, self.describe(record))

    def describe(self, record: Record) -> dict[str, Any]:
        """All four fields are required on the page."""
        return {"id": record.id, "number": record.number, "type": "PSTN", "agentId": None}

    def invalid(self, exc: Invalid) -> Reply:
        """400 for what cannot be read, 422 for what does not validate."""
        return Reply(400, {"error": "Invalid input"}) if exc.malformed else _validation(*exc.problems)

    def refused(self, reason: RefusalReason) -> Reply:
        """422."""
        text = "number is already purchased" if reason == "owned" else "number is not available"
        return _validation(Problem("number", text))

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - one number
        """401, undocumented; balance and quota as a 422."""
        if reason == "credentials":
            return Reply(401, {"error": "Unauthorized"})
        return _validation(Problem("", "Insufficient balance" if reason == "balance" else "Number quota exceeded"))

    def throttled(self) -> Reply:
        """Not documented."""
        return Reply(429, {"error": "Too many requests"})

    def failed(self) -> Reply:
        """Not documented."""
        return Reply(500, {"error": "Internal server error"})


def _validation(*problems: Problem) -> Reply:
    return Reply(422, {"error": "Validation exception: " + "; ".join(problem.message for problem in problems)})
