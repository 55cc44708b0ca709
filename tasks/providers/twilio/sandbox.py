"""Twilio's sandbox, after its published specification of API version 2010-04-01 and its error pages.

The statuses of its errors stand in neither: third-party code has seen 400 and 401, and 403 and 404 are our choice.
A number that is owned already is sold, and charged, again, so that a second purchase shows; with `refuse_owned` it
answers 201 with the record that stands, as reported of the real one. Prices and the choice by AreaCode are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import islice
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from schemas.numbering.regions import region_of
from tasks.providers.sandbox.api import (
    AccountReason,
    Line,
    Order,
    RefusalReason,
    SingleNumberApi,
    basic_credentials,
    route,
)
from tasks.providers.sandbox.exchange import E164, TEXT, Check, Incoming, Invalid, Problem, Refusal, Reply, check_object
from tasks.providers.sandbox.ledger import Record

_ACCOUNT = "/2010-04-01/Accounts/{sid}"
_NUMBERS = f"{_ACCOUNT}/IncomingPhoneNumbers"
_TYPES = ("Local", "Mobile", "TollFree", "National", "Voip", "SharedCost", "MachineToMachine")
_URLS = ("voice_url", "voice_fallback_url", "sms_url", "sms_fallback_url", "status_callback")
_METHODS = ("voice_method", "voice_fallback_method", "sms_method", "sms_fallback_method", "status_callback_method")
_UNSET = ("address_sid", "bundle_sid", "identity_sid", "trunk_sid", "voice_application_sid", "sms_application_sid")
_CAPABILITIES = {"voice": True, "sms": True, "mms": True, "fax": False}
_ABLE = ("VoiceEnabled", "SmsEnabled", "MmsEnabled", "FaxEnabled")
_FILTERS = (*_ABLE, "AreaCode", "Contains", "InRegion", "InLocality", "InPostalCode", "PageSize", "Page", "PageToken")


def _sid(prefix: str) -> Check:
    form = re.compile(rf"{prefix}[0-9a-fA-F]{{32}}")
    return Check(lambda value: form.fullmatch(value) is not None, f"must be {prefix} and 32 hexadecimal digits")


_SIDS = {name: _sid(name) for name in ("AC", "SK")}
_OPTIONAL = {
    "FriendlyName": Check(lambda value: 0 < len(value) <= 64, "must have 1 to 64 characters"),
    **{"BundleSid": _sid("BU"), "AddressSid": _sid("AD"), "IdentitySid": _sid("RI"), "TrunkSid": _sid("TK")},
    **{"VoiceApplicationSid": _sid("AP"), "SmsApplicationSid": _sid("AP")},
    **dict.fromkeys(("VoiceUrl", "SmsUrl", "StatusCallback"), TEXT),
}


class TwilioApi(SingleNumberApi):
    """Numbers, numbers for sale and the balance of one account, whose SID is in the path."""

    success = 201
    routes = (
        route("POST", f"{_NUMBERS}.json"),
        route("GET", f"{_NUMBERS}.json", "list_owned"),
        route("GET", f"{_NUMBERS}/{{id}}.json", "get"),
        route("DELETE", f"{_NUMBERS}/{{id}}.json", "find"),
        route("GET", f"{_ACCOUNT}/AvailablePhoneNumbers/{{country}}/{{type}}.json", "search"),
        route("GET", f"{_ACCOUNT}/Balance.json", "balance"),
    )

    def authorize(self, incoming: Incoming) -> None:
        """HTTP Basic: the account SID of the path, or any API key, and the sandbox's token."""
        user, token = basic_credentials(incoming)
        known = user == incoming.args[0] or _SIDS["SK"].test(user)
        if not known or not _SIDS["AC"].test(incoming.args[0]) or token != self.token:
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:
        """The SID in the path."""
        return incoming.args[0]

    def id_of(self, record: Record) -> str:
        """PN and 32 hexadecimal digits."""
        return f"PN{UUID(record.id).hex}"

    def read_order(self, incoming: Incoming) -> Order:
        """A form that names its PhoneNumber."""
        form = check_object(incoming.form(), {"PhoneNumber": E164}, _OPTIONAL)
        number = form.pop("PhoneNumber")
        return Order(account=self.account(incoming), numbers=[number], extra=form)

    def sold(self, lines: Sequence[Line]) -> Reply:
        """201 with the record; for a number that stands already that record, changed by nothing here."""
        (line,) = lines
        standing = None
        if line.state == "refused" and line.reason == "owned":
            standing = self.ledger.find(self.kind, line.record.account or "", line.number)
        if standing is None:
            reply = super().sold(lines)
        else:
            reply = Reply(201, self.describe(replace(standing, account=line.record.account)))
        return replace(reply, headers={"Date": format_datetime(datetime.now(UTC), usegmt=True)})

    def list_owned(self, incoming: Incoming) -> Reply:
        """In the order bought; pages from 0, and a token past page 0. PhoneNumber is a part, `*` is any digit."""
        incoming.only("FriendlyName", "PhoneNumber", "Beta", "Origin", "PageSize", "Page", "PageToken")
        size, page = incoming.whole("PageSize", 50, 1, 1000), incoming.whole("Page", 0, 0, 10**6)
        if page and not incoming.text("PageToken").startswith("PAPN"):
            raise Invalid(Problem("PageToken", "PageToken is required past page 0"))
        shown = [record for record in self._owned(incoming) if self._matches(record, incoming)]
        records = shown[page * size : (page + 1) * size]
        body = _paging(incoming, page, size, len(records), more=(page + 1) * size < len(shown))
        return Reply(200, {**body, "incoming_phone_numbers": [self.describe(record) for record in records]})

    def get(self, incoming: Incoming) -> Reply:
        """One owned number by its SID, or 404."""
        found = self.find(incoming)
        return self.not_found() if found is None else Reply(200, self.describe(found))

    def find(self, incoming: Incoming) -> Record | None:
        """The owned number with the path's SID."""
        account = self.account(incoming)
        owned = [one for one in self.ledger.everywhere(self.kind) if one.account in (None, account)]
        return next((one for one in owned if self.id_of(one) == incoming.args[1]), None)

    def not_found(self) -> Reply:
        """20404."""
        return _error(404, 20404, "The resource was not found")

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale, without a price; all types show the same, and what faxes is not there."""
        incoming.only(*_FILTERS)
        account, country, kind = incoming.args
        area, contains = incoming.text("AreaCode"), incoming.text("Contains")
        if kind not in _TYPES:
            return _error(404, 20404, "The resource was not found")
        if contains and not 2 <= len(contains) <= 16:
            raise Invalid(Problem("Contains", "must have 2 to 16 characters"))
        limit = incoming.whole("PageSize", 50, 1, 1000)
        prefix = contains if contains.startswith(area) else area
        there = () if incoming.text("FaxEnabled") == "true" else self.for_sale(country, prefix)
        numbers = islice((one for one in there if contains in one), limit)
        uri = f"/2010-04-01/Accounts/{account}/AvailablePhoneNumbers/{country}/{kind}.json"
        return Reply(200, {"uri": uri, "available_phone_numbers": [_offer(number, country) for number in numbers]})

    def balance(self, incoming: Incoming) -> Reply:
        """Enough of it."""
        return Reply(200, {"account_sid": self.account(incoming), "balance": "100.00", "currency": "USD"})

    def describe(self, record: Record) -> dict[str, Any]:
        """The record of the specification."""
        sid, at = self.id_of(record), format_datetime(datetime.fromisoformat(record.at))
        given: Mapping[str, Any] = record.extra
        uri = f"{_NUMBERS.format(sid=record.account)}/{sid}"
        return {
            "sid": sid,
            "account_sid": record.account,
            "phone_number": record.number,
            "friendly_name": given.get("FriendlyName", record.number),
            "date_created": at,
            "date_updated": at,
            "capabilities": _CAPABILITIES,
            "status": "in-use",
            "type": "local",
            "origin": "twilio",
            "beta": False,
            "address_requirements": "none",
            "api_version": "2010-04-01",
            "emergency_status": "Inactive",
            "emergency_address_sid": None,
            "emergency_address_status": "unregistered",
            "voice_receive_mode": "voice",
            "voice_caller_id_lookup": False,
            **dict.fromkeys(_METHODS, "POST"),
            **{name: given.get(_camel(name), "") for name in _URLS},
            **{name: given.get(_camel(name)) for name in _UNSET},
            "uri": f"{uri}.json",
            "subresource_uris": {"assigned_add_ons": f"{uri}/AssignedAddOns.json"},
        }

    def invalid(self, exc: Invalid) -> Reply:
        """400: 21421 for a number that is none. For all else no code is documented: 20001 is our choice."""
        bad = any(problem.field == "PhoneNumber" for problem in exc.problems)
        return _error(400, 21421 if bad else 20001, "; ".join(problem.message for problem in exc.problems))

    def refused(self, reason: RefusalReason) -> Reply:
        """21422 for a number that is not to be had; 21649 where papers are missing."""
        if reason == "compliance":
            return _error(400, 21649, "Bundle required")
        return _error(400, 21422, "PhoneNumber is not available")

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - one number
        """20003 for credentials, 20005 for an account without funds, 22300 for too many numbers."""
        if reason == "credentials":
            return _error(401, 20003, "Authenticate")
        if reason == "balance":
            return _error(403, 20005, "Account not active")
        return _error(400, 22300, "The account may buy no more long codes for now")

    def throttled(self) -> Reply:
        """20429."""
        return _error(429, 20429, "Too Many Requests")

    def failed(self) -> Reply:
        """20500."""
        return _error(500, 20500, "An internal server error has occurred")

    def _owned(self, incoming: Incoming) -> list[Record]:
        account = self.account(incoming)
        return [replace(record, account=account) for record in self.ledger.owned(self.kind, account)]

    def _matches(self, record: Record, incoming: Incoming) -> bool:
        name, part = incoming.text("FriendlyName"), incoming.text("PhoneNumber")
        wanted = re.escape(part).replace(r"\*", "[0-9]")
        named = not name or record.extra.get("FriendlyName", record.number) == name
        return named and re.search(wanted, record.number) is not None


def _paging(incoming: Incoming, page: int, size: int, shown: int, *, more: bool) -> dict[str, Any]:
    asked = {name: incoming.text(name) for name in ("FriendlyName", "PhoneNumber") if incoming.text(name)}

    def uri(number: int) -> str:
        token = {"PageToken": f"PAPN{number}"} if number else {}
        return f"{incoming.path}?{urlencode({**asked, 'PageSize': size, 'Page': number, **token})}"

    return {
        **{"page": page, "page_size": size, "start": page * size, "end": page * size + max(shown - 1, 0)},
        "uri": uri(page),
        "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1) if more else None,
        "previous_page_uri": uri(page - 1) if page else None,
    }


def _offer(number: str, country: str) -> dict[str, Any]:
    place = {"locality": "Berkeley", "region": "CA", "postal_code": "94704", "lata": "722", "rate_center": "OKLD BK"}
    return {
        **{"phone_number": number, "friendly_name": number, "iso_country": region_of(number) or country},
        **place,
        **{"address_requirements": "none", "beta": False, "capabilities": _CAPABILITIES},
    }


def _camel(name: str) -> str:
    return name.title().replace("_", "")


def _error(status: int, code: int, message: str) -> Reply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Reply(status, {"code": code, "message": message, "more_info": more, "status": status})
