"""Vogent, page 'Purchase available number', and the newer pages that it points to.

The page deprecates POST /api/phone_numbers/purchase {number} for POST /api/phone_numbers, whose own page has
{type: "purchase", purchase: {number}}; `purchase_endpoint` of the configuration chooses. Both answer 200 with the
number's record. 400 and 422 are documented without a body. Known from the vendor's other pages: the list has no
filter by number (limit to 100, `cursor`), and the search wants a prefix and gives 10 at most. Our reading: the
search shows numbers as E.164 with the plus, as the list does, and so they are sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from schemas.config import VogentConfig
from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OwnedNumber
from tasks.providers import candidates
from tasks.providers.answers import e164, fields
from tasks.providers.base import Ask, EachPage, LookupWay, ProviderError, SearchQuery, Unsupported, no_pause
from tasks.providers.checks import Probe, run_probes
from tasks.providers.looks import Page, unclear, walk
from tasks.providers.session import Session, only

NUMBERS = "/api/phone_numbers"
DEPRECATED_BUY = f"{NUMBERS}/purchase"
SEARCH = f"{NUMBERS}/search"
PAGE_SIZE = 100
MAX_CANDIDATES = 10


class Vogent:
    """One Vogent account."""

    lookup: ClassVar[LookupWay] = "by_list"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False

    def __init__(self, config: VogentConfig, token: str) -> None:
        self._session = Session("Vogent", config, token=token, scheme="Bearer")
        self._deprecated = config.purchase_endpoint == "phone_numbers/purchase"

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Nothing to prepare."""
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy one number at the configured endpoint."""
        number = only(asks).number
        if self._deprecated:
            answer = self._session.purchase(DEPRECATED_BUY, {"number": number})
        else:
            answer = self._session.purchase(NUMBERS, {"type": "purchase", "purchase": {"number": number}})
        if isinstance(answer, Outcome):
            return [answer]
        return [self._session.record(answer, _phone(fields(answer.body)), number)]

    def look(self, numbers: Mapping[str, str | None]) -> dict[str, Look]:
        """Walk the list once for all *numbers*; where it breaks off, those not met so far are unclear."""
        looks: dict[str, Look] = {}
        missing = Look(kind=LookKind.ABSENT)
        try:
            for owned in self.owned():
                if owned.number in numbers:
                    looks[owned.number] = Look(kind=LookKind.OWNED, provider_number_id=owned.provider_number_id or None)
                    if len(looks) == len(numbers):
                        break
        except ProviderError as exc:
            missing = unclear(exc.outcome)
        return {number: looks.get(number, missing) for number in numbers}

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale, 10 at most; no price is shown. Raises Unsupported without a prefix."""
        if not query.prefix:
            raise Unsupported("Vogent searches by prefix only: give an area code like 415")
        limit = candidates.page_size(query, MAX_CANDIDATES)
        body = {"prefix": query.prefix, "country": query.country, "limit": limit}
        answer = self._session.call("POST", SEARCH, json=body)
        items = self._session.page(answer, answer.body)
        found = (candidates.offered(item.get("number"), query) for item in items)
        return [candidate for candidate in found if candidate][:limit]

    def owned(self, each_page: EachPage = no_pause) -> Iterator[OwnedNumber]:
        """Walk the list, 100 a page; SIP user names in it are no numbers."""
        for item in walk(self._page, each_page):
            if number := e164(_phone(item).get("number")):
                yield OwnedNumber(number=number, provider_number_id=self._session.identify(item.get("id")) or "")

    def check(self) -> list[Check]:
        """List one owned number, then search one."""
        return run_probes(
            self._session.base_url,
            [
                Probe(
                    name="path",
                    call=lambda: self._session.call("GET", NUMBERS, params={"limit": 1}),
                    proves="numbers are listed",
                    mend="check base_url",
                ),
                Probe(
                    name="search",
                    call=lambda: self.search(SearchQuery(prefix="415", limit=1)),
                    proves="numbers for sale are found",
                    mend="check base_url",
                ),
            ],
        )

    def _page(self, cursor: str | None) -> Page:
        params = {"limit": PAGE_SIZE, **({"cursor": cursor} if cursor else {})}
        answer = self._session.call("GET", NUMBERS, params=params)
        body = fields(answer.body)
        entries = self._session.page(answer, body.get("data"))
        following = body.get("cursor")
        if following is not None and not isinstance(following, str):
            raise ProviderError(self._session.unsettled(answer, "unreadable_answer", "a cursor that is no text"))
        return entries, following or None


def _phone(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """*record* where it is a phone number's; an older form of the page has no type."""
    return {} if record.get("type") == "SIP_USERNAME" else record
