"""Numbers that may be ordered: of a list, and of what providers' searches find, in the order of preference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from schemas.by_criteria.criteria import Criteria
from schemas.by_criteria.wishes import cannot
from schemas.money import Money, readable
from schemas.outcomes import Candidate
from tasks.chunks import chunks
from tasks.providers.adapter import ProviderError, SearchQuery, Unsupported
from tasks.providers.reading.search_pages import SearchPages
from tasks.providers.reading.searches import offered
from tasks.runtime import Binding, Runtime
from tasks.supply.budgets import closed_providers
from tasks.supply.fitting import fits, is_cheap, query_of
from tasks.supply.offers import Offer
from tasks.supply.reach import MOST_PAGES, is_enough
from tasks.supply.reading import one_page
from tasks.supply.selection import Selection, selection_at

SPARE = 100
"""Numbers that a search asks for beyond what is needed: they stand in for what is ours already, or too dear."""

_WORTH_IT = 10
"""A search is not made while what was kept has this part of what is missing: it would only show that again."""

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to order, the preferred first, and why a provider gave less than was asked for.

    `searched` are the providers whose search gave some, and may have more than was seen of it. `later` are those that
    may have more another time: their search failed, or they buy nothing now. `stale` are those whose search may have
    shown what is not for sale any more, or not all that is.
    """

    offers: list[Offer] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    stale: set[str] = field(default_factory=set)


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
        selection = selection_at(conn, runtime, open_ones)
    search = _Search(
        runtime=runtime,
        criteria=criteria,
        count=count,
        urgent=count if urgent is None else urgent,
        beyond=beyond,
        closed=closed,
        listed=listed,
        spend=spend,
        selection=selection,
        found=Found(offers=selection.offers),
    )
    search.follow(kept)
    return search.found


@dataclass(frozen=True, kw_only=True)
class _Search:
    """The way from provider to provider until *count* numbers are found, or a search gave the urgent ones.

    `closed` tells why a provider buys nothing now.
    """

    runtime: Runtime
    criteria: Criteria
    count: int
    urgent: int
    beyond: int
    closed: Mapping[str, str]
    listed: Sequence[Offer] | None
    spend: Money | None
    selection: Selection
    found: Found

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
        if not self.enough:
            self.selection.add_shared()
        if self.criteria.prefer:
            self.found.reasons.update(self.selection.cheapest_first(self.criteria.max_price))

    def recall(self, kept: Sequence[Offer]) -> bool:
        """Add those of *kept* that can be ordered where they are a good part of what is missing; whether they are."""
        cheap = [one for one in kept if is_cheap(one, self.criteria, self.spend)]
        for alias in self.selection.budgets:
            self.selection.add(alias, [one for one in cheap if one.provider == alias])
        if len(self.found.offers) * _WORTH_IT >= self.count:
            return True
        self.selection.clear()
        return False

    def at(self, alias: str) -> None:
        """Add a provider's offers that fit, as many as its daily limit leaves, or tell why there are none."""
        if alias not in self.runtime.providers:
            self.found.reasons[alias] = "is not configured any more"
        elif alias in self.closed:
            self._none_now(alias, self.closed[alias])
        else:
            if self.selection.left(alias).most > 0:
                self._ask(alias)
            if not self.enough and (limit := self.selection.limit_met(alias)):
                self._none_now(alias, limit)

    def _none_now(self, alias: str, reason: str) -> None:
        self.found.reasons[alias] = reason
        self.found.later.add(alias)

    def _ask(self, alias: str) -> None:
        """Add the listed ones by chunks, then what a search finds."""
        query = query_of(self.criteria, self.count + self.beyond + SPARE)
        others, full = self._add_listed(alias, query)
        if full:
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

    def _add_listed(self, alias: str, query: SearchQuery) -> tuple[int, bool]:
        """Add the provider's part of the list; how many of it are of something else, and whether there is enough."""
        others = 0
        for chunk in chunks([one for one in self.listed or () if one.provider == alias], _CHUNK):
            fitting = [one for one in chunk if offered(one.number, query) is not None]
            others += len(chunk) - len(fitting)
            self.selection.add(alias, fitting)
            if self._full(alias):
                return others, True
        return others, False

    def _search(self, binding: Binding, query: SearchQuery) -> bool:
        """Add what a search finds, page by page; whether there was any, and may be more."""
        alias, reasons, later = binding.alias, self.found.reasons, self.found.later
        pages = SearchPages(partial(one_page, self.runtime, binding), query, self.runtime.kinds[alias])
        shown = _Shown()
        try:
            self._add_pages(binding, query, pages, shown)
        except Unsupported as exc:
            reasons[alias] = f"the search failed: {exc}"
            return False
        except ProviderError as exc:
            reasons[alias] = f"the search failed: {exc}"
            later.add(alias)
            return shown.more
        finally:
            if pages.flaw:
                self.found.stale.add(alias)
        lacks = pages.flaw and f"may lack some, for it was answered with {pages.flaw}"
        reasons[alias] = f"the search {lacks or 'finds no more'}{self._too_dear(shown.dear)}"
        if lacks or (not shown.more and shown.pages >= MOST_PAGES):
            later.add(alias)
        return shown.more and not pages.whole

    def _add_pages(self, binding: Binding, query: SearchQuery, pages: SearchPages, shown: _Shown) -> None:
        """Add what *pages* show until there is enough of it. Raises what a search raises."""
        alias = binding.alias
        for found in islice(pages, MOST_PAGES):
            shown.pages += 1
            fitting = [replace(one, price=readable(one.price)) for one in found if fits(one, query, self.criteria)]
            cheap = [one for one in fitting if is_cheap(one, self.criteria, self.spend)]
            shown.dear += [one for one in fitting if not is_cheap(one, self.criteria, self.spend)]
            shown.more = self.selection.add(alias, [_offer(alias, one) for one in cheap]) or shown.more
            enough = shown.more and len(self.found.offers) >= self.urgent
            here = len(self.selection.at_account(alias, self.found.offers))
            if self._full(alias) or (enough and is_enough(binding, shown.pages, here)):
                return

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

    def _full(self, alias: str) -> bool:
        """Whether more of the provider's numbers would be of no use."""
        return self.selection.full(alias, wanted=self.count + self.beyond, enough=self.count)


@dataclass(kw_only=True)
class _Shown:
    """What a search showed so far: `more` is whether some could be ordered, and there may be more of them."""

    pages: int = 0
    dear: list[Candidate] = field(default_factory=list)
    more: bool = False


def _offer(alias: str, found: Candidate) -> Offer:
    options = {"stock_item_id": found.stock_item_id} if found.stock_item_id else {}
    return Offer(number=found.number, provider=alias, price=found.price, options=options)
