"""Numbers that a pool may order: from its stock file and its providers' searches, in the order of preference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.config.pools import PoolConfig
from schemas.outcomes import Candidate, OutcomeKind
from tasks.chunks import chunks
from tasks.pools.supply.stock_file import Listed, StockFileError, read_stock
from tasks.providers.adapter import ProviderError, SearchQuery, Unsupported
from tasks.providers.reading.searches import offered
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import Turns
from tasks.runtime import Binding, Runtime
from tasks.supply.budgets import Budget, budgets, closed_providers
from tasks.supply.offers import Offer, usable

STOCK_FILE = "stock_file"
"""The key of its problems among the reasons."""

SPARE = 100
"""Numbers that a search asks for beyond what is needed: they stand in for what is ours already, or too dear."""

SEARCH_PATIENCE = 30.0
"""Seconds that a search waits for its turn among the provider's other reading calls."""

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to order, the preferred first, and why a provider gave less than was asked for.

    `searched` are the providers whose search gave some and that may buy more: it shows a page, the next one may have
    the rest.
    """

    offers: list[Offer] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)


def find(runtime: Runtime, pool: PoolConfig, count: int, *, urgent: int | None = None) -> Found:
    """At least *count* offers where there are so many; no transaction is open during a call.

    Once a search gave some, the next provider is asked only while there are fewer than *urgent* (default: *count*):
    the preferred one's next page may have the rest. A provider offers no more than its daily limit leaves; what has to
    share that with others that wait there comes last. Where anything in the stock file is wrong, there are none.
    Raises redis.RedisError where a search needs its turn and Redis is away.
    """
    try:
        listed = _listed(runtime, pool)
    except StockFileError as exc:
        return Found(reasons={STOCK_FILE: str(exc)})
    with runtime.database.read() as conn:
        closed = closed_providers(conn, runtime, pool.providers)
        left = budgets(conn, runtime, [alias for alias in pool.providers if alias not in closed])
    hunt = _Hunt(runtime=runtime, pool=pool, count=count, urgent=count if urgent is None else urgent, budgets=left)
    for alias in pool.providers:
        if hunt.over:
            break
        if alias in closed:
            hunt.found.reasons[alias] = closed[alias]
        else:
            hunt.at(alias, [one for one in listed if one.provider == alias])
    hunt.share()
    return hunt.found


@dataclass(frozen=True, kw_only=True)
class _Hunt:
    """The way from provider to provider until *count* numbers are found, or a search gave the urgent ones.

    `shared` are offers at providers whose daily limit may go to others that wait there.
    """

    runtime: Runtime
    pool: PoolConfig
    count: int
    urgent: int
    budgets: Mapping[str, Budget]
    found: Found = field(default_factory=Found)
    shared: list[Offer] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        return len(self.found.offers) >= self.count

    @property
    def over(self) -> bool:
        return self.enough or (bool(self.found.searched) and len(self.found.offers) >= self.urgent)

    def at(self, alias: str, listed: Sequence[Listed]) -> None:
        """Add a provider's offers that fit the pool, as many as its daily limit leaves."""
        if self._left(alias).most > 0:
            self._ask(alias, listed)
        if not self.enough and self._left(alias).idle < 1:
            limit = self.runtime.providers[alias].policy.daily_limit
            self.found.reasons[alias] = f"its daily_limit of {limit} leaves no more beside what waits there"

    def share(self) -> None:
        """Add, where there are too few, what has to share a daily limit."""
        if not self.enough:
            with self.runtime.database.read() as conn:
                self.found.offers.extend(usable(conn, self.runtime, self.shared, self.found.offers))

    def _ask(self, alias: str, listed: Sequence[Listed]) -> None:
        """Add those of the stock file by chunks, then what a search finds."""
        query = SearchQuery(country=self.pool.country, prefix=self.pool.prefix, limit=self.count + SPARE)
        others = 0
        for chunk in chunks(listed, _CHUNK):
            fitting = [one for one in chunk if offered(one.number, query) is not None]
            others += len(chunk) - len(fitting)
            self._add(alias, [Offer(number=one.number, provider=alias, options=one.options) for one in fitting])
            if self._full(alias):
                return
        binding, reasons = self.runtime.providers[alias], self.found.reasons
        if not binding.adapter.can_search:
            reasons[alias] = "the stock file has no more, and it cannot be searched"
        elif self._add(alias, _searched(self.runtime, self.pool, binding, query, reasons)):
            self.found.searched.add(alias)
        if self.enough:
            reasons.pop(alias, None)
        elif others:
            reasons[alias] += f"; {others:,} of its rows in the stock file are not of {_of(self.pool)}"

    def _add(self, alias: str, offers: Sequence[Offer]) -> bool:
        """Add those of *offers* that can be ordered; whether there were any, and may be more."""
        with self.runtime.database.read() as conn:
            fresh = usable(conn, self.runtime, offers, self.found.offers)
        left = self._left(alias)
        alone = max(0, min(left))
        self.found.offers.extend(fresh[:alone])
        self.shared.extend(fresh[alone : left.most])
        return 0 < len(fresh) < alone

    def _left(self, alias: str) -> Budget:
        """The provider's budget without what was found at its account."""
        most, idle = self.budgets[alias]
        found = self._at_account(alias, self.found.offers)
        return Budget(most - found - self._at_account(alias, self.shared), idle - found)

    def _at_account(self, alias: str, offers: Sequence[Offer]) -> int:
        providers = self.runtime.providers
        return sum(providers[offer.provider].account == providers[alias].account for offer in offers)

    def _full(self, alias: str) -> bool:
        """Whether more of the provider's numbers would be of no use."""
        left = self._left(alias)
        plenty = len(self.found.offers) + len(self.shared) >= self.count
        return self.enough or left.most < 1 or (left.idle < 1 and plenty)


def _listed(runtime: Runtime, pool: PoolConfig) -> list[Listed]:
    """What the stock file lists. Raises StockFileError."""
    if pool.stock_file is None:
        return []
    return read_stock(pool.stock_file, {alias: runtime.kinds[alias] for alias in pool.providers}, pool.country)


def _of(pool: PoolConfig) -> str:
    return f"country {pool.country}" + (f" and prefix {pool.prefix}" if pool.prefix else "")


def _searched(
    runtime: Runtime, pool: PoolConfig, binding: Binding, query: SearchQuery, reasons: dict[str, str]
) -> list[Offer]:
    try:
        found = _search(runtime, binding, query)
    except (ProviderError, Unsupported) as exc:
        reasons[binding.alias] = f"the search failed: {exc}"
        return []
    fitting = [one for one in found if offered(one.number, query) is not None]
    cheap = [one for one in fitting if pool.max_price is None or pool.max_price.covers(one.price)]
    dear = len(fitting) - len(cheap)
    beyond = f"; {dear} of those it found cost more than {pool.max_price}, or show no price" if dear else ""
    reasons[binding.alias] = f"the search finds no more{beyond}"
    return [_offer(binding.alias, one) for one in cheap]


def _search(runtime: Runtime, binding: Binding, query: SearchQuery) -> list[Candidate]:
    """One search, in its turn. Raises ProviderError, Unsupported, redis.RedisError."""
    try:
        with in_turn(Turns(runtime=runtime, binding=binding, first=SEARCH_PATIENCE)):
            return binding.adapter.search(query)
    except ProviderError as exc:
        if exc.outcome.kind is OutcomeKind.THROTTLED:
            runtime.pace.penalise(binding.looking, exc.outcome.retry_after or 1.0)
        raise


def _offer(alias: str, found: Candidate) -> Offer:
    options = {"stock_item_id": found.stock_item_id} if found.stock_item_id else {}
    return Offer(number=found.number, provider=alias, price=found.price, options=options)
