"""SignalWire, page 'Purchase phone number', for buying; its public API specification for the rest.

POST /api/relay/rest/phone_numbers {number} answers 200 with the number's record; the token needs the Numbers scope.
From the specification and the pages 'Paging' and 'Error codes': GET phone_numbers?filter_number= finds a substring,
page_size is 1 to 1000, `links` holds self, first, next and prev; GET phone_numbers/search takes areacode or
starts_with and gives 100 at most. A 422 may come with a null `detail` and the status as its code. Our reading:
`starts_with` counts from the area code, so what comes back is filtered again here; some answers name the number `e164`.
DELETE phone_numbers/{id} answers 204; within 14 days of the purchase, 30 in trial, it is refused as
`purchased_too_recently`, or with code 22121 by the compatible API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from schemas.numbering.numbers import digits_only
from schemas.outcomes import Candidate, Check, Look, Outcome, OwnedNumber
from schemas.releasing import ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery, Unsupported
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.check import Probe, run_probes, standard_probes
from tasks.providers.reading.list_page import Page
from tasks.providers.signalwire.config import SignalWireConfig
from tasks.providers.signalwire.pages import LISTING, NUMBERS, following
from tasks.providers.transport.answers import fields
from tasks.providers.transport.release import no_content, release
from tasks.providers.transport.session import Session, basic, only

SEARCH = f"{NUMBERS}/search"
PAGE_SIZE = 1000
MAX_RESULTS = 100
TOO_RECENT = ("purchased_too_recently", "22121")


class SignalWire:
    """One SignalWire project."""

    lookup: ClassVar[LookupWay] = "by_number"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = False
    keeps_for: ClassVar[tuple[float, ...]] = (14 * 86_400.0, 30 * 86_400.0)

    def __init__(self, config: SignalWireConfig, token: str) -> None:
        credential = basic(config.project_id, token)
        self._session = Session("SignalWire", config, token=token, scheme="Basic", credential=credential)

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Nothing to prepare."""
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Buy one number."""
        number = only(asks).number
        answer = self._session.purchase(NUMBERS, {"number": number})
        if isinstance(answer, Outcome):
            return [answer]
        return [self._session.record(answer, fields(answer.body), number)]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """List what contains each number, and compare exactly."""
        return lookups.look_each(numbers, self._look)

    def release(self, _number: str, number_id: str) -> ReleaseOutcome:
        """Delete it by its id."""
        return release(self._session, f"{NUMBERS}/{{id}}", number_id, no_content, too_recent=TOO_RECENT)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale; no price is shown. Raises Unsupported."""
        if query.type == "mobile":
            raise Unsupported("SignalWire sells local and toll-free numbers only")
        limit = searches.page_size(query, MAX_RESULTS)
        of = {"number_type": query.type} if query.type else {}
        answer = self._session.call("GET", SEARCH, params={"max_results": limit, **_search_filter(query.prefix), **of})
        items = searches.listed(self._session, answer, fields(answer.body).get("data"))
        return searches.shown(query, items, (self._candidate(item, query) for item in items), limit)

    def _candidate(self, item: Any, query: SearchQuery) -> Candidate | None:
        region = self._session.text(item.get("region"))
        found = searches.offered(item.get("e164") or item.get("number"), query, region=region)
        return searches.able(found, query, searches.true_names(item.get("capabilities")))

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 1000 a page."""
        return lookups.owned(lookups.walk(partial(self._page, {"page_size": PAGE_SIZE})))

    def check(self) -> list[Check]:
        """List one owned number, then search one."""
        listed = Probe(
            name="project",
            call=lambda: self._session.call("GET", NUMBERS, params={"page_size": 1}),
            proves="numbers are listed: project_id and token belong together",
            mend="check base_url, https://SPACE.signalwire.com",
        )
        return run_probes(self._session.base_url, standard_probes(listed, self.search))

    def _look(self, number: str, _known: Known) -> Look:
        # Without the plus, which a gateway may take for a blank: then nothing would be found.
        page = partial(self._page, {"filter_number": digits_only(number), "page_size": MAX_RESULTS})
        return lookups.look_list(page, [number])[number]

    def _page(self, params: Mapping[str, Any], query: str | None) -> Page:
        answer = self._session.call("GET", NUMBERS, params={**dict(parse_qsl(query or "")), **params})
        return LISTING.page(self._session, answer, following(self._session, answer))


def _search_filter(prefix: str) -> dict[str, str]:
    # An area code is three digits; `starts_with` takes 3 to 7, and a shorter prefix has no filter.
    if len(prefix) == 3:
        return {"areacode": prefix}
    return {"starts_with": prefix[:7]} if len(prefix) > 3 else {}
