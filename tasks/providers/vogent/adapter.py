"""Vogent, page 'Purchase available number', and the newer pages that it points to.

The page deprecates POST /api/phone_numbers/purchase {number} for POST /api/phone_numbers, whose own page has
{type: "purchase", purchase: {number}}; `purchase_endpoint` of the configuration chooses. Both answer 200 with the
number's record. 400 and 422 are documented without a body. Known from the vendor's other pages: the list has no
filter by number (limit to 100, `cursor`), and the search wants a prefix and gives 10 at most. Our reading: the
search shows numbers as E.164 with the plus, as the list does, and so they are sent. DELETE by id answers 200 with the
number's record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OwnedNumber
from schemas.releasing import ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery, Unsupported
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.check import Probe, run_probes, standard_probes
from tasks.providers.reading.list_page import Listing, Page, text_or_none
from tasks.providers.transport.answers import fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.release import release
from tasks.providers.transport.session import Session, only
from tasks.providers.vogent.config import VogentConfig

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
    keeps_reference: ClassVar[bool] = False
    keeps_for: ClassVar[tuple[float, ...]] = ()

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
        record = fields(answer.body)
        said = same_number(record.get("number"), number) and _state(record) is not LookKind.OWNED
        return [self._session.record(answer, {} if said else record, number)]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """Walk the list for all *numbers* together."""
        return lookups.look_list(self._page, numbers)

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        """Delete it by its id: the answer is the record of the very number."""

        def says_done(answer: Answer) -> bool:
            record = fields(answer.body)
            named = self._session.identify(record.get("id")) == number_id
            return answer.status == 200 and named and same_number(record.get("number"), number)

        return release(self._session, f"{NUMBERS}/{{id}}", number_id, says_done)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale, 10 at most; no price is shown. Raises Unsupported without a prefix."""
        if not query.prefix:
            raise Unsupported("Vogent searches by prefix only: give an area code like 415")
        limit = searches.page_size(query, MAX_CANDIDATES)
        body = {"prefix": query.prefix, "country": query.country, "limit": limit}
        answer = self._session.call("POST", SEARCH, json=body)
        items = searches.listed(self._session, answer, answer.body)
        found = (searches.offered(item.get("number"), query) for item in items)
        return searches.shown(query, items, found, limit)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 100 a page; SIP user names in it are no numbers."""
        return lookups.owned(lookups.walk(self._page))

    def check(self) -> list[Check]:
        """List one owned number, then search one."""
        listed = Probe(
            name="path",
            call=lambda: self._session.call("GET", NUMBERS, params={"limit": 1}),
            proves="numbers are listed",
            mend="check base_url",
        )
        return run_probes(self._session.base_url, standard_probes(listed, self.search, prefix="415"))

    def _page(self, cursor: str | None) -> Page:
        params = {"limit": PAGE_SIZE, **({"cursor": cursor} if cursor else {})}
        answer = self._session.call("GET", NUMBERS, params=params)
        following = text_or_none(self._session, answer, fields(answer.body).get("cursor"))
        return LISTING.page(self._session, answer, following)


def _is_user_name(record: Mapping[str, Any]) -> bool:
    """Whether a record is none of a phone number; an older form of the page has no type."""
    return record.get("type") == "SIP_USERNAME"


def _state(record: Mapping[str, Any]) -> LookKind:
    """A user name that reads as a phone number may be ours under a wrong type: it is no yes, and no sign of absence.

    So is one whose type is of another type than documented.
    """
    named = record.get("type") is None or isinstance(record["type"], str)
    return LookKind.OWNED if named and not _is_user_name(record) else LookKind.UNCLEAR


LISTING = Listing(entries="data", needs=("cursor",), kind=_state, passed_over=_is_user_name)
