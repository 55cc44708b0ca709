"""Bird, page 'Buy a Number', for buying; the vendor's other Numbers pages for the rest.

POST /workspaces/{w}/numbers-long-code buys up to 25 stock items by id and answers 201 with their records. A number
may still be on its way then: `endpoint.provisioningStatus`. The page asks to reserve items first 'as a User', but no
reservation is documented and the vendor's own buying guide goes from search to purchase: so do we. Whether a batch is
all or nothing is not said: each number needs its own record.

From 'Search Available Numbers' and 'Long Code Numbers': GET /organizations/{o}/numbers-stock-items (prefix in full
international form, with countryCodes) and GET numbers-long-code?numberString= (leading digits), 99 a page, the
last page without nextPageToken. From 'Common API usage': not enough balance is a 4xx.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from schemas.numbering.numbers import digits_only
from schemas.numbering.regions import region_of
from schemas.outcomes import WRONG_NUMBER, Candidate, Check, Look, Outcome, OutcomeKind, OwnedNumber
from tasks.providers.adapter import Ask, Known, LookupWay, ProviderError, SearchQuery
from tasks.providers.bird import records as bird_records
from tasks.providers.bird.config import BirdConfig
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.check import Probe, run_probes
from tasks.providers.reading.filters import begins
from tasks.providers.reading.list_page import Entry, Listing, Page, text_or_none
from tasks.providers.transport.answers import e164, entries, fields, identifier, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.session import Session

PAGE_SIZE = 99
LISTING = Listing(
    entries="results",
    may=("nextPageToken",),
    number="numberString",
    ids=("id", "endpointId"),
    kind=bird_records.state,
    filters={"numberString": begins("numberString")},
)
_PATH_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Bird:
    """One Bird workspace, and the stock of its organization."""

    lookup: ClassVar[LookupWay] = "by_number"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 25
    prepares: ClassVar[bool] = True
    keeps_reference: ClassVar[bool] = False

    def __init__(self, config: BirdConfig, token: str) -> None:
        self._session = Session("Bird", config, token=token, scheme="AccessKey")
        self._numbers = f"/workspaces/{config.workspace_id}/numbers-long-code"
        self._stock = f"/organizations/{config.organization_id}/numbers-stock-items"

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Find the number's stock item: that which the request names, where it is the number's.

        An id says nothing of its number, and one of a shifted column would buy another. Nothing is bought here, so a
        search that fails is 'not sent', whatever its failure.
        """
        try:
            found = searches.of_number(self._beginning(ask.number, ask.number), "numberString", ask.number)
        except ProviderError as exc:
            return searches.search_failed(exc.outcome)
        return self._complete(ask, found)

    def prepare_together(self, asks: Sequence[Ask]) -> list[Ask | Outcome | None]:
        """One search for all numbers of an area."""
        found = searches.found_together(asks, self._beginning, "numberString")
        return [
            self._complete(ask, own) if isinstance(own, list) else own for ask, own in zip(asks, found, strict=True)
        ]

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy up to 25 stock items in one call; each number is found in the answer by itself."""
        body = {"numberStockItemIds": [str(ask.options["stock_item_id"]) for ask in asks]}
        answer = self._session.purchase(self._numbers, body, len(asks))
        if isinstance(answer, Outcome):
            return [answer] * len(asks)
        asked = {ask.number for ask in asks}
        return [self._bought(answer, ask.number, asked) for ask in asks]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """Get each number by its id where that is known, else list what begins like it, and compare exactly."""
        return lookups.look_each(numbers, self._look)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """The organization's stock, with its monthly price; items on back order are left out."""
        prefix = {"prefix": searches.international_prefix(query)} if query.prefix else {}
        limit = searches.page_size(query, PAGE_SIZE)
        paging = {"limit": limit, **({"pageToken": query.after} if query.after else {})}
        items, following = self._stock_items({"countryCodes": query.country, **paging, **prefix})
        found = (
            searches.offered(
                item.get("numberString"),
                query,
                price=bird_records.price(item.get("monthlyPrice")),
                stock=self._session.identify(item.get("id")),
            )
            for item in items
        )
        return searches.shown(query, items, found, limit, following)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 99 a page, without what Bird took back or never delivered."""
        return lookups.owned(lookups.walk(partial(self._page, {})))

    def check(self) -> list[Check]:
        """List one number of the workspace, then one stock item of the organization."""
        return run_probes(
            self._session.base_url,
            [
                Probe(
                    name="workspace",
                    call=lambda: self._session.call("GET", self._numbers, params={"limit": 1}),
                    proves="the workspace's numbers are listed",
                    mend="check workspace_id and base_url",
                ),
                Probe(
                    name="organization",
                    call=lambda: self.search(SearchQuery(limit=1)),
                    proves="the organization's stock is searched",
                    mend="check organization_id",
                ),
            ],
        )

    def _complete(self, ask: Ask, items: Sequence[Mapping[str, Any]]) -> Ask | Outcome:
        """*ask* with the id of one of its number's stock *items*: that which it names, where it is among them."""
        if not (own := [item for item in items if identifier(item.get("id"))]):
            error = f"Bird has {ask.number} not in stock: search for another"
            return self._session.outcome(OutcomeKind.REFUSED, code="not_in_stock", error=error)
        within = searches.within_price(ask, own, lambda item: bird_records.price(item.get("monthlyPrice")))
        if not within:
            return searches.dearer(self._session, ask)
        found = [identifier(item.get("id")) for item in within]
        named = ask.options.get("stock_item_id")
        return replace(ask, options={**ask.options, "stock_item_id": named if named in found else found[0]})

    def _beginning(self, number: str, prefix: str) -> searches.Listed:
        """What is in stock in *number*'s country that begins with *prefix*."""
        country = region_of(number)
        within = {"countryCodes": country} if country else {}
        return self._stock_items({**within, "prefix": prefix, "limit": PAGE_SIZE})[0]

    def _stock_items(self, params: Mapping[str, Any]) -> tuple[searches.Listed, str | None]:
        """A page of the stock, and the token of the next one."""
        answer = self._session.call("GET", self._stock, params=params)
        items = searches.listed(self._session, answer, fields(answer.body).get("results"))
        items[:] = [item for item in items if item.get("backOrderRequired") in (None, False)]
        return items, text_or_none(self._session, answer, fields(answer.body).get("nextPageToken"))

    def _bought(self, answer: Answer, number: str, asked: Set[str]) -> Outcome:
        results = entries(fields(answer.body).get("results"))
        records = [record for record in results if same_number(record.get("numberString"), number)]
        known = self._known(records[0]) if len(records) == 1 else None
        if known is None:
            others = {e164(record.get("numberString")) for record in results} - {None, *asked}
            code = WRONG_NUMBER if others and not records else "no_record"
            return self._session.unsettled(answer, code, f"no single record of {number}")
        kind = bird_records.OUTCOMES.get(bird_records.state(records[0]))
        if kind is None:
            return self._session.unsettled(
                answer, "not_delivered", f"a record of {number} that is not on its way to us"
            )
        return self._session.yes(answer, known, kind)

    def _look(self, number: str, known: Known) -> Look:
        shown = self._get(number, known.number_id) if _PATH_ID.fullmatch(known.number_id or "") else []
        if any(entry.kind in bird_records.OUTCOMES for entry in shown):
            return lookups.look_through(shown, [number])[number]
        # The list may know the number under a newer id. Without the plus, which a gateway may take for a blank.
        page = partial(self._page, {"numberString": digits_only(number)})
        return lookups.look_list(page, [number], shown)[number]

    def _get(self, number: str, known: str | None) -> list[Entry]:
        """The record with this id; none where there is none. Raises ProviderError for another number's."""
        answer = self._session.exchange("GET", f"{self._numbers}/{known}")
        if answer.status == 404:
            return []
        entry = LISTING.entry(self._session, fields(self._session.require(answer).body))
        if entry is None or entry.number != number:
            raise ProviderError(self._session.unsettled(answer, WRONG_NUMBER, f"no record of {number}"))
        return [entry]

    def _known(self, record: Mapping[str, Any]) -> str | None:
        # The page says that both are the same.
        return self._session.identify(record.get("id")) or self._session.identify(record.get("endpointId"))

    def _page(self, params: Mapping[str, Any], token: str | None) -> Page:
        paging = {"limit": PAGE_SIZE, **({"pageToken": token} if token else {})}
        answer = self._session.call("GET", self._numbers, params={**params, **paging})
        following = text_or_none(self._session, answer, fields(answer.body).get("nextPageToken"))
        return LISTING.page(self._session, answer, following)
