"""Numbers that may be ordered: of a list, and of what providers' searches find, in the order of preference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import cannot
from schemas.money import Money, readable
from schemas.outcomes import Candidate, OutcomeKind
from tasks.chunks import chunks
from tasks.ledger.queue.day_spend import DaySpend
from tasks.providers.adapter import ProviderError, SearchQuery, Unsupported
from tasks.providers.reading.search_pages import SearchPages
from tasks.providers.reading.searches import offered
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import Turns
from tasks.runtime import Binding, Runtime
from tasks.supply.budgets import Budget, budgets, closed_providers, day_spends
from tasks.supply.fitting import fits, is_cheap, query_of
from tasks.supply.offers import Offer, usable, within_day
from tasks.supply.reach import MOST_PAGES, is_enough

SPARE = 100
"""Numbers that a search asks for beyond what is needed: they stand in for what is ours already, or too dear."""

SEARCH_PATIENCE = 30.0
"""Seconds that a search waits for its turn among the provider's other reading calls."""

_WORTH_IT = 10
"""A search is not made while what was kept has this part of what is missing: it would only show that again."""

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to order, the preferred first, and why a provider gave less than was asked for.

    `searched` are the providers whose search gave some, and may have more than was seen of it. `later` are those that
    may have more another time: their search failed, or they buy nothing now.
    """

    offers: list[Offer] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)


def find(
    runtime: Runtime,
    criteria: Criteria,
    count: int,
    *,
    urgent: int | None = None,
    beyond: int = 0,
    listed: Sequence[Offer] | None = None,
    kept: Sequence[Offer] = (),
    spend: Money | None = None,
) -> Found:
    """At least *count* offers where there are so many; no transaction is open during a call.

    Once a search gave some, the next provider is asked only while there are fewer than *urgent* (default: *count*): the
    preferred one's next page may have the rest. The search that finds the last of *count* goes on for *beyond* more.
    The cheapest are looked for among all. Each provider's part of *listed*, where it is given, goes before its search.
    Nothing is searched where *kept*, which searches by the same criteria showed before, has a good part. A provider
    offers no more than its limits of a day leave; what has to share its daily limit with others that wait there comes
    last. One that costs more than *spend*, setup and first month, or does not tell both, is passed over.
    Raises redis.RedisError where a search needs its turn and Redis is away.
    """
    here = [alias for alias in criteria.providers if alias in runtime.providers]
    with runtime.database.read() as conn:
        closed = closed_providers(conn, runtime, here)
        open_ones = [alias for alias in here if alias not in closed]
        left, days = budgets(conn, runtime, open_ones), day_spends(conn, runtime, open_ones, waiting=True)
    hunt = _Hunt(
        runtime=runtime,
        criteria=criteria,
        count=count,
        urgent=count if urgent is None else urgent,
        beyond=beyond,
        closed=closed,
        budgets=left,
        days=days,
        listed=listed,
        spend=spend,
    )
    hunt.follow(kept)
    return hunt.found


@dataclass(frozen=True, kw_only=True)
class _Hunt:
    """The way from provider to provider until *count* numbers are found, or a search gave the urgent ones.

    `closed` tells why a provider buys nothing now. `shared` are offers at providers whose daily limit may go to others
    that wait there. `days` are the max_spend of those that have one, and `dear` how many offers they leave out.
    """

    runtime: Runtime
    criteria: Criteria
    count: int
    urgent: int
    beyond: int
    closed: Mapping[str, str]
    budgets: Mapping[str, Budget]
    days: Mapping[str, DaySpend]
    listed: Sequence[Offer] | None
    spend: Money | None
    found: Found = field(default_factory=Found)
    shared: list[Offer] = field(default_factory=list)
    dear: Counter[str] = field(default_factory=Counter)

    @property
    def enough(self) -> bool:
        return len(self.found.offers) >= self.count

    @property
    def over(self) -> bool:
        if self.criteria.prefer:
            return False
        return self.enough or (bool(self.found.searched) and len(self.found.offers) >= self.urgent)

    def follow(self, kept: Sequence[Offer]) -> None:
        """Go from provider to provider, where *kept* is not a good part of what is missing."""
        for alias in () if self.recall(kept) else self.criteria.providers:
            if not self.over:
                self.at(alias)
        self.share()

    def recall(self, kept: Sequence[Offer]) -> bool:
        """Add those of *kept* that can be ordered where they are a good part of what is missing; whether they are."""
        cheap = [one for one in kept if is_cheap(one, self.criteria, self.spend)]
        for alias in self.budgets:
            self._add(alias, [one for one in cheap if one.provider == alias])
        if len(self.found.offers) * _WORTH_IT >= self.count:
            return True
        self.found.offers.clear()
        self.shared.clear()
        return False

    def at(self, alias: str) -> None:
        """Add a provider's offers that fit, as many as its daily limit leaves, or tell why there are none."""
        if alias not in self.runtime.providers:
            self.found.reasons[alias] = "is not configured any more"
        elif alias in self.closed:
            self._none_now(alias, self.closed[alias])
        else:
            if self._left(alias).most > 0:
                self._ask(alias)
            if not self.enough and self._left(alias).idle < 1:
                limit = self.runtime.providers[alias].policy.daily_limit
                self._none_now(alias, f"its daily_limit of {limit} leaves no more beside what waits there")
            elif not self.enough and self.dear[alias]:
                self._none_now(alias, f"its max_spend leaves no more: {self.days[alias]}, beside what waits there")

    def share(self) -> None:
        """Add, where there are too few, what has to share a daily limit."""
        if not self.enough:
            with self.runtime.database.read() as conn:
                self.found.offers.extend(usable(conn, self.runtime, self.shared, self.found.offers))
        if self.criteria.prefer:
            self._cheapest_first()

    def _none_now(self, alias: str, reason: str) -> None:
        self.found.reasons[alias] = reason
        self.found.later.add(alias)

    def _ask(self, alias: str) -> None:
        """Add the listed ones by chunks, then what a search finds."""
        query = query_of(self.criteria, self.count + self.beyond + SPARE)
        listed = [one for one in self.listed or () if one.provider == alias]
        others = 0
        for chunk in chunks(listed, _CHUNK):
            fitting = [one for one in chunk if offered(one.number, query) is not None]
            others += len(chunk) - len(fitting)
            self._add(alias, fitting)
            if self._full(alias):
                return
        binding, reasons = self.runtime.providers[alias], self.found.reasons
        if problem := cannot(self.runtime.kinds[alias], self.criteria, self.spend):
            reasons[alias] = problem if self.listed is None else f"the stock file has no more, and it {problem}"
        elif self._search(binding, query):
            self.found.searched.add(alias)
        if self.enough:
            reasons.pop(alias, None)
        elif others:
            reasons[alias] += f"; {others:,} of its rows in the stock file are not of {self.criteria}"

    def _search(self, binding: Binding, query: SearchQuery) -> bool:
        """Add what a search finds, page by page; whether there was any, and may be more."""
        alias, reasons = binding.alias, self.found.reasons
        pages = SearchPages(partial(_one_page, self.runtime, binding), query, self.runtime.kinds[alias])
        dear, seen, more = list[Candidate](), 0, False
        try:
            for seen, found in enumerate(islice(pages, MOST_PAGES), 1):
                fitting = [replace(one, price=readable(one.price)) for one in found if fits(one, query, self.criteria)]
                cheap = [one for one in fitting if is_cheap(one, self.criteria, self.spend)]
                dear += [one for one in fitting if not is_cheap(one, self.criteria, self.spend)]
                more = self._add(alias, [_offer(alias, one) for one in cheap]) or more
                enough = more and len(self.found.offers) >= self.urgent
                here = len(self._at_account(alias, self.found.offers))
                if self._full(alias) or (enough and is_enough(binding, seen, here)):
                    break
        except Unsupported as exc:
            reasons[alias] = f"the search failed: {exc}"
            return False
        except ProviderError as exc:
            reasons[alias] = f"the search failed: {exc}"
            self.found.later.add(alias)
            return more
        lacks = pages.flaw and f"may lack some, for it was answered with {pages.flaw}"
        reasons[alias] = f"the search {lacks or 'finds no more'}{self._too_dear(dear)}"
        if lacks or (not more and seen >= MOST_PAGES):
            self.found.later.add(alias)
        return more and not pages.whole

    def _too_dear(self, dear: Sequence[Candidate]) -> str:
        """What a reason says of those that cost too much; nothing where there are none."""
        if not dear:
            return ""
        limit = self.spend or self.criteria.max_price
        told = {one.price.currency for one in dear if one.price and limit and one.price.currency != limit.currency}
        mend = f"; its prices are in {' and '.join(sorted(told))}: write the amount in that" if told else ""
        why = "show no price" if limit is None else f"cost more than {limit}, or show no price"
        if self.spend is not None:
            why = f"cost more than {self.spend}, which is left of max_spend, or do not show setup and monthly price"
        return f"; {len(dear)} of those it found {why}{mend}"

    def _add(self, alias: str, offers: Sequence[Offer]) -> bool:
        """Add those of *offers* that can be ordered; whether there were any, and may be more."""
        with self.runtime.database.read() as conn:
            fresh = usable(conn, self.runtime, offers, self.found.offers)
        if alias in self.days:
            before = len(fresh)
            fresh = within_day(fresh, self.days[alias], self._at_account(alias, [*self.found.offers, *self.shared]))
            self.dear[alias] += before - len(fresh)
        left = self._left(alias)
        alone = max(0, min(left))
        self.found.offers.extend(fresh[:alone])
        self.shared.extend(fresh[alone : left.most])
        return 0 < len(fresh) < alone

    def _left(self, alias: str) -> Budget:
        """The provider's daily limit without what was found at its account."""
        most, idle = self.budgets[alias]
        found = len(self._at_account(alias, self.found.offers))
        return Budget(most - found - len(self._at_account(alias, self.shared)), idle - found)

    def _at_account(self, alias: str, offers: Sequence[Offer]) -> list[Offer]:
        providers = self.runtime.providers
        return [one for one in offers if providers[one.provider].account == providers[alias].account]

    def _cheapest_first(self) -> None:
        """Order what was found by price: of the currency that the first provider tells it in, unless one was named."""
        offers, limit = self.found.offers, self.criteria.max_price
        priced = [(offer.price.currency, offer.price.monthly, offer) for offer in offers if offer.price]
        currency = limit.currency if limit else next((told for told, _, _ in priced), "")
        for told, _, offer in priced:
            if told != currency:
                other = f"its prices are in {told}, and those of others in {currency}"
                self.found.reasons[offer.provider] = f"{other}: a max_price says which are compared"
        same = [(monthly, offer) for told, monthly, offer in priced if told == currency and monthly is not None]
        offers[:] = [offer for _, offer in sorted(same, key=lambda one: one[0])]

    def _full(self, alias: str) -> bool:
        """Whether more of the provider's numbers would be of no use."""
        left = self._left(alias)
        found, wanted = len(self.found.offers), self.count + self.beyond
        plenty = left.idle < 1 and found + len(self.shared) >= self.count
        return found >= wanted or left.most < 1 or bool(self.dear[alias]) or plenty


def _one_page(runtime: Runtime, binding: Binding, query: SearchQuery) -> list[Candidate]:
    """One search, in its turn. Raises ProviderError, Unsupported, redis.RedisError."""
    with reading(runtime, binding):
        return binding.adapter.search(query)


@contextmanager
def reading(runtime: Runtime, binding: Binding) -> Iterator[None]:
    """Have the calls of the block take their turns; a 429 slows all look-ups."""
    try:
        with in_turn(Turns(runtime=runtime, binding=binding, first=SEARCH_PATIENCE)):
            yield
    except ProviderError as exc:
        if exc.outcome.kind is OutcomeKind.THROTTLED:
            runtime.pace.penalise(binding.looking, exc.outcome.retry_after or 1.0)
        raise


def _offer(alias: str, found: Candidate) -> Offer:
    options = {"stock_item_id": found.stock_item_id} if found.stock_item_id else {}
    return Offer(number=found.number, provider=alias, price=found.price, options=options)
