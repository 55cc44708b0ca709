"""Plivo, its pages 'Buy a Phone Number', 'Phone Numbers', 'Account limits' and its own client library.

POST /v1/Account/{auth_id}/PhoneNumber/{number}/ answers 201 with {message, numbers: [{number, status}], status}; paths
end with a slash, numbers are digits with the country code. `status` beside the list is `fulfilled` even where the
number's own is `pending`, for which Plivo asks for papers by e-mail: so the inner one is read, and `pending` is an
order that stands and waits for papers (our reading). Errors are {error} without codes, and which statuses a purchase
has is not said. A number that somebody took and one that is ours already both answer 404 (one public report): the look
after a refusal decides. What a lack of balance answers is not known.

GET /v1/Account/{auth_id}/Number/ lists what is ours, 20 at most a page by limit and offset; number_startswith filters.
`active` false is ours and not usable, by our reading. A search that finds nothing may answer 404. DELETE
Number/{number}/ gives it back; its answer is not said, and the vendor's client takes 200, 202 and 204: 204 is done, by
our reading, and after the others the list is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from schemas.config.balances import Balance
from schemas.config.papers import paper_for, papers_mend
from schemas.money import Price, read_price
from schemas.numbering.numbers import digits_only
from schemas.outcomes import WRONG_NUMBER, Candidate, Check, Look, Outcome, OutcomeKind, OwnedNumber
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery, Shown
from tasks.providers.plivo.config import PlivoConfig
from tasks.providers.plivo.pages import LISTING, PAGE_SIZE, following, is_count
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.balances import balance_in, balance_probe
from tasks.providers.reading.check import Probe, run_probes, standard_probes
from tasks.providers.reading.list_page import Page
from tasks.providers.transport.answers import e164, entries, fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.release import by_digits, no_content, release
from tasks.providers.transport.session import Session, basic, only

CURRENCY = "USD"
"""That of its prices."""


class Plivo:
    """One Plivo account."""

    lookup: ClassVar[LookupWay] = "by_number"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = False
    keeps_for: ClassVar[tuple[float, ...]] = ()

    def __init__(self, config: PlivoConfig, token: str) -> None:
        credential = basic(config.auth_id, token)
        self._session = Session("Plivo", config, token=token, scheme="Basic", credential=credential)
        self._account = f"/v1/Account/{config.auth_id}/"
        self._applications = config.compliance_applications
        self._low_balance = config.low_balance

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Nothing to prepare."""
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy one number, with the compliance application configured for its country."""
        ask = only(asks)
        own = {name: ask.options.get(name) for name in ("app_id", "compliance_application_id")}
        body = {"compliance_application_id": paper_for(self._applications, ask.number)}
        body |= {name: value for name, value in own.items() if value}
        path = f"{self._account}PhoneNumber/{digits_only(ask.number)}/"
        answer = self._session.purchase(path, {name: value for name, value in body.items() if value})
        return [answer if isinstance(answer, Outcome) else self._bought(answer, ask.number)]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """List what begins like each number, and compare exactly."""
        return lookups.look_each(numbers, self._look)

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        """Delete it by its digits, which are its id."""
        if other := by_digits(self._session, number, number_id):
            return other
        found = release(self._session, f"{self._account}Number/{{id}}/", number_id, no_content)
        taken = found.kind is ReleaseKind.UNKNOWN and found.http_status in (200, 202)
        return replace(found, kind=ReleaseKind.ACCEPTED) if taken else found

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale with their price, 20 at most a page."""
        limit = searches.page_size(query, PAGE_SIZE)
        pattern = {"pattern": query.prefix} if query.prefix else {}
        params = {"country_iso": query.country, "limit": limit, "offset": int(query.after or 0), **pattern}
        answer = self._session.exchange("GET", f"{self._account}PhoneNumber/", params=params)
        if answer.status == 404 and isinstance(fields(answer.body).get("error"), str):
            return Shown(flaw=answer.flaw)
        items = searches.listed(self._session, self._session.require(answer), fields(answer.body).get("objects"))
        found = (
            searches.able(
                searches.offered(
                    item.get("number"), query, region=self._session.text(item.get("region")), price=_price(item)
                ),
                query,
                [name for name in query.features if item.get(f"{name}_enabled") is True],
            )
            for item in items
        )
        return searches.shown(query, items, found, limit, following(self._session, answer))

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 20 a page."""
        return lookups.owned(lookups.walk(partial(self._page, {})))

    def check(self) -> list[Check]:
        """List one page of numbers, search one for sale, and tell the balance."""
        listed = Probe(
            name="numbers",
            call=lambda: self._page({}, None),
            proves="numbers are listed: auth_id and token belong together",
            mend="check auth_id and base_url, https://api.plivo.com",
        )
        told = balance_probe(self.balance, self._low_balance)
        return run_probes(self._session.base_url, [*standard_probes(listed, self._for_sale), told])

    def balance(self) -> Balance:
        """`cash_credits` of the account; no currency is told beside it."""
        answer = self._session.call("GET", self._account)
        return balance_in(self._session, answer, fields(answer.body).get("cash_credits"), "")

    def _for_sale(self, query: SearchQuery) -> Check | None:
        """None where a search shows numbers: a path that is none may be answered as one that finds nothing."""
        message = "shows no number for sale, which proves nothing: if Plivo sells some to you, check base_url"
        return None if self.search(query) else Check(name="search", ok=None, message=message)

    def _bought(self, answer: Answer, number: str) -> Outcome:
        items = entries(fields(answer.body).get("numbers"))
        said = [item.get("status") for item in items if same_number(item.get("number"), number)]
        if not said:
            code = WRONG_NUMBER if any(e164(item.get("number")) for item in items) else "no_record"
            return self._session.unsettled(answer, code, f"no record of {number}")
        if all(status == "Success" for status in said):
            return self._session.yes(answer, digits_only(number))
        if all(status == "pending" for status in said):
            return self._waits(answer, number)
        return self._session.unsettled(answer, "unknown_status", f"a status of {number} that is not documented")

    def _waits(self, answer: Answer, number: str) -> Outcome:
        """An order that stands; a number is all that names it."""
        mend = papers_mend("compliance_applications", number)
        outcome = self._session.outcome(
            OutcomeKind.COMPLIANCE,
            code="pending",
            error=f"Plivo took the order and wants papers, which it asks for by e-mail; for others {mend}",
            status=answer.status,
            detail=answer.text,
        )
        return replace(outcome, provider_order_id=digits_only(number))

    def _look(self, number: str, _known: Known) -> Look:
        page = partial(self._page, {"number_startswith": digits_only(number)})
        return lookups.look_list(page, [number])[number]

    def _page(self, params: Mapping[str, Any], offset: str | None) -> Page:
        asked = {**params, "limit": PAGE_SIZE, "offset": int(offset or 0)}
        answer = self._session.call("GET", f"{self._account}Number/", params=asked)
        page = LISTING.page(self._session, answer, following(self._session, answer))
        total = fields(fields(answer.body).get("meta")).get("total_count")
        return replace(page, total=total if is_count(total) else None)


def _price(item: Mapping[str, Any]) -> Price | None:
    return read_price(monthly=item.get("monthly_rental_rate"), setup=item.get("setup_rate"), currency=CURRENCY)
