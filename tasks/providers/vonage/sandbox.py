"""Vonage's sandbox, after its published specification of the Numbers API.

420 is the catch-all; its labels for a number that is ours and for a lack of means are not documented word by word, and
the bodies of 429 and 500 are ours. 400 for a missing and 404 for a wrong country were reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import phonenumbers

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
from tasks.providers.sandbox.exchange import (
    DIGITS,
    TEXT,
    Check,
    Incoming,
    Invalid,
    Problem,
    Refusal,
    Reply,
    check_object,
)
from tasks.providers.sandbox.ledger import Record

_COUNTRY = Check(known_country, "is no country")
_MATCHES = {"0": str.startswith, "1": str.__contains__, "2": str.endswith}
_ADDRESS = (
    "Numbers from this country can be requested from the Dashboard as they require a valid local address to be "
    "provided before being purchased"
)


class VonageApi(SingleNumberApi):
    """Buying, owned numbers, numbers for sale and the balance; the account is the API key."""

    routes = (
        route("POST", "/number/buy"),
        route("POST", "/number/cancel", "find", gives_back=True),
        route("GET", "/account/numbers", "list_owned"),
        route("GET", "/number/search", "search"),
        route("GET", "/account/get-balance", "balance"),
    )

    def authorize(self, incoming: Incoming) -> None:
        """HTTP Basic: any key, the sandbox's token."""
        key, secret = basic_credentials(incoming)
        if not key or secret != self.token:
            raise Refusal(self.account_refused("credentials", ()))

    def account(self, incoming: Incoming) -> str:
        """The API key."""
        return basic_credentials(incoming)[0]

    def id_of(self, record: Record) -> str:
        """A number is named by its digits."""
        return digits_only(record.number)

    def read_order(self, incoming: Incoming) -> Order:
        """A form of country and msisdn, which belong together."""
        account, number = self._named(incoming)
        return Order(account=account, numbers=[number])

    def find(self, incoming: Incoming) -> Record | None:
        """The owned number that the same form names."""
        account, number = self._named(incoming)
        return self.ledger.find(self.kind, account, number)

    def given_back(self, record: Record) -> Reply:  # noqa: ARG002 - it is not shown
        """200, as for a purchase."""
        return _error(200, "success")

    def not_found(self) -> Reply:
        """420."""
        return self.refused("refused")

    def sold(self, lines: Sequence[Line]) -> Reply:
        """200 without the number; only a yes that is another number's names that."""
        (line,) = lines
        if line.state == "refused":
            return self.refused(line.reason)
        if line.state == "missing":
            return Reply(200, {})
        success = _error(200, "success")
        foreign = line.record.number != line.number
        return Reply(200, {**success.body, "msisdn": digits_only(line.record.number)}) if foreign else success

    def list_owned(self, incoming: Incoming) -> Reply:
        """In the order bought."""
        incoming.only("country", "pattern", "search_pattern", "size", "index", "application_id", "has_application")
        owned = self.ledger.owned(self.kind, self.account(incoming))
        return _listed(incoming, [self.describe(one) for one in owned if _matches(one.number, incoming)])

    def search(self, incoming: Incoming) -> Reply:
        """Numbers for sale with their monthly cost."""
        incoming.only("country", "pattern", "search_pattern", "type", "features", "size", "index")
        country = incoming.text("country")
        if not known_country(country):
            raise Invalid(Problem("country", "", "missing"))
        begins = incoming.text("pattern") if incoming.text("search_pattern") == "0" else ""
        prefix = begins.removeprefix(str(phonenumbers.country_code_for_region(country)))
        numbers = (one for one in self.for_sale(country, prefix) if _matches(one, incoming))
        kind = incoming.text("type") or "mobile-lvn"
        return _listed(incoming, [_offer(number, country, kind) for number in islice(numbers, 1000)])

    def balance(self, incoming: Incoming) -> Reply:
        """Enough of it, in EUR."""
        incoming.only()
        return Reply(200, {"value": 100.5, "autoReload": False})

    def describe(self, record: Record) -> dict[str, Any]:
        """An owned number: neither a date nor an id."""
        return {
            "country": region_of(record.number),
            "msisdn": digits_only(record.number),
            "type": "mobile-lvn",
            "features": ["VOICE", "SMS"],
        }

    def invalid(self, exc: Invalid) -> Reply:
        """400 with the fields that are wrong."""
        return Reply(400, {problem.field or "body": _words(problem) for problem in exc.problems})

    def refused(self, reason: RefusalReason) -> Reply:
        """420, whatever the reason; the label tells of an address, and of little else."""
        return _error(420, _ADDRESS if reason == "compliance" else "method failed")

    def account_refused(self, reason: AccountReason, numbers: Sequence[str]) -> Reply:  # noqa: ARG002 - one number
        """401, which was reported for trial credit too; a limit of numbers in our words."""
        return _error(420, "account limit exceeded") if reason == "quota" else _error(401, "authentication failed")

    def throttled(self) -> Reply:
        """429."""
        return _error(429, "too many requests")

    def failed(self) -> Reply:
        """500."""
        return _error(500, "internal error")

    def _named(self, incoming: Incoming) -> tuple[str, str]:
        """The account and the number of a form."""
        form = check_object(incoming.form(), {"country": _COUNTRY, "msisdn": DIGITS}, {"target_api_key": TEXT})
        number = f"+{form['msisdn']}"
        if region_of(number) != form["country"]:
            raise Refusal(_error(404, "number not found"))
        return form.get("target_api_key", self.account(incoming)), number


def _words(problem: Problem) -> str:
    return "Is required." if problem.code == "missing" else problem.message


def _matches(number: str, incoming: Incoming) -> bool:
    pattern, how = incoming.text("pattern"), incoming.text("search_pattern") or "0"
    if how not in _MATCHES:
        raise Invalid(Problem("search_pattern", "must be 0, 1 or 2"))
    return not pattern or bool(_MATCHES[how](digits_only(number), pattern))


def _listed(incoming: Incoming, items: Sequence[dict[str, Any]]) -> Reply:
    """A page of them; where nothing is found, `{}`."""
    size, index = incoming.whole("size", 10, 1, 100), incoming.whole("index", 1, 1, 10**6)
    shown = list(items[(index - 1) * size : index * size])
    return Reply(200, {"count": len(items), "numbers": shown} if items else {})


def _offer(number: str, country: str, kind: str) -> dict[str, Any]:
    return {
        **{"country": country, "msisdn": digits_only(number), "type": kind, "features": ["VOICE", "SMS"]},
        **{"cost": "0.90", "initialPrice": "0.00"},
    }


def _error(status: int, label: str) -> Reply:
    return Reply(status, {"error-code": str(status), "error-code-label": label})
