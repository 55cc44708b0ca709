"""Twilio, from its published specification of API version 2010-04-01, for all but what its errors mean (`errors`).

POST /2010-04-01/Accounts/{AccountSid}/IncomingPhoneNumbers.json, a form, buys the PhoneNumber that it names, never one
out of an AreaCode that Twilio would choose; it answers 201 with the record. The vendor says that buying a named number
is idempotent by nature: one that the account has already answers 201 again, and is updated (a public issue, confirmed
by its support). So a yes is `already_owned` where `date_created` is older than our first call: our reading, for no
field says it. A repeat overwrites FriendlyName: it is sent after looks only.

GET of the same path lists the numbers of that account alone, none of its subaccounts; PhoneNumber and FriendlyName
filter it. PhoneNumber finds parts of numbers too, and whether FriendlyName is exact is not said: both are compared
again here. FriendlyName is our name of the call unless the request gives one. Prices stand in another API. DELETE of a
number's SID answers 204; one with an emergency address is refused until that is unregistered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import tee
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from schemas.by_criteria.criteria import NumberType
from schemas.config.balances import Balance
from schemas.config.papers import paper_for
from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OwnedNumber
from schemas.releasing import ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery, Unsupported
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.balances import balance_in, balance_probe
from tasks.providers.reading.check import Probe, run_probes, standard_probes
from tasks.providers.reading.list_page import Page
from tasks.providers.transport.answers import fields, http_date
from tasks.providers.transport.freshness import TOLERANCE
from tasks.providers.transport.http import Answer
from tasks.providers.transport.release import no_content, release
from tasks.providers.transport.session import Session, basic, only
from tasks.providers.twilio.config import TwilioConfig
from tasks.providers.twilio.errors import judge, with_mend
from tasks.providers.twilio.pages import following, listing

PAGE_SIZE = 1000
NANP = ("US", "CA")
FORM = {
    "friendly_name": "FriendlyName",
    "voice_url": "VoiceUrl",
    "voice_application_sid": "VoiceApplicationSid",
    "sms_url": "SmsUrl",
    "sms_application_sid": "SmsApplicationSid",
    "status_callback": "StatusCallback",
    "trunk_sid": "TrunkSid",
    "bundle_sid": "BundleSid",
    "address_sid": "AddressSid",
    "identity_sid": "IdentitySid",
}
"""The options of a purchase as the form names them."""

TYPES: Mapping[NumberType, str] = {"local": "Local", "mobile": "Mobile", "toll-free": "TollFree"}
"""The list of each type; there are others, which nobody can ask for here."""


class Twilio:
    """One Twilio account."""

    lookup: ClassVar[LookupWay] = "by_number"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = True
    keeps_for: ClassVar[tuple[float, ...]] = ()

    def __init__(self, config: TwilioConfig, token: str) -> None:
        user = config.api_key_sid or config.account_sid
        credential = basic(user, token)
        self._session = Session("Twilio", config, token=token, scheme="Basic", credential=credential, judge=judge)
        self._config = config
        self._account = f"/2010-04-01/Accounts/{config.account_sid}"
        self._numbers = f"{self._account}/IncomingPhoneNumbers.json"
        self._listing = listing(config.account_sid)

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Nothing to prepare."""
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy one number, under our name of the call and with the papers configured for its country."""
        ask = only(asks)
        answer = self._session.purchase(self._numbers, form=self._form(ask))
        if isinstance(answer, Outcome):
            return [with_mend(answer, ask.number)]
        record = fields(answer.body)
        if record.get("account_sid") not in (None, self._config.account_sid):
            return [self._session.unsettled(answer, "other_account", "a record of another account")]
        known = {"number": record.get("phone_number"), "id": record.get("sid")}
        outcome = self._session.record(answer, known, ask.number)
        older = outcome.yes and self._is_older(answer, record.get("date_created"), ask.since)
        return [replace(outcome, already_owned=older)]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """List what contains each number, then what has the names of its doubtful calls, and compare exactly."""
        return lookups.look_each(numbers, self._look)

    def release(self, _number: str, number_id: str) -> ReleaseOutcome:
        """Delete it by its SID."""
        return release(self._session, f"{self._account}/IncomingPhoneNumbers/{{id}}.json", number_id, no_content)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale of one type, else local ones; no price is shown. Raises Unsupported."""
        limit = searches.page_size(query, PAGE_SIZE)
        path = f"{self._account}/AvailablePhoneNumbers/{query.country}/{TYPES[query.type or 'local']}.json"
        answer = self._session.call("GET", path, params={"PageSize": limit, **_search_filter(query)})
        items = searches.listed(self._session, answer, fields(answer.body).get("available_phone_numbers"))
        found = (
            searches.able(
                searches.offered(item.get("phone_number"), query, region=self._session.text(item.get("region"))),
                query,
                searches.true_names(item.get("capabilities")),
            )
            for item in items
        )
        return searches.shown(query, items, found, limit)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 1000 a page."""
        return lookups.owned(lookups.walk(partial(self._page, {})))

    def check(self) -> list[Check]:
        """List one page of numbers, search one for sale, and tell the balance."""
        listed = Probe(
            name="numbers",
            call=lambda: self._page({}, None),
            proves="numbers are listed: account_sid and token belong together",
            mend="check account_sid and base_url, https://api.twilio.com",
        )
        told = balance_probe(self.balance, self._config.low_balance)
        return run_probes(self._session.base_url, [*standard_probes(listed, self.search), told])

    def balance(self) -> Balance:
        """Balance.json, of the account alone."""
        answer = self._session.call("GET", f"{self._account}/Balance.json")
        told = fields(answer.body)
        return balance_in(self._session, answer, told.get("balance"), told.get("currency"))

    def _form(self, ask: Ask) -> dict[str, str]:
        papers = {
            "BundleSid": paper_for(self._config.bundles, ask.number),
            "AddressSid": paper_for(self._config.addresses, ask.number),
            "IdentitySid": paper_for(self._config.identities, ask.number),
        }
        given = {name: ask.options.get(option) for option, name in FORM.items()}
        form = {"PhoneNumber": ask.number, "FriendlyName": ask.reference, **papers}
        form |= {name: value for name, value in given.items() if value}
        return {name: str(value) for name, value in form.items() if value}

    def _is_older(self, answer: Answer, created: Any, since: float) -> bool:
        """Whether a record is from before our first call, by its provider's clocks alone: those of two servers."""
        date = http_date(answer.headers.get("date", ""))
        then = http_date(created) if isinstance(created, str) else None
        if date is None or then is None:
            return False
        return (date - then).total_seconds() > since + self._config.policy.timeout + TOLERANCE

    def _look(self, number: str, known: Known) -> Look:
        found = lookups.look_list(partial(self._page, {"PhoneNumber": number}), [number])[number]
        for reference in known.references:
            if found.kind is not LookKind.ABSENT:
                break
            found = self._under(reference, number)
        return found

    def _under(self, reference: str, number: str) -> Look:
        """What was bought under our name of a call: another number is no *absent*, for that one was bought then."""
        entries, again = tee(lookups.walk_twice(partial(self._page, {"FriendlyName": reference})))
        found = lookups.look_through(entries, [number])[number]
        if found.kind is not LookKind.ABSENT:
            return found
        others = [entry.number for entry in again if entry.rest.get("friendly_name") == reference]
        if others:
            return Look(kind=LookKind.UNCLEAR, error=f"{others[0]} is on the account under the name of this call")
        return found

    def _page(self, params: Mapping[str, Any], query: str | None) -> Page:
        asked = {**dict(parse_qsl(query or "")), **params, "PageSize": PAGE_SIZE}
        answer = self._session.call("GET", self._numbers, params=asked)
        return self._listing.page(self._session, answer, following(self._session, answer))


def _search_filter(query: SearchQuery) -> dict[str, str]:
    """What the list is asked for. Raises Unsupported for a pattern that it does not take."""
    # An area code is of three digits, in the US and in Canada; `Contains` takes 2 to 16 characters, anywhere.
    area = query.prefix[:3] if query.country in NANP and len(query.prefix) >= 3 else ""
    contains = query.prefix[:16] if len(query.prefix) > max(len(area), 1) else ""
    if query.contains and (contains or len(query.contains) < 2):
        raise Unsupported("Twilio is asked for 2 digits or more in a number, beside an area code of three at the most")
    given = {"AreaCode": area, "Contains": contains or query.contains}
    given |= {f"{name.title()}Enabled": "true" for name in query.features}
    return {name: value for name, value in given.items() if value}
