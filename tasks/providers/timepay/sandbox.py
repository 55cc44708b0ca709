"""TimePay's sandbox, after its page 'Buy Numbers': one call, an item for each number in its answer.

The page names no rule for a number's form; its example is digits without a plus, and this sandbox takes nothing else.
A shortage of balance is not documented: it is told as an item's error here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tasks.providers.sandbox.api import AccountReason, Line, Order, RefusalReason, SandboxApi, route
from tasks.providers.sandbox.exchange import DIGITS, TEXT, Incoming, Invalid, Problem, Reply, check_object
from tasks.providers.sandbox.ledger import Record

_ERRORS: dict[RefusalReason, str] = {
    "refused": "Number is not available",
    "not_for_sale": "Number is not available",
    "owned": "Number is already purchased",
}


class TimePayApi(SandboxApi):
    """POST /api/v1/numbers/buyNumbers, and nothing to look numbers up with."""

    has_ids = False
    partial = True
    routes = (route("POST", "/api/v1/numbers/buyNumbers"),)

    def account(self, incoming: Incoming) -> str:
        """The organisation that the header x-org-id selects."""
        return incoming.headers.get("X-Org-Id", "")

    def read_order(self, incoming: Incoming) -> Order:
        """A bare array of {number, provider}."""
        items = incoming.json()
        if not isinstance(items, list) or not items:
            raise Invalid(Problem("", "an array of numbers is required"))
        numbers = [check_object(item, {"number": DIGITS, "provider": TEXT})["number"] for item in items]
        return Order(account=self.account(incoming), numbers=[f"+{number}" for number in numbers])

    def describe(self, record: Record) -> dict[str, Any]:
        """An item of a successful answer."""
        return _item(record.number, None)

    def sold(self, lines: Sequence[Line]) -> Reply:
        """200, also where items failed: each says for itself."""
        items = [
            _item(line.number, _ERRORS[line.reason]) if line.state == "refused" else self.describe(line.record)
            for line in lines
            if line.state != "missing"
        ]
        return Reply(200, {"success": True, "data": items})

    def invalid(self, exc: Invalid) -> Reply:  # noqa: ARG002 - the page has one message for all
        """The page's only 400."""
        return Reply(400, {"success": False, "message": "Phone Numbers are required!"})

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:
        """The page's 401; for balance and quota a failed item for each number."""
        if reason != "credentials":
            error = "Insufficient balance" if reason == "balance" else "Number quota exceeded"
            return Reply(200, {"success": True, "data": [_item(number, error) for number in numbers]})
        message = "Missing or invalid authorization header"
        return Reply(401, {"success": False, "error": "Unauthorized", "message": message})

    def throttled(self) -> Reply:
        """Not documented; in the shape of the page's other errors."""
        return Reply(429, {"success": False, "message": "Too many requests"})

    def failed(self) -> Reply:
        """The page's 500."""
        return Reply(500, {"success": False, "message": "Unexpected error at server. Please try again!"})


def _item(number: str, error: str | None) -> dict[str, Any]:
    return {"number": number.removeprefix("+"), "success": error is None, "error": error}
