"""Telnyx, API v2, from its published specification and the vendor's guides.

A number can be ordered only if a recent search of ours has shown it, else 422 with code 85000. How long that is recent
is not said, so it is searched for right before, by its national digits (our reading: `starts_with` takes all of them,
as it takes a part): those of one order by what they begin with, and alone where that does not show them.

POST /v2/number_orders {phone_numbers: [{phone_number, requirement_group_id}], customer_reference} answers 200 with an
order: what became of the number is its item's `status` (`orders`). An item's id is not the number's: that one is known
once the list shows it. An order takes many numbers: how many, and whether one bad number fails all, is not said. So one
is ordered, and several only where `max_batch` says so; each is read in its own item then. The vendor's Idempotency-Key
is not declared for orders. No code tells a number that is ours already.

Orders are found by id and by filter[customer_reference], numbers by filter[phone_number], which takes digits alone and
finds parts: what comes back is compared again here. Pages have 250 at most. How many a search gives is not said.
GET /v2/balance tells what is left, as decimal texts with their currency.
DELETE /v2/phone_numbers/{id} answers 200 with the number's record; `deletion_lock_enabled` blocks it, and a record that
is active, or on its way to us, is no word that it is done: our reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from schemas.config.balances import Balance
from schemas.numbering.numbers import digits_only, national_digits
from schemas.numbering.regions import region_of
from schemas.outcomes import Candidate, Check, Look, LookKind, Outcome, OutcomeKind, OwnedNumber
from schemas.releasing import ReleaseOutcome
from tasks.providers.adapter import Ask, Known, LookupWay, ProviderError, SearchQuery
from tasks.providers.reading import lookups, searches
from tasks.providers.reading.balances import balance_in, balance_probe
from tasks.providers.reading.check import Probe, run_probes, standard_probes
from tasks.providers.reading.list_page import Page
from tasks.providers.reading.orders import both, furthest
from tasks.providers.telnyx import offers, orders, pages, reservations
from tasks.providers.telnyx.config import TelnyxConfig
from tasks.providers.telnyx.errors import judge, limits, wait, with_mend
from tasks.providers.transport.answers import fields, same_number
from tasks.providers.transport.http import Answer
from tasks.providers.transport.release import release
from tasks.providers.transport.session import Session

ORDERS, NUMBERS = "/v2/number_orders", "/v2/phone_numbers"
BALANCE = "/v2/balance"
MOST_OFFERS = 100
"""Our choice: what a search gives at most is not said."""

_PATH_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Telnyx:
    """One Telnyx account."""

    lookup: ClassVar[LookupWay] = "by_number"
    can_search: ClassVar[bool] = True
    max_batch: ClassVar[int] = 25
    prepares: ClassVar[bool] = True
    keeps_reference: ClassVar[bool] = True
    keeps_for: ClassVar[tuple[float, ...]] = ()
    reserves_for: ClassVar[int] = 30 * 60
    reserves_at_once: ClassVar[int] = 25
    names_reservations: ClassVar[bool] = False

    def __init__(self, config: TelnyxConfig, token: str) -> None:
        self._session = Session("Telnyx", config, token=token, scheme="Bearer", judge=judge, wait=wait, limits=limits)
        self._config = config

    def prepare(self, ask: Ask) -> Ask | Outcome:
        """Search for the very number, which may be ordered then. Nothing is bought here."""
        if region_of(ask.number) is None:
            return self._not_offered(f"no country is known for {ask.number}, and Telnyx searches by country")
        try:
            found = searches.of_number(self._beginning(ask.number, ask.number), "phone_number", ask.number)
        except ProviderError as exc:
            return searches.search_failed(exc.outcome)
        if not found:
            return self._not_offered(f"Telnyx does not offer {ask.number}: search for another")
        return searches.at_its_price(self._session, ask, found, offers.price)

    def prepare_together(self, asks: Sequence[Ask]) -> list[Ask | Outcome | None]:
        """One search for all numbers of an area. Nothing is bought here.

        What has no place in the order of the first is told before its call is written down under that order's name.
        """
        together = orders.together(self._config, asks)
        found = searches.found_together(together, self._beginning, "phone_number")
        prepared = {
            ask.number: searches.at_its_price(self._session, ask, own, offers.price) if isinstance(own, list) else own
            for ask, own in zip(together, found, strict=True)
        }
        return [prepared.get(ask.number, orders.APART) for ask in asks]

    def reserve(self, numbers: Sequence[str]) -> dict[str, str | None]:
        """Have numbers kept for us for half an hour."""
        return reservations.reserve(self._session, numbers)

    def buy(self, asks: Sequence[Ask]) -> list[Outcome]:
        """Order numbers under our name of the call, each with the papers configured for its country.

        An order has one connection, profile and billing group: numbers that want others than the first are not sent.
        """
        together = orders.together(self._config, asks)
        answer = self._session.purchase(ORDERS, orders.body(self._config, together), len(together))
        sent = {ask.number for ask in together}

        def outcome(ask: Ask) -> Outcome:
            if ask.number not in sent:
                return orders.APART
            if isinstance(answer, Outcome):
                return with_mend(answer)
            return orders.outcome(self._session, answer, ask, sent)

        return [outcome(ask) for ask in asks]

    def look(self, numbers: Mapping[str, Known | None]) -> dict[str, Look]:
        """Ask for each number's orders that are known, then list the numbers that contain it."""
        return lookups.look_each(numbers, self._look)

    def release(self, number: str, number_id: str) -> ReleaseOutcome:
        """Delete it by its id: the answer is the record of the very number, and not that of one which is ours still."""

        def says_done(answer: Answer) -> bool:
            record = fields(fields(answer.body).get("data"))
            named = self._session.identify(record.get("id")) == number_id
            ours = pages.state(record) in (LookKind.OWNED, LookKind.PROCESSING)
            return answer.status == 200 and named and not ours and same_number(record.get("phone_number"), number)

        return release(self._session, f"{NUMBERS}/{{id}}", number_id, says_done)

    def search(self, query: SearchQuery) -> list[Candidate]:
        """Numbers for sale, with their price."""
        limit = searches.page_size(query, MOST_OFFERS)
        items = offers.listed(self._session, query.country, query.prefix, limit, query.type)
        return searches.shown(query, items, (offers.candidate(self._session, item, query) for item in items), limit)

    def owned(self) -> Iterator[OwnedNumber]:
        """Walk the list, 250 a page, without what was deleted or never delivered."""
        return lookups.owned(lookups.walk(partial(self._page, {})))

    def check(self) -> list[Check]:
        """List one page of numbers, search one for sale, and tell the balance."""
        listed = Probe(
            name="numbers",
            call=lambda: self._page({}, None),
            proves="numbers are listed",
            mend="check base_url, https://api.telnyx.com",
        )
        told = balance_probe(self.balance, self._config.low_balance)
        return run_probes(self._session.base_url, [*standard_probes(listed, self.search), told])

    def balance(self) -> Balance:
        """What can be spent: `available_credit`, the balance and what Telnyx lends beside it."""
        answer = self._session.call("GET", BALANCE)
        told = fields(fields(answer.body).get("data"))
        return balance_in(self._session, answer, told.get("available_credit"), told.get("currency"))

    def _look(self, number: str, known: Known) -> Look:
        try:
            order = furthest(item.look(number) for item in self._orders(number, known))
        except ProviderError as exc:
            order = lookups.unclear(exc.outcome)
        if order is not None and (order.kind is LookKind.PROCESSING or order.account or order.waiting):
            return order
        # Digits alone: anything else, the plus included, finds nothing.
        page = partial(self._page, {pages.FILTER: digits_only(number)})
        return both(order, lookups.look_list(page, [number])[number])

    def _orders(self, number: str, known: Known) -> list[orders.Item]:
        """The number's orders: the one that is known, and where that came to nothing, those of the doubtful calls."""
        found: list[orders.Item] = []
        if _PATH_ID.fullmatch(known.order_id or ""):
            answer = self._session.call("GET", f"{ORDERS}/{known.order_id}")
            found.append(orders.one(self._session, answer, known.order_id or "", number))
        for reference in known.references:
            if any(item.kind in (LookKind.OWNED, LookKind.PROCESSING) for item in found):
                break
            params = {"filter[customer_reference]": reference, pages.PAGE: 1, pages.SIZE: pages.PAGE_SIZE}
            answer = self._session.call("GET", ORDERS, params=params)
            found += orders.named(self._session, answer, reference, number)
        return found

    def _beginning(self, number: str, prefix: str) -> searches.Listed:
        """What is for sale in *number*'s country that begins with *prefix*, which is how it begins."""
        national = national_digits(number)
        begins = national[: len(national) - len(number) + len(prefix)]
        return offers.listed(self._session, region_of(number) or "", begins, MOST_OFFERS)

    def _page(self, params: Mapping[str, Any], page: str | None) -> Page:
        asked = {**params, pages.PAGE: int(page or 1), pages.SIZE: pages.PAGE_SIZE}
        return pages.numbers(self._session, self._session.call("GET", NUMBERS, params=asked))

    def _not_offered(self, error: str) -> Outcome:
        return self._session.outcome(OutcomeKind.REFUSED, code="not_in_stock", error=error)
