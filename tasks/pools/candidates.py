"""Numbers that a pool may order: from its stock file and its providers' searches, in the order of preference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from schemas.outcomes import Candidate, OutcomeKind
from schemas.pools import PoolConfig
from schemas.status import Status
from schemas.tables import PURCHASE
from tasks.ledger import dispatch
from tasks.orders import chunks
from tasks.policies.pace import HORIZON, Later
from tasks.pools.stock import DAY, NO_LIMIT, in_pools
from tasks.pools.stockfile import Listed, StockFileError, read_stock
from tasks.providers.base import ProviderError, SearchQuery, Unsupported
from tasks.providers.candidates import offered
from tasks.queries import provider_states
from tasks.runtime import Binding, Runtime

STOCK_FILE = "stock_file"
"""The key of its problems among the reasons."""

SPARE = 100
"""Numbers that a search asks for beyond what is needed: they stand in for what is ours already, or too dear."""

SEARCH_PATIENCE = 30.0
"""Seconds that a search waits for its turn among the provider's other reading calls."""

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A number that could be ordered. `price` is text, a month, where the provider tells one."""

    number: str
    provider: str
    price: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What there is to order, the preferred first, and why a provider gave less than was asked for.

    `searched` are the providers whose search gave some: it shows a page, and the next one may give more.
    """

    offers: list[Offer] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    searched: set[str] = field(default_factory=set)


def closed_providers(conn: Connection, runtime: Runtime, aliases: Iterable[str]) -> dict[str, str]:
    """Those of *aliases* that buy nothing now, and why: they are paused, or their daily limit is spent."""
    states = provider_states(conn)
    closed = {}
    for alias in aliases:
        state = states.get(alias) or {"provider": alias, "paused_at": None}
        if state["paused_at"] is not None:
            closed[alias] = f"is paused: {state['reason']}"
        elif _spent(conn, runtime, runtime.providers[alias], state):
            closed[alias] = f"has spent its daily_limit of {runtime.providers[alias].policy.daily_limit}"
    return closed


def find(runtime: Runtime, pool: PoolConfig, count: int, *, urgent: int | None = None) -> Found:
    """At least *count* offers where there are so many; no transaction is open during a call.

    Once a search gave some, the next provider is asked only while there are fewer than *urgent* (default: *count*):
    the preferred one's next page may have the rest. Where anything in the stock file is wrong, there are none.
    Raises redis.RedisError where a search needs its turn and Redis is away.
    """
    hunt = _Hunt(runtime=runtime, pool=pool, count=count, urgent=count if urgent is None else urgent)
    try:
        listed = _listed(runtime, pool)
    except StockFileError as exc:
        return Found(reasons={STOCK_FILE: str(exc)})
    with runtime.database.read() as conn:
        closed = closed_providers(conn, runtime, pool.providers)
    for alias in pool.providers:
        if hunt.over:
            break
        if alias in closed:
            hunt.found.reasons[alias] = closed[alias]
        else:
            hunt.at(alias, [one for one in listed if one.provider == alias])
    return hunt.found


@dataclass(frozen=True, kw_only=True)
class _Hunt:
    """The way from provider to provider until *count* numbers are found, or a search gave the urgent ones."""

    runtime: Runtime
    pool: PoolConfig
    count: int
    urgent: int
    found: Found = field(default_factory=Found)

    @property
    def enough(self) -> bool:
        return len(self.found.offers) >= self.count

    @property
    def over(self) -> bool:
        return self.enough or (bool(self.found.searched) and len(self.found.offers) >= self.urgent)

    def at(self, alias: str, listed: Sequence[Listed]) -> None:
        """Add a provider's offers that fit the pool: those of the stock file by chunks, then what a search finds."""
        query = SearchQuery(country=self.pool.country, prefix=self.pool.prefix, limit=self.count + SPARE)
        others = 0
        for chunk in chunks(listed, _CHUNK):
            fitting = [one for one in chunk if offered(one.number, query) is not None]
            others += len(chunk) - len(fitting)
            self._add([Offer(number=one.number, provider=alias, options=one.options) for one in fitting])
            if self.enough:
                return
        binding, reasons = self.runtime.providers[alias], self.found.reasons
        if not binding.adapter.can_search:
            reasons[alias] = "the stock file has no more, and it cannot be searched"
        elif self._add(_searched(self.runtime, self.pool, binding, query, reasons)):
            self.found.searched.add(alias)
        if self.enough:
            reasons.pop(alias, None)
        elif others:
            reasons[alias] += f"; {others:,} of its rows in the stock file are not of {_of(self.pool)}"

    def _add(self, offers: Sequence[Offer]) -> bool:
        """Add those of *offers* that can be ordered; whether there were any."""
        with self.runtime.database.read() as conn:
            fresh = usable(conn, self.runtime, offers, self.found.offers)
        self.found.offers.extend(fresh)
        return bool(fresh)


def usable(conn: Connection, runtime: Runtime, offers: Sequence[Offer], chosen: Sequence[Offer] = ()) -> list[Offer]:
    """The offers that can be ordered now; each number once, and none of *chosen*.

    Left out: what is bought or in work at the account, what failed there in the last 24 hours, what was ever released
    there, and what another pool has.
    """
    taken = in_pools(conn, [offer.number for offer in offers]) | {offer.number for offer in chosen}
    used = {
        (alias, number)
        for alias in {offer.provider for offer in offers}
        for number in _used(conn, runtime, alias, [offer.number for offer in offers if offer.provider == alias])
    }
    free: dict[str, Offer] = {}
    for offer in offers:
        if offer.number not in taken and (offer.provider, offer.number) not in used:
            free.setdefault(offer.number, offer)
    return list(free.values())


def _used(conn: Connection, runtime: Runtime, alias: str, numbers: Sequence[str]) -> set[str]:
    at = PURCHASE.c
    query = select(at.number).where(
        at.account == runtime.providers[alias].account,
        at.number.in_(numbers),
        or_(
            at.status.not_in((Status.FAILED, Status.CANCELLED)),
            and_(at.status == Status.FAILED, at.finished_at > runtime.now() - DAY),
        ),
    )
    return set(conn.execute(query).scalars())


def _spent(conn: Connection, runtime: Runtime, binding: Binding, state: Mapping[str, Any]) -> bool:
    # Without the bounds of the moment, only the daily limit leaves no room; counted anew, for it is asked seldom.
    unhurried = binding.policy.model_copy(update={"max_in_flight": NO_LIMIT})
    account = dispatch.Account(runtime.accounts[binding.account].aliases)
    room = dispatch.room(conn, unhurried, dict(state), account, now=runtime.now(), soon=NO_LIMIT)
    return room.free < 1


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
    for _ in range(int(SEARCH_PATIENCE / HORIZON)):
        slot = runtime.pace.reserve(binding.looking)
        runtime.sleep(min(slot.wait, HORIZON))
        if not isinstance(slot, Later):
            return _asked(runtime, binding, query)
    raise Unsupported(f"its reading calls are at their limit for more than {SEARCH_PATIENCE:g} s")


def _asked(runtime: Runtime, binding: Binding, query: SearchQuery) -> list[Candidate]:
    try:
        return binding.adapter.search(query)
    except ProviderError as exc:
        if exc.outcome.kind is OutcomeKind.THROTTLED:
            runtime.pace.penalise(binding.looking, exc.outcome.retry_after or 1.0)
        raise


def _offer(alias: str, found: Candidate) -> Offer:
    options = {"stock_item_id": found.stock_item_id} if found.stock_item_id else {}
    return Offer(number=found.number, provider=alias, price=found.price, options=options)
