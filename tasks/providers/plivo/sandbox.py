"""Plivo's sandbox, after its pages 'Buy a Phone Number', 'Phone Numbers' and 'Account'.

Errors are {api_id, error} without codes; which status a purchase gives for what is not documented. 404 for a number
that cannot be had or is owned already was reported; 400 for what does not validate, and 402 for a lack of means, are
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from schemas.numbering.numbers import digits_only
from schemas.numbering.regions import known_country, region_of
from tasks.providers.sandbox.api import (
    AccountReason,
    Line,
    Order,
    RefusalReason,
    SingleNumberApi,
    basic_credentials,
    route,
)
from tasks.providers.sandbox.exchange import DIGITS, TEXT, Incoming, Invalid, Problem, Refusal, Reply, check_object
from tasks.providers.sandbox.ledger import Record

_ACCOUNT = "/v1/Account/{auth_id}/"
_API_ID = str(uuid5(NAMESPACE_URL, "plivo-sandbox"))
_OPTIONAL = dict.fromkeys(("app_id", "compliance_application_id", "cnam_lookup"), TEXT)
_MAX = 20


class PlivoApi(SingleNumberApi):
    """Numbers for sale, owned numbers and the credit of one account, whose auth id is in the path."""

    success = 201
    routes = (
        route("POST", f"{_ACCOUNT}PhoneNumber/{{number}}/"),
        route("GET", f"{_ACCOUNT}PhoneNumber/", "search"),
        route("GET", f"{_ACCOUNT}Number/", "list_owned"),
        route("GET", f"{_ACCOUNT}Number/{{number}}/", "get"),
        route("DELETE", f"{_ACCOUNT}Number/{{number}}/", "find"),
        route("GET", _ACCOUNT, "credit"),
    )

    def authorize(self, incoming: Incoming) -> None:
        """HTTP Basic: the auth id of the path and the sandbox's token."""
        if basic_credentials(incoming) != (incoming.args[0], self.token):
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:
        """The auth id in the path."""
        return incoming.args[0]

    def id_of(self, record: Record) -> str:
        """A number is named by its digits."""
        return digits_only(record.number)

    def read_order(self, incoming: Incoming) -> Order:
        """The number in the path, in digits; a body may be left out."""
        digits = incoming.args[1]
        if not DIGITS.test(digits):
            raise Refusal(self.refused("not_for_sale"))
        extra = check_object(incoming.json(), {}, _OPTIONAL) if incoming.body else {}
        return Order(account=self.account(incoming), numbers=[f"+{digits}"], extra=extra)

    def sold(self, lines: Sequence[Line]) -> Reply:
        """The number and its status; `pending` where papers are missing, beside `fulfilled` all the same."""
        (line,) = lines
        if line.state == "refused" and line.reason != "compliance":
            return self.refused(line.reason)
        status = "pending" if line.state == "refused" else "Success"
        item = {"number": digits_only(line.record.number), "status": status}
        numbers = [] if line.state == "missing" else [item]
        return _reply(201, {"message": "created", "numbers": numbers, "status": "fulfilled"})

    def list_owned(self, incoming: Incoming) -> Reply:
        """By limit and offset, in the order bought; number_startswith is leading digits."""
        incoming.only("limit", "offset", "number_startswith", "alias", "type", "subaccount", "services")
        leading = f"+{incoming.text('number_startswith')}"
        owned = self.ledger.owned(self.kind, self.account(incoming))
        return _listed(incoming, [self.describe(one) for one in owned if one.number.startswith(leading)])

    def get(self, incoming: Incoming) -> Reply:
        """One owned number, or 404."""
        record = self.find(incoming)
        return self.not_found() if record is None else _reply(200, self.describe(record))

    def find(self, incoming: Incoming) -> Record | None:
        """The owned number that the path names."""
        return self.ledger.find(self.kind, self.account(incoming), f"+{incoming.args[1]}")

    def not_found(self) -> Reply:
        """404."""
        return self.refused("not_for_sale")

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale that begin with `pattern`; 404 where there are none."""
        incoming.only("country_iso", "type", "pattern", "region", "city", "services", "limit", "offset")
        country = incoming.text("country_iso")
        if not known_country(country):
            raise Invalid(Problem("country_iso", "country_iso is required: an ISO 3166-1 alpha-2 code"))
        most = incoming.whole("offset", 0, 0, 10**6) + _MAX + 1
        found = [_offer(number) for number in islice(self.for_sale(country, incoming.text("pattern")), most)]
        return _listed(incoming, found) if found else self.refused("not_for_sale")

    def credit(self, incoming: Incoming) -> Reply:
        """Enough of it."""
        return _reply(200, {"auth_id": self.account(incoming), "cash_credits": "100.00000", "billing_mode": "prepaid"})

    def describe(self, record: Record) -> dict[str, Any]:
        """An owned number; it is of the account that asks."""
        bought = datetime.fromisoformat(record.at)
        digits = digits_only(record.number)
        return {
            "number": digits,
            "active": True,
            "added_on": f"{bought:%Y-%m-%d}",
            "renewal_date": f"{bought + timedelta(days=30):%Y-%m-%d}",
            "alias": None,
            "application": record.extra.get("app_id"),
            "carrier": "Plivo",
            "city": None,
            "compliance_application_id": record.extra.get("compliance_application_id"),
            "compliance_status": None,
            "country": region_of(record.number),
            "mms_enabled": False,
            "mms_rate": None,
            "monthly_rental_rate": "0.80000",
            "number_type": "local",
            "region": "United States",
            "sms_enabled": True,
            "sms_rate": "0.00000",
            "sub_account": None,
            "voice_enabled": True,
            "voice_rate": "0.00550",
        }

    def invalid(self, exc: Invalid) -> Reply:
        """400 with what is wrong."""
        return _error(400, "; ".join(problem.message for problem in exc.problems))

    def refused(self, reason: RefusalReason) -> Reply:  # noqa: ARG002 - all look alike
        """404, whatever the reason."""
        return _error(404, "not found")

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - one number
        """401, or 402 for a lack of means."""
        if reason == "credentials":
            return _error(401, "Authentication credentials were not provided or are not valid.")
        return _error(402, "insufficient balance" if reason == "balance" else "the quota of numbers is exceeded")

    def throttled(self) -> Reply:
        """Above 300 requests in 5 s."""
        return _error(429, "too many requests")

    def failed(self) -> Reply:
        """500."""
        return _error(500, "internal server error")


def _listed(incoming: Incoming, items: Sequence[dict[str, Any]]) -> Reply:
    limit, offset = incoming.whole("limit", _MAX, 1, _MAX), incoming.whole("offset", 0, 0, 10**6)
    asked = {name: values[0] for name, values in incoming.query.items()}

    def link(to: int) -> str:
        return f"{incoming.path}?{urlencode({**asked, 'limit': limit, 'offset': to})}"

    meta = {
        "limit": limit,
        "offset": offset,
        "next": link(offset + limit) if offset + limit < len(items) else None,
        "previous": link(offset - limit) if offset >= limit else None,
        "total_count": len(items),
    }
    return _reply(200, {"meta": meta, "objects": list(items[offset : offset + limit])})


def _offer(number: str) -> dict[str, Any]:
    return {
        **{"number": digits_only(number), "country": "UNITED STATES", "region": "California", "city": None},
        **{"prefix": number[2:5], "rate_center": None, "lata": 722, "type": "fixed", "sub_type": "local"},
        **{"setup_rate": "0.00000", "monthly_rental_rate": "0.80000"},
        **{"sms_enabled": True, "voice_enabled": True, "mms_enabled": False, "sms_rate": "0.0", "voice_rate": "0.0055"},
        **{"restriction": None, "restriction_text": None, "prerequisites": []},
    }


def _reply(status: int, body: dict[str, Any]) -> Reply:
    return Reply(status, {"api_id": _API_ID, **body})


def _error(status: int, error: str) -> Reply:
    return _reply(status, {"error": error})
