"""Fluents, page 'Buy number', for buying; the rest is known from other public material.

POST /v1/numbers/buy answers 201 with the number's record. Always with `phone_number`: with an area code alone the
provider chooses, and a doubtful purchase could not be looked for. The page types `telephony_provider` and
`inbound_agent` as objects where its examples are strings: strings are sent.

Known from a third-party connector reference and the titles of the vendor's pages: GET /v1/numbers?phone_number=,
/v1/numbers/list (page from 1, size to 100, envelope {items, page, size, has_more, total, total_is_estimated}) and
/v1/numbers/available (`filters` is JSON text). Our reading: the shape of an answer to a get is taken as object, list or
envelope; what it answers for a number that is not ours is not documented, so the list decides that; the filter's key
is the purchase's own `area_code`; what comes back is filtered again here, by country too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OwnedNumber
from tasks.providers.adapter import Ask, Known, LookupWay, ProviderError, SearchQuery
from tasks.providers.fluents.config import FluentsConfig
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.check import Probe, run_probes
from tasks.providers.reading.list_page import Listing, Page
from tasks.providers.transport.answers import entries, fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session, only

GET, BUY = "/v1/numbers", "/v1/numbers/buy"
LIST, AVAILABLE = "/v1/numbers/list", "/v1/numbers/available"
PAGE_SIZE = 100
LISTING = Listing(
    entries="items",
    needs=("has_more",),
    may=("page", "size", "total", "total_is_estimated"),
    echoes=("page", "size"),
    # what an agent is told in a call, by way of example: a caller's number, too
    others=("example_context",),
)


class Fluents:
    """One Fluents account, buying through one telephony account connection."""

    lookup: ClassVar[LookupWay] = "by_list"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = False

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

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """Get each number; those that a get does not show are looked for in the list, all together.

        A 404 is every gateway's word too, so it settles nothing: what is absent, the list says.
        """
        found = lookups.look_each(numbers, self._get)
        if left := [number for number in numbers if number not in found]:
            found |= lookups.look_list(self._page, left)
        return {number: found[number] for number in numbers}

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale through the connection; the true shape of an item is not documented."""
        filters = json.dumps({"area_code": query.prefix} if query.prefix else {})
        limit = searches.page_size(query, PAGE_SIZE)
        answer = self._session.call("GET", AVAILABLE, params={"limit": limit, "filters": filters, **self._through})
        items = searches.listed(self._session, answer, _items(answer.body))
        found = (searches.offered(item.get("number") or item.get("phone_number"), query) for item in items)
        return searches.shown(query, items, found, limit)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 100 a page."""
        return lookups.owned(lookups.walk(self._page))

    def check(self) -> list[Check]:
        """List one owned number, then search one through the connection."""
        mend = "check telephony_provider and telephony_account_connection"
        return run_probes(
            self._session.base_url,
            [
                Probe(name="path", call=lambda: self._list(1, 1), proves="numbers are listed", mend="check base_url"),
                Probe(
                    name="telephony_account_connection",
                    call=lambda: self.search(SearchQuery(limit=1)),
                    proves="numbers for sale are found",
                    mend=mend,
                ),
            ],
        )

    def _get(self, number: str, _known: Known) -> Look | None:
        """What a get shows; None where it shows nothing. A record has an id: an error may well repeat the number."""
        answer = self._session.exchange("GET", GET, params={"phone_number": number})
        if answer.status == 404:
            return None
        body = self._session.require(answer).body
        listed = _items(body)
        for record in [fields(body)] if listed is None else entries(listed):
            known = self._session.identify(record.get("id"))
            failed = record.get("error") or record.get("active") is False
            if known is not None and same_number(record.get("number"), number) and not failed:
                return Look(kind=LookKind.OWNED, provider_number_id=known)
        if body == [] or (listed == [] and self._is_end(answer)):
            return None
        raise ProviderError(self._session.unsettled(answer, "no_record", f"no record of {number}"))

    def _is_end(self, answer: Answer) -> bool:
        page = LISTING.page(self._session, answer, None)
        return fields(answer.body).get("has_more") is False and not list(lookups.walk(lambda _: page))

    def _page(self, cursor: str | None) -> Page:
        number = int(cursor or "1")
        answer = self._list(number, PAGE_SIZE)
        more = fields(answer.body).get("has_more")
        page = LISTING.page(self._session, answer, str(number + 1) if more is True else None)
        if not isinstance(more, bool) or (more and not page.entries):
            raise ProviderError(self._session.unsettled(answer, "unreadable_list", "no clear word on further pages"))
        return page

    def _list(self, page: int, size: int) -> Answer:
        return self._session.call("GET", LIST, params={"page": page, "size": size})


def _items(body: Any) -> Any:
    """The list in a bare list or an envelope; None where the body is neither."""
    return body if isinstance(body, list) else fields(body).get("items")
