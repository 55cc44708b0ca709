"""Fluents, page 'Buy number', for buying; the rest is known from other public material.

POST /v1/numbers/buy answers 201 with the number's record. Always with `phone_number`: with an area code alone the
provider chooses, and a doubtful purchase could not be looked for. The page types `telephony_provider` and
`inbound_agent` as objects where its examples are strings: strings are sent.

Known from a third-party connector reference and the titles of the vendor's pages: GET /v1/numbers?phone_number=,
/v1/numbers/list (page from 1, size to 100, envelope {items, has_more}) and /v1/numbers/available (`filters` is JSON
text). Our reading: the shape of an answer to a get is taken as object, list or envelope; the filter's key is the
purchase's own `area_code`; what comes back is filtered again here, by country too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from schemas.config import FluentsConfig
from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OwnedNumber
from tasks.providers import candidates
from tasks.providers.answers import e164, entries, fields, same_number
from tasks.providers.base import Ask, EachPage, LookupWay, SearchQuery, no_pause
from tasks.providers.checks import Probe, run_probes
from tasks.providers.classify import read_said
from tasks.providers.http import Answer
from tasks.providers.looks import Page, look_each, unclear, walk
from tasks.providers.session import Session, only

GET, BUY = "/v1/numbers", "/v1/numbers/buy"
LIST, AVAILABLE = "/v1/numbers/list", "/v1/numbers/available"
PAGE_SIZE = 100


class Fluents:
    """One Fluents account, buying through one telephony account connection."""

    lookup: ClassVar[LookupWay] = "by_number"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False

    def __init__(self, config: FluentsConfig, token: str) -> None:
        self._session = Session("Fluents", config, token=token, scheme="Bearer")
        self._through = {
            "telephony_provider": config.telephony_provider,
            "telephony_account_connection": config.telephony_account_connection,
        }

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Nothing to prepare."""
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy one number, with its `inbound_agent` where the request names one."""
        ask = only(asks)
        agent = ask.options.get("inbound_agent")
        body = {"phone_number": ask.number, **self._through, **({"inbound_agent": agent} if agent else {})}
        answer = self._session.purchase(BUY, body)
        if isinstance(answer, Outcome):
            return [answer]
        return [self._session.record(answer, fields(answer.body), ask.number)]

    def look(self, numbers: Mapping[str, str | None]) -> dict[str, Look]:
        """Get each number."""
        return look_each(numbers, self._look)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale through the connection; the true shape of an item is not documented."""
        filters = json.dumps({"area_code": query.prefix} if query.prefix else {})
        limit = candidates.page_size(query, PAGE_SIZE)
        answer = self._session.call("GET", AVAILABLE, params={"limit": limit, "filters": filters, **self._through})
        items = self._session.page(answer, _items(answer.body))
        found = (candidates.offered(item.get("number") or item.get("phone_number"), query) for item in items)
        return [candidate for candidate in found if candidate][:limit]

    def owned(self, each_page: EachPage = no_pause) -> Iterator[OwnedNumber]:
        """Walk the list, 100 a page."""
        for item in walk(self._page, each_page):
            if number := e164(item.get("number")):
                yield OwnedNumber(number=number, provider_number_id=self._session.identify(item.get("id")) or "")

    def check(self) -> list[Check]:
        """List one owned number, then search one through the connection."""
        mend = "check telephony_provider and telephony_account_connection"
        return run_probes(
            self._session.base_url,
            [
                Probe(name="path", call=lambda: self._list("1", 1), proves="numbers are listed", mend="check base_url"),
                Probe(
                    name="telephony_account_connection",
                    call=lambda: self.search(SearchQuery(limit=1)),
                    proves="numbers for sale are found",
                    mend=mend,
                ),
            ],
        )

    def _look(self, number: str, _known: str | None) -> Look:
        answer = self._session.exchange("GET", GET, params={"phone_number": number})
        if _is_not_found(answer):
            return Look(kind=LookKind.ABSENT)
        self._session.require(answer)
        listed = _items(answer.body)
        for record in [fields(answer.body)] if listed is None else entries(listed):
            if same_number(record.get("number"), number):
                return Look(kind=LookKind.OWNED, provider_number_id=self._session.identify(record.get("id")))
        if listed == []:
            return Look(kind=LookKind.ABSENT)
        return unclear(self._session.unsettled(answer, "no_record", f"something other than {number}"))

    def _page(self, cursor: str | None) -> Page:
        number = cursor or "1"
        answer = self._list(number, PAGE_SIZE)
        items = self._session.page(answer, fields(answer.body).get("items"))
        more = fields(answer.body).get("has_more", len(items) == PAGE_SIZE)
        return items, str(int(number) + 1) if more and items else None

    def _list(self, page: str, size: int) -> Answer:
        return self._session.call("GET", LIST, params={"page": page, "size": size})


def _items(body: Any) -> Any:
    """The list in a bare list or an envelope; None where the body is neither."""
    return body if isinstance(body, list) else fields(body).get("items")


def _is_not_found(answer: Answer) -> bool:
    """Whether the API says that there is no such number.

    Its framework answers an unknown path in the same form ('Cannot GET /v1/numbers'), and a gateway answers 404 in
    its own: neither says anything about the number.
    """
    if answer.status != 404 or not isinstance(answer.body, dict):
        return False
    return not any(part.startswith("Cannot GET") for part in read_said(answer.body).parts)
