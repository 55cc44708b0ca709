"""What the model of the pools knows beside the pools: a shop that sells, and who was given what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from schemas.config.pools import PoolConfig
from schemas.outcomes import Candidate
from schemas.pool_requests import ReturnNumber, TakeNumber
from schemas.settling import Verdict
from schemas.status import DEAD, SETTLED, Status
from schemas.tables.pools import POOL_NUMBER, Slot
from tasks.ledger import resolve
from tasks.ledger.rows import Row, version
from tasks.pools import stock
from tasks.pools.requests import take_and_return
from tasks.providers.adapter import ProviderError, SearchQuery
from tasks.replenish import replenish
from tests.tasks.lifecycle.test_model import Market
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import JUDGED, World, number

POOL = "support"
LOW, TARGET = 5, 6


class Shop:
    """What one alias sells, at the market that both share. A search shows what is sold already, too."""

    can_search = True

    def __init__(self, market: Market, first: int) -> None:
        self._market = market
        self._first = first
        self.many = 20
        self.away = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def search(self, query: SearchQuery) -> list[Candidate]:
        if self.away:
            raise ProviderError(UNKNOWN)
        return [Candidate(number=number(index)) for index in range(self._first, self._first + self.many)]


@dataclass
class Takers:
    """Who was given what, as the answers told it."""

    takes: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    returns: dict[str, str] = field(default_factory=dict)
    has: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    refused: dict[str, tuple[int | str, str]] = field(default_factory=dict)

    def of_take(self, request_id: str, count: int, free: Sequence[str]) -> tuple[str | None, list[str]]:
        """The error code, and the numbers, that a take must be answered with."""
        if request_id in self.refused:
            return self._again(request_id, count), []
        if request_id in self.returns:
            return "key_conflict", []
        if request_id not in self.takes:
            short = "not_enough" if free else "pool_empty"
            return (None, list(free[:count])) if len(free) >= count else (short, [])
        asked, numbers = self.takes[request_id]
        left = [one for one in numbers if self.has.get(one) == request_id]
        if asked != count:
            return "key_conflict", []
        return (None if left == numbers else "already_returned"), left

    def of_return(self, request_id: str, wanted: str) -> str | None:
        """The error code that a return must be answered with."""
        if request_id in self.refused:
            return self._again(request_id, wanted)
        if request_id in self.takes or self.returns.get(request_id, wanted) != wanted:
            return "key_conflict"
        if request_id in self.returns or wanted in self.has:
            return None
        return "gone" if wanted in self.gone else "not_taken"

    def remember(self, request_id: str, asked: int | str, code: str) -> None:
        """What was refused, unless the id is that of another request, stays refused."""
        if request_id not in self.takes and request_id not in self.returns:
            self.refused.setdefault(request_id, (asked, code))

    def _again(self, request_id: str, asked: int | str) -> str:
        before, code = self.refused[request_id]
        return code if before == asked else "key_conflict"


class Played:
    """What the rules of the model do, and what of it is counted."""

    world: World
    market: Market
    pool: PoolConfig
    takers: Takers

    def run(self, *, by_person: bool = False, without_held: bool = False) -> None:
        with self.never_above(without_held=without_held):
            self.attempt(by_person=by_person, without_held=without_held)

    def attempt(self, **terms: bool) -> None:
        with suppress(replenish.NotNow):
            replenish.run(self.world.runtime, POOL, **terms)

    @contextmanager
    def never_above(self, *, without_held: bool) -> Iterator[None]:
        """What happens here does not bring the level above the target, even where it is killed."""
        with_held = self.pool.count_held and not without_held
        before = self.level(with_held=with_held)
        try:
            yield
        finally:
            assert self.level(with_held=with_held) <= max(before, TARGET)

    def level(self, *, with_held: bool) -> int:
        status = {row["id"]: row["status"] for row in self.purchases()}
        apart = DEAD if with_held else DEAD | {Status.HELD}
        coming = [row for row in self.places(Slot.ORDERED) if status[row["purchase_id"]] not in apart]
        return len(self.places(Slot.AVAILABLE)) + len(coming)

    def take(self, request_id: str, count: int) -> None:
        free = self.places(Slot.AVAILABLE)
        if len(free) < count:
            bought = {row["id"] for row in self.purchases() if row["status"] == Status.PURCHASED}
            unsettled = [row for row in self.places(Slot.ORDERED) if row["purchase_id"] in bought]
            free += [{**row, "available_at": self.world.clock()} for row in unsettled]
        free.sort(key=lambda row: (row["available_at"], row["slot"]))
        code, numbers = self.takers.of_take(request_id, count, [row["number"] for row in free])
        request = TakeNumber(pool=POOL, request_id=request_id, count=count)
        answer = take_and_return.take(self.world.runtime, request, "message")
        assert (answer["error_code"], [one["number"] for one in answer["numbers"]]) == (code, numbers)
        assert answer["success"] is (code is None)
        if code is not None:
            self.takers.remember(request_id, count, code)
        else:
            assert answer["repeat"] is (request_id in self.takers.takes)
            self.takers.takes[request_id] = count, numbers
            self.takers.has |= dict.fromkeys(numbers, request_id)

    def give_back(self, request_id: str, wanted: str) -> None:
        code = self.takers.of_return(request_id, wanted)
        request = ReturnNumber(pool=POOL, request_id=request_id, number=wanted)
        answer = take_and_return.give_back(self.world.runtime, request, "message")
        assert (answer["error_code"], answer["success"]) == (code, code is None)
        if code is not None:
            self.takers.remember(request_id, wanted, code)
        elif request_id not in self.takers.returns:
            self.takers.returns[request_id] = wanted
            del self.takers.has[wanted]

    def settle_held(self, otherwise: Verdict) -> None:
        """A person looks at what is held; what may still be charged is left alone."""
        self.market.catch_up()
        owned = {sold for sold, _ in self.market.charged}
        coming = {wanted for _, wanted in self.market.pending}
        held = [row for row in self.purchases() if row["status"] == Status.HELD and row["number"] not in coming]
        said = [
            resolve.Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT if row["number"] in owned else otherwise)
            for row in held
        ]
        settler = resolve.Settler(by="somebody", now=self.world.clock())
        with self.world.write() as conn:
            assert len(resolve.resolve(conn, said, {row["id"]: version(row) for row in held}, settler)) == len(held)

    def work(self) -> None:
        self.timers(settles=True)
        self.world.work()
        self.timers(settles=True)

    def timers(self, *, settles: bool) -> None:
        self.world.timers()
        if settles:
            stock.settle_due(self.world.runtime)

    def waiting(self) -> list[datetime]:
        """When each purchase that is not settled is due; what is held is due now."""
        rows = [row for row in self.purchases() if row["status"] not in SETTLED - {Status.HELD}]
        return [row["due_at"] or self.world.clock() for row in rows]

    def purchases(self) -> list[Row]:
        return self.world.rows(JUDGED)

    def places(self, *statuses: Slot) -> list[Row]:
        """The places that hold this, all of them without one."""
        rows = self.world.rows(select(POOL_NUMBER).order_by(POOL_NUMBER.c.slot))
        return [row for row in rows if row["status"] in (statuses or list(Slot))]

    @staticmethod
    def pick(pick: int, things: Any) -> Any:
        things = list(things)
        return things[pick % len(things)]
