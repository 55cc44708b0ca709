"""Bandwidth, its API of OAuth 2.0 tokens under /api/v2, whose bodies are XML; from its specification and documents.

POST /api/v2/accounts/{id}/orders with an <Order> of one named number answers 201 with an order that is worked on later
(`orders`); mostly in less than a second, and nothing is promised. An order takes many numbers, how many is not said:
one is ordered, and several only where `max_batch` says so, and then in part where not all can be had (PartialAllowed).
CustomerOrderId is our name of the call, and finds it again; it is not said to be unique, so it is no key.

What is ours is in the list of the account's numbers, GET /api/v2/tns?accountId=, which has no filter by number: so all
is walked before a number is absent. GET /api/v2/tns/{number} shows one at once; it answers for others' numbers, too, so
AccountId is compared, and it is believed where it says yes only. Our reading: /api/v2 has the elements of the older
API, with +E.164 for ten digits. That one, with Basic and without /v2, is not built.

A reservation keeps one number for us (`reservations`); its order has to name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.releasing import ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, ProviderError, SearchQuery, Unsupported
from tasks.providers.bandwidth import orders, pages, reservations
from tasks.providers.bandwidth.config import BandwidthConfig
from tasks.providers.bandwidth.disconnects import disconnect
from tasks.providers.bandwidth.login import Login
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.check import Probe, run_probes, standard_probes
from tasks.providers.reading.list_page import Page
from tasks.providers.reading.orders import both, furthest
from tasks.providers.transport.answers import fields, same_number
from tasks.providers.transport.xml import write_xml

NUMBERS = "/api/v2/tns"
MOST_OFFERS = 5000
NANP = ("US", "CA")
_PATH_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Bandwidth:
    """One Bandwidth account."""

    lookup: ClassVar[LookupWay] = "by_list"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 25
    prepares: ClassVar[bool] = True
    keeps_reference: ClassVar[bool] = True
    keeps_for: ClassVar[tuple[float, ...]] = ()
    reserves_for: ClassVar[int] = reservations.HOURS * 3600
    reserves_at_once: ClassVar[int] = 1
    names_reservations: ClassVar[bool] = True

    def __init__(self, config: BandwidthConfig, token: str) -> None:
        self._login = Login(config, token)
        self._config = config
        self._account = f"/api/v2/accounts/{config.account_number}"
        self._listing = pages.listing(config.account_number)
        self._state = pages.state_in(config.account_number)

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Have a token at hand that lives longer than the call."""
        try:
            self._login.require_lasting()
        except ProviderError as exc:
            return searches.search_failed(exc.outcome)
        return ask

    def reserve(self, numbers: Sequence[str]) -> dict[str, str | None]:
        """Have the one number kept for us for four hours."""
        return reservations.reserve(self._login, self._account, numbers)

    def cancel_reservation(self, reservation: str) -> None:
        """Have it kept no longer."""
        reservations.cancel(self._login, self._account, reservation)

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Order numbers in one call, under our name of it."""
        session = self._login.present()
        if session is None:
            error = "the access token has expired right before the call: nothing was sent"
            return [Outcome(kind=OutcomeKind.NOT_SENT, error_code="no_token", error=error, retry_after=0.0)] * len(asks)
        order = write_xml("Order", orders.body(asks, self._config.site_id, self._config.peer_id))
        answer = session.purchase(f"{self._account}/orders", count=len(asks), xml=order)
        if isinstance(answer, Outcome):
            if answer.http_status == 401:
                self._login.drop(session)
            return [answer] * len(asks)
        asked = {ask.number for ask in asks}
        return [orders.outcome(session, answer, ask, asked) for ask in asks]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """Ask for each number's orders that are known and for the number itself, then walk the list for all others."""
        try:
            self._login.session()
        except ProviderError as exc:
            return dict.fromkeys(numbers, lookups.unclear(exc.outcome))
        found = lookups.look_each(numbers, self._look)
        left = [number for number in numbers if number not in found or not _settled(found[number])]
        if not left or any(look.account or look.waiting for look in found.values()):
            return found
        listed = lookups.look_list(self._page, left)
        return {**found, **{number: both(found.get(number), listed[number]) for number in left}}

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        """Order that it is disconnected: what is accepted is carried out later, and the list tells when."""
        return disconnect(self._login, self._account, number, number_id)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale in the US and Canada by area code and more; no price is shown. Raises Unsupported."""
        if query.country not in NANP or len(query.prefix) < 3:
            raise Unsupported("Bandwidth searches in the US and CA by prefix only: give an area code like 919")
        limit = searches.page_size(query, MOST_OFFERS)
        params = {**_area(query.prefix), "quantity": limit, "LCA": "false"}
        answer = self._login.require(self._login.read(f"{self._account}/availableNumbers", params))
        items = pages.offers(self._login.session(), answer)
        return searches.shown(query, items, (searches.offered(number, query) for number in items), limit)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 1000 a page, without what was given back."""
        return lookups.owned(lookups.walk(self._page))

    def check(self) -> list[Check]:
        """List one page of numbers, then search one for sale."""
        listed = Probe(
            name="account",
            call=partial(self._page, None),
            proves="numbers are listed: account_number and client_id belong together",
            mend="check account_number and base_url, https://api.bandwidth.com",
        )
        return run_probes(self._config.base_url, standard_probes(listed, self.search, prefix="919"))

    def _look(self, number: str, known: Known) -> Look | None:
        try:
            order = furthest(self._orders(number, known))
        except ProviderError as exc:
            order = lookups.unclear(exc.outcome)
        if order is not None and (order.kind is LookKind.PROCESSING or order.account or order.waiting):
            return order
        shown = self._shown(number)
        return order if shown is None else both(order, shown)

    def _orders(self, number: str, known: Known) -> list[Look]:
        """The number's orders: the one that is known, and where that came to nothing, those of the doubtful calls."""
        found: dict[str, Look] = {}
        if _PATH_ID.fullmatch(known.order_id or ""):
            found[known.order_id or ""] = self._order(known.order_id or "", number)
        for reference in known.references:
            if any(look.kind in (LookKind.OWNED, LookKind.PROCESSING) for look in found.values()):
                break
            params = {"page": 1, "size": 1000, "customerOrderId": reference}
            answer = self._login.require(self._login.read(f"{self._account}/orders", params))
            for order_id in orders.named(self._login.session(), answer, reference):
                found.setdefault(order_id, self._order(order_id, number))
        return list(found.values())

    def _order(self, order_id: str, number: str) -> Look:
        answer = self._login.require(self._login.read(f"{self._account}/orders/{quote(order_id, safe='')}"))
        return orders.look(self._login.session(), answer, order_id, number)

    def _shown(self, number: str) -> Look | None:
        """The number's own record, where it says that it is ours; all else is the list's to say."""
        answer = self._login.read(f"{NUMBERS}/{quote(number, safe='')}")
        response = fields(fields(answer.body).get("TelephoneNumberResponse"))
        record = fields(response.get("TelephoneNumberDetails"))
        kind = self._state(record)
        ours = answer.status == 200 and kind in (LookKind.OWNED, LookKind.PROCESSING)
        if not ours or not same_number(record.get("FullNumber"), number):
            return None
        return Look(kind=kind, provider_number_id=number)

    def _page(self, page: str | None) -> Page:
        params: dict[str, Any] = {"accountId": self._config.account_number, "page": page or 1, "size": pages.PAGE_SIZE}
        answer = self._login.require(self._login.read(NUMBERS, params))
        return pages.numbers(self._login.session(), answer, self._listing)


def _settled(look: Look) -> bool:
    return look.kind is LookKind.PROCESSING or (look.kind is LookKind.OWNED and look.provider_number_id is not None)


def _area(prefix: str) -> dict[str, str]:
    # What is longer than seven digits is filtered here.
    if len(prefix) >= 7:
        return {"npaNxxx": prefix[:7]}
    return {"npaNxx": prefix[:6]} if len(prefix) == 6 else {"areaCode": prefix[:3]}
