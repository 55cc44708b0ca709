"""SignalWire's sandbox, after its pages 'Purchase phone number', 'List phone numbers', 'Paging' and 'Error codes'.

The page types an error's `detail` as text, yet a public issue (signalwire-legacy-node 503) shows null for a number
that cannot be had: this sandbox answers so too.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from schemas.numbering.regions import region_of
from tasks.providers.sandbox.api import AccountReason, Order, RefusalReason, SingleNumberApi, basic_credentials, route
from tasks.providers.sandbox.exchange import E164, Incoming, Invalid, Problem, Refusal, Reply, check_object
from tasks.providers.sandbox.ledger import Record

_PATH = "/api/relay/rest/phone_numbers"
_TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")
_UNSET = (
    *("name", "e911_address_id", "call_handler", "calling_handler_resource_id", "call_request_url"),
    *("call_request_method", "call_fallback_url", "call_fallback_method", "call_status_callback_url"),
    *("call_status_callback_method", "call_laml_application_id", "call_dialogflow_agent_id", "call_relay_topic"),
    *("call_relay_topic_status_callback_url", "call_relay_script_url", "call_relay_context"),
    *("call_relay_context_status_callback_url", "call_relay_application", "call_relay_connector_id"),
    *("call_sip_endpoint_id", "call_verto_resource", "call_video_room_id", "message_handler"),
    *("messaging_handler_resource_id", "message_request_url", "message_request_method", "message_fallback_url"),
    *("message_fallback_method", "message_laml_application_id", "message_relay_topic", "message_relay_context"),
)
_PATTERNS = ("starts_with", "contains", "ends_with")


class SignalWireApi(SingleNumberApi):
    """POST, GET and search under /api/relay/rest/phone_numbers; the account is the project."""

    routes = (
        route("POST", _PATH),
        route("GET", _PATH, "list_owned"),
        route("GET", f"{_PATH}/search", "search"),
        route("GET", f"{_PATH}/{{id}}", "get"),
        route("DELETE", f"{_PATH}/{{id}}", "find"),
    )

    def authorize(self, incoming: Incoming) -> None:
        """HTTP Basic: any project, the sandbox's token."""
        project, token = basic_credentials(incoming)
        if not project or token != self.token:
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:
        """The project."""
        return basic_credentials(incoming)[0]

    def read_order(self, incoming: Incoming) -> Order:
        """{number}."""
        body = check_object(incoming.json(), {"number": E164})
        return Order(account=self.account(incoming), numbers=[body["number"]])

    def list_owned(self, incoming: Incoming) -> Reply:
        """Newest first; pages from 0, and a page_token past page 0. The token holds the list as it was then."""
        incoming.only("filter_number", "filter_name", "page_size", "page_number", "page_token")
        size, page = incoming.whole("page_size", 50, 1, 1000), incoming.whole("page_number", 0, 0, 10**6)
        wanted = incoming.text("filter_number")
        owned = self.ledger.owned(self.kind, self.account(incoming))
        records = [record for record in owned if wanted in record.number]
        total = _from_token(incoming.text("page_token"), page, len(records))
        shown = records[max(total - (page + 1) * size, 0) : max(total - page * size, 0)]
        links = _links(total, page, size, wanted)
        return Reply(200, {"links": links, "data": [self.describe(record) for record in reversed(shown)]})

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale in the US; no price, as documented."""
        incoming.only("areacode", "number_type", *_PATTERNS, "region", "city", "max_results")
        limit = incoming.whole("max_results", 50, 1, 100)
        patterns = [name for name in _PATTERNS if incoming.text(name)]
        if len(patterns) > 1 or any(not 3 <= len(incoming.text(name)) <= 7 for name in patterns):
            raise Invalid(Problem(patterns[0], "one of starts_with, contains and ends_with, of 3 to 7 digits"))
        toll_free = "800" if incoming.text("number_type") == "toll-free" else ""
        prefix = incoming.text("starts_with") or incoming.text("areacode") or toll_free
        numbers = (number for number in self.for_sale("US", prefix) if _matches(number, incoming))
        return Reply(200, {"links": {}, "data": [_offer(number) for number in islice(numbers, limit)]})

    def get(self, incoming: Incoming) -> Reply:
        """One owned number by its id."""
        record = self.find(incoming)
        return self.not_found() if record is None else Reply(200, self.describe(record))

    def find(self, incoming: Incoming) -> Record | None:
        """The owned number with the path's id. That it is kept for 14 days is left to the test."""
        return self.ledger.by_id(self.kind, self.account(incoming), incoming.args[0])

    def describe(self, record: Record) -> dict[str, Any]:
        """PhoneNumberResponse; every field is required on the page."""
        at = record.at
        billed = datetime.fromisoformat(at) + timedelta(days=30)
        return {
            "id": record.id,
            "number": record.number,
            "capabilities": ["voice", "sms", "mms", "fax"],
            "number_type": "toll-free" if record.number.startswith(_TOLL_FREE) else "longcode",
            "created_at": at,
            "updated_at": at,
            "next_billed_at": billed.isoformat().replace("+00:00", "Z"),
            "call_receive_mode": "voice",
            "country_code": region_of(record.number),
            **dict.fromkeys(_UNSET),
        }

    def invalid(self, exc: Invalid) -> Reply:
        """400 for what is no JSON, else 422."""
        if exc.malformed:
            return Reply(400, {"error": "Bad Request"})
        return _errors(*(_error(problem.message, "Invalid Attribute", problem.code) for problem in exc.problems))

    def refused(self, reason: RefusalReason) -> Reply:
        """422, with a reason only for a number that is owned."""
        if reason == "owned":
            return _errors(_error("number has already been taken", "Invalid Attribute", "value_not_unique"))
        return _errors(_error(None, "Invalid Attribute", "422"))

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - one number
        """The page's 401; balance and quota with their names in the list of error codes."""
        if reason == "credentials":
            return Reply(401, {"error": "Unauthorized"})
        if reason == "balance":
            return _errors(_error("The balance is insufficient", "Insufficient Balance", "insufficient_balance"))
        return _errors(_error("The account's limit is exceeded", "Limit Exceeded", "account_limit_exceeded"))

    def throttled(self) -> Reply:
        """429 with the name in the list of error codes."""
        return Reply(429, _errors(_error("Too many requests", "Rate Limit", "rate_limit_exceeded", 429)).body)

    def failed(self) -> Reply:
        """The page's 500."""
        return Reply(500, {"error": "Internal Server Error"})


def _error(detail: str | None, title: str, code: str, status: int = 422) -> dict[str, Any]:
    return {"detail": detail, "status": str(status), "title": title, "code": code}


def _errors(*errors: dict[str, Any]) -> Reply:
    return Reply(422, {"errors": list(errors)})


def _from_token(token: str, page: int, present: int) -> int:
    if not token:
        if page:
            raise Invalid(Problem("page_token", "page_token is required past page 0", "page_token_required"))
        return present
    digits = token.removeprefix("PA")
    if not digits.isdecimal():
        raise Invalid(Problem("page_token", "page_token is invalid"))
    return min(int(digits), present)


def _links(total: int, page: int, size: int, wanted: str) -> dict[str, str]:
    def link(number: int) -> str:
        query: dict[str, Any] = {"page_number": number, "page_size": size, "page_token": f"PA{total}"}
        return f"{_PATH}?{urlencode({**query, 'filter_number': wanted} if wanted else query)}"

    links = {"self": link(page), "first": link(0)}
    if (page + 1) * size < total:
        links["next"] = link(page + 1)
    if page:
        links["prev"] = link(page - 1)
    return links


def _matches(number: str, incoming: Incoming) -> bool:
    national = number[2:]
    area, contains = incoming.text("areacode"), incoming.text("contains")
    return national.startswith(area) and contains in national and national.endswith(incoming.text("ends_with"))


def _offer(number: str) -> dict[str, Any]:
    capabilities = {"voice": True, "sms": True, "mms": True, "fax": True}
    place = {"region": "CA", "city": "SAN FRANCISCO", "rate_center": "SNFC CNTRL", "lata": "722"}
    return {"number": number, **place, "capabilities": capabilities}
