"""Bird's sandbox, after its pages 'Buy a Number', 'Search Available Numbers', 'Long Code Numbers' and
'Get Long Code Number Details'.

A purchase names stock items that a search has shown. 401 and 429 have the shape of the documented errors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import phonenumbers

from schemas.numbering.regions import known_country, region_of
from tasks.providers.sandbox.api import AccountReason, Line, Order, RefusalReason, SandboxApi, route
from tasks.providers.sandbox.exchange import Check, Incoming, Invalid, Problem, Refusal, Reply, check_object, is_uuid
from tasks.providers.sandbox.ledger import Record

_MAX_ITEMS = 25
_INSTANCE = str(uuid5(NAMESPACE_URL, "sandbox-instance"))
_BOTH = {"inbound": True, "outbound": True}
_CAPABILITIES = {"voice": _BOTH, "sms": _BOTH, "mms": {"inbound": False, "outbound": False}}


def _are_items(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_ITEMS:
        return False
    return all(map(is_uuid, value)) and len({item.lower() for item in value}) == len(value)


_ITEMS = Check(_are_items, f"must be 1 to {_MAX_ITEMS} different UUIDs")


class BirdApi(SandboxApi):
    """Long code numbers of a workspace, and the stock items of an organization."""

    success = 201
    routes = (
        route("POST", "/workspaces/{workspace}/numbers-long-code"),
        route("GET", "/workspaces/{workspace}/numbers-long-code", "list_owned"),
        route("GET", "/workspaces/{workspace}/numbers-long-code/{id}", "get"),
        route("GET", "/organizations/{organization}/numbers-stock-items", "search"),
    )

    def authorize(self, incoming: Incoming) -> None:
        """The scheme AccessKey."""
        if incoming.headers.get("Authorization", "") != f"AccessKey {self.token}":
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:
        """The workspace; a search names an organization instead."""
        return incoming.args[0]

    def read_order(self, incoming: Incoming) -> Order:
        """{numberStockItemIds}; 404 for an id that no search has shown."""
        body = check_object(incoming.json(), {"numberStockItemIds": _ITEMS})
        numbers = [self.inventory.shown(item) for item in body["numberStockItemIds"]]
        if None in numbers:
            raise Refusal(_error(404, "NotFound", "A number stock item was not found"))
        return Order(account=self.account(incoming), numbers=[number for number in numbers if number])

    def search(self, incoming: Incoming) -> Reply:
        """Inventory items; `prefix` is in international form and needs `countryCodes`."""
        incoming.only("countryCodes", "countryCodes[]", "types", "types[]", "prefix", "limit", "pageToken")
        limit, start = incoming.whole("limit", 10, 1, 99), incoming.whole("pageToken", 0, 0, 10**9)
        countries = _countries(incoming)
        prefix = incoming.text("prefix").removeprefix("+")
        if prefix and not incoming.query.keys() & {"countryCodes", "countryCodes[]"}:
            raise Invalid(Problem("prefix", "prefix needs countryCodes"))
        found = list(islice(self._stock(countries, prefix), start, start + limit + 1))
        items = [self._item(number, country) for number, country in found[:limit]]
        token = {"nextPageToken": str(start + limit)} if len(found) > limit else {}
        return Reply(200, {"results": items, **token})

    def list_owned(self, incoming: Incoming) -> Reply:
        """Owned numbers; `numberString` is their leading digits, country code included, the plus optional."""
        incoming.only("numberString", "countryCodes", "countryCodes[]", "limit", "pageToken", "reverse")
        limit, start = incoming.whole("limit", 10, 1, 99), incoming.whole("pageToken", 0, 0, 10**9)
        leading = f"+{incoming.text('numberString').strip().removeprefix('+')}"
        owned = self.ledger.owned(self.kind, self.account(incoming))
        records = [record for record in owned if record.number.startswith(leading)]
        if incoming.text("reverse") == "true":
            records.reverse()
        results = [self.describe(record) for record in records[start : start + limit]]
        token = {"nextPageToken": str(start + limit)} if start + limit < len(records) else {}
        return Reply(200, {"results": results, **token})

    def get(self, incoming: Incoming) -> Reply:
        """One owned number by its id, which is its endpoint's too."""
        record = self.ledger.by_id(self.kind, self.account(incoming), incoming.args[1])
        return self.refused("not_for_sale") if record is None else Reply(200, self.describe(record))

    def sold(self, lines: Sequence[Line]) -> Reply:
        """201 for all; one number that is refused refuses the call. (Bird does not say what it does then.)"""
        for line in lines:
            if line.state == "refused":
                return self.refused(line.reason)
        return Reply(201, {"results": [self.describe(line.record) for line in lines if line.state != "missing"]})

    def describe(self, record: Record) -> dict[str, Any]:
        """WorkspaceLongCodeNumber, with its order and its endpoint."""
        order, provisioning = _progress(record)
        common = {"capabilities": _CAPABILITIES, "createdAt": record.at, "updatedAt": record.at}
        country = region_of(record.number) or "ZZ"
        return {
            "id": record.id,
            "endpointId": record.id,
            "numberString": record.number,
            "countryCode": country,
            "type": "local",
            "order": {
                "countryCode": country,
                "type": "local",
                "status": order,
                **{**common, "capabilities": ["voice", "sms"]},
            },
            "endpoint": _endpoint(record, provisioning),
            **common,
        }

    def invalid(self, exc: Invalid) -> Reply:
        """The page's ValidationError."""
        details = {problem.field or "body": [problem.message] for problem in exc.problems}
        return _error(422, "InvalidPayload", "The request does not validate", details)

    def refused(self, reason: RefusalReason) -> Reply:
        """404 for what is not there, else 422."""
        if reason == "not_for_sale":
            return _error(404, "NotFound", "Long Code Number not found")
        taken = "is assigned to this workspace already" if reason == "owned" else "cannot be assigned"
        return _error(422, "InvalidNumberStockItem", f"A number stock item {taken}")

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - the call's
        """401; a lack of balance is a 4xx in 'Common API usage', which one is not said."""
        if reason == "credentials":
            return _error(401, "Unauthorized", "The access key is missing or invalid")
        if reason == "balance":
            return _error(422, "InsufficientBalance", "There is not enough balance in the wallet")
        return _error(422, "QuotaExceeded", "The quota of numbers is exceeded")

    def throttled(self) -> Reply:
        """The page on rate limits names the status alone."""
        return _error(429, "TooManyRequests", "Too many requests")

    def failed(self) -> Reply:
        """The shape of the documented errors."""
        return _error(500, "InternalError", "An internal error occurred")

    def _stock(self, countries: Sequence[str], prefix: str) -> Iterator[tuple[str, str]]:
        for country in countries:
            code = str(phonenumbers.country_code_for_region(country))
            if prefix.startswith(code) or not prefix:
                for number in self.for_sale(country, prefix.removeprefix(code)):
                    yield number, country

    def _item(self, number: str, country: str) -> dict[str, Any]:
        return {
            "id": self.inventory.show(number),
            "countryCode": country,
            "type": "local",
            "numberString": number,
            "capabilities": _CAPABILITIES,
            "monthlyPrice": {"currencyCode": "USD", "amount": 3_500_000, "exponent": -6},
            "backOrderRequired": False,
            "backOrderStockId": None,
        }


def _progress(record: Record) -> tuple[str, str]:
    if time.monotonic() < record.ready_at:
        return "processing", "provisioning"
    return ("fulfilled", "provisioned") if record.fulfilled else ("rejected", "deprovisioned")


def _endpoint(record: Record, provisioning: str) -> dict[str, Any]:
    active = "active" if provisioning == "provisioned" else "inactive"
    status: dict[str, Any] = {"status": active, "issues": []}
    return {
        "id": record.id,
        "type": "long-code-number",
        "instanceId": _INSTANCE,
        "name": record.number,
        "capabilities": [{"name": name, "inbound": status, "outbound": status} for name in ("voice", "sms")],
        "dependencies": [],
        "issues": [],
        "provisioningStatus": provisioning,
        "createdAt": record.at,
        "updatedAt": record.at,
    }


def _countries(incoming: Incoming) -> list[str]:
    given = [*incoming.query.get("countryCodes", []), *incoming.query.get("countryCodes[]", [])]
    countries = [code for text in given for code in text.split(",")]
    if strange := [code for code in countries if not known_country(code)]:
        raise Invalid(Problem("countryCodes", f"{strange[0]!r} is no ISO 3166-1 alpha-2 code"))
    return countries or ["US"]


def _error(status: int, code: str, message: str, details: dict[str, Any] | None = None) -> Reply:
    return Reply(status, {"code": code, "message": message, **({} if details is None else {"details": details})})
