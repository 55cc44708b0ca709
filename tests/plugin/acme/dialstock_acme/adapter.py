"""Acme, page 'Numbers': POST /teams/TEAM/numbers {number, label}; GET lists them, 50 a page, and what is for sale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from dialstock_acme.config import AcmeConfig
from schemas.outcomes import Candidate, Check, Look, Outcome, OwnedNumber
from tasks.providers.adapter import Ask, Known, LookupWay, SearchQuery
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.check import Probe, run_probes
from tasks.providers.reading.list_page import Listing, Page, text_or_none
from tasks.providers.transport.answers import fields
from tasks.providers.transport.session import Session, only

LISTING = Listing(entries="numbers", needs=("next",))


class Acme:
    """One team at Acme."""

    lookup: ClassVar[LookupWay] = "by_list"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 1
    prepares: ClassVar[bool] = False
    keeps_reference: ClassVar[bool] = False

    def __init__(self, config: AcmeConfig, token: str) -> None:
        self._session = Session("Acme", config, token=token, scheme="Bearer")
        self._path = f"/teams/{config.team}/numbers"

    def prepare(self, ask: Ask) -> Ask | Outcome:
        return ask

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        ask = only(asks)
        answer = self._session.purchase(self._path, {"number": ask.number, **ask.options})
        return [
            answer if isinstance(answer, Outcome) else self._session.record(answer, fields(answer.body), ask.number)
        ]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        return lookups.look_list(self._page, numbers)

    def owned(self) -> Iterator[OwnedNumber]:
        return lookups.owned(lookups.walk(self._page))

    def search(self, query: SearchQuery) -> list[Candidate]:
        limit = searches.page_size(query, 50)
        wanted = {"country": query.country, "prefix": query.prefix, "limit": limit}
        answer = self._session.call("GET", "/for-sale", params=wanted)
        items = searches.listed(self._session, answer, fields(answer.body).get("numbers"))
        return searches.shown(query, items, (searches.offered(item.get("number"), query) for item in items), limit)

    def check(self) -> list[Check]:
        probe = Probe(name="team", call=lambda: self._page(None), proves="its numbers are listed", mend="check team")
        return run_probes(self._session.base_url, [probe])

    def _page(self, cursor: str | None) -> Page:
        params: dict[str, Any] = {} if cursor is None else {"after": cursor}
        answer = self._session.call("GET", self._path, params=params)
        following = text_or_none(self._session, answer, fields(answer.body).get("next"))
        return LISTING.page(self._session, answer, following)
