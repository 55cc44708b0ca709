"""A world with a pool and two shops, each with an account of its own, whose numbers a test lays out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update

from schemas.config.pools import PoolConfig
from schemas.outcomes import Candidate, Outcome
from schemas.requests import BuyNumber
from schemas.status import DEAD, Status
from schemas.tables.pools import POOL, POOL_NUMBER, POOL_RUN, Slot
from schemas.tables.purchases import EVENT, PURCHASE
from tasks.ledger.queue import pausing
from tasks.ledger.rows import Row, lock, move
from tasks.lifecycle import accept, release_and_sweep
from tasks.policies.pause import Cause, Pause
from tasks.pools import counting, stock
from tasks.providers.adapter import ProviderError, SearchQuery
from tasks.providers.registry import kinds
from tasks.providers.transport.turns import take_turn
from tasks.replenish import replenish
from tasks.replenish.replenish import Report
from tasks.runtime import Binding
from tests.tasks.clock import Clock
from tests.tasks.scripted_provider import ScriptedProvider
from tests.tasks.support import World, make_world, policy
from workers.database.connections import SqlDatabase

NAME = "support"
WAYS = {
    Status.PURCHASED: (Status.DISPATCHED, Status.PURCHASING, Status.PURCHASED),
    Status.FAILED: (Status.DISPATCHED, Status.PURCHASING, Status.FAILED),
    Status.HELD: (Status.DISPATCHED, Status.PURCHASING, Status.HELD),
    Status.UNKNOWN: (Status.DISPATCHED, Status.PURCHASING, Status.UNKNOWN),
    Status.PURCHASING: (Status.DISPATCHED, Status.PURCHASING),
    Status.DISPATCHED: (Status.DISPATCHED,),
    Status.CANCELLED: (Status.CANCELLED,),
    Status.RELEASED: (Status.DISPATCHED, Status.PURCHASING, Status.PURCHASED, Status.RELEASED),
}


def area(code: int, count: int, first: int = 0) -> list[str]:
    """Possible US numbers of one area code."""
    return [f"+1{code}555{n:04d}" for n in range(first, first + count)]


class Shop(ScriptedProvider):
    """A provider that offers what a test lays out; `happens` is called, once each, while it searches."""

    can_search = True

    def __init__(self, clock: Clock, numbers: Iterable[str]) -> None:
        super().__init__(clock)
        self.offers = [Candidate(number=one) for one in numbers]
        self.searches: list[SearchQuery] = []
        self.failing: Outcome | None = None
        self.happens: list[Callable[[], Any]] = []

    def search(self, query: SearchQuery) -> list[Candidate]:
        take_turn()()
        self.searches.append(query)
        if self.happens:
            self.happens.pop(0)()
        if self.failing is not None:
            raise ProviderError(self.failing)
        return self.offers[: query.limit]


class Supplied(World):
    """A world with the pool `support` of the shops `first` (415) and `second` (628)."""

    def shop(self, alias: str = "first") -> Shop:
        adapter = self.runtime.providers[alias].adapter
        assert isinstance(adapter, Shop)
        return adapter

    def configure(self, **fields: Any) -> None:
        """Change the pool's configuration."""
        before = self.runtime.config.pools[NAME].model_dump()
        pools = {NAME: PoolConfig.model_validate({**before, **fields})}
        self.runtime = replace(self.runtime, config=self.runtime.config.model_copy(update={"pools": pools}))

    def run(self, **fields: Any) -> Report:
        """One scheduled run, which is due."""
        with self.write() as conn:
            conn.execute(update(POOL).values(next_run_at=self.clock.moment))
        return replenish.run(self.runtime, NAME, **fields)

    def supply(self) -> counting.Supply:
        with self.runtime.database.read() as conn:
            return counting.supply(conn, NAME, 1000)

    def level(self) -> int:
        return self.supply().level(with_held=True)

    def pool(self) -> Row:
        [found] = self.rows(select(POOL).where(POOL.c.name == NAME))
        return found

    def places(self, status: Slot | None = None) -> list[Row]:
        query = select(POOL_NUMBER).order_by(POOL_NUMBER.c.slot)
        return self.rows(query if status is None else query.where(POOL_NUMBER.c.status == status))

    def runs(self) -> list[Row]:
        return self.rows(select(POOL_RUN).order_by(POOL_RUN.c.id))

    def told(self) -> list[tuple[str, Row]]:
        """The pool's events."""
        found = self.rows(select(EVENT).where(EVENT.c.source == f"/dialstock/pools/{NAME}").order_by(EVENT.c.seq))
        return [(row["type"].removeprefix("dialstock.pool."), row["data"]) for row in found]

    def bought(self, alias: str | None = None) -> list[str]:
        """The numbers that were ordered and may still be, or are, paid for."""
        query = select(PURCHASE).where(PURCHASE.c.status.not_in(DEAD)).order_by(PURCHASE.c.number)
        return [row["number"] for row in self.rows(query) if alias in (None, row["provider"])]

    def lead(self, status: Status, count: int | None = None, **changes: Any) -> list[str]:
        """Take the first queued purchases to another status. Returns their ids."""
        query = select(PURCHASE.c.id).where(PURCHASE.c.status == Status.QUEUED).order_by(PURCHASE.c.number).limit(count)
        ids = [row["id"] for row in self.rows(query)]
        with self.write() as conn:
            for purchase_id in ids:
                for step in WAYS[status]:
                    row = lock(conn, purchase_id)
                    assert row is not None
                    called = {"call_deadline": self.clock.moment} if step is Status.PURCHASING else {}
                    more = called | (changes if step == status else {})
                    assert move(conn, row, step, self.clock.moment, **more) is not None
        return ids

    def others(self, count: int) -> None:
        """Have purchases wait at `first` that no pool ordered."""
        for number in area(212, count):
            accept.accept_one(self.runtime, BuyNumber(number=number, provider="first"))
        with self.write() as conn:
            conn.execute(update(PURCHASE).where(PURCHASE.c.number.in_(area(212, count))).values(status=Status.QUEUED))

    def stop_provider(self, alias: str = "first") -> None:
        with self.write() as conn:
            stopped = Pause(cause=Cause.PERSON, reason="for a test", cooldown=None)
            pausing.pause(conn, alias, stopped, self.clock())

    def settle_all(self) -> int:
        with self.write() as conn:
            return stock.settle(conn, self.clock())

    def buy_all(self) -> None:
        """Have the workers buy all that is queued."""
        while self.count(Status.QUEUED):
            for binding in self.runtime.providers.values():
                release_and_sweep.release_due(self.runtime, binding)
            self.work()
            self.clock.advance(1)

    def count(self, status: Status) -> int:
        [row] = self.rows(select(func.count().label("n")).where(PURCHASE.c.status == status))
        return int(row["n"])


def supplied(database: SqlDatabase, *, policies: dict[str, Any] | None = None, **fields: Any) -> Supplied:
    """Build a world; *fields* go to the pool, *policies* to the shops."""
    plain = make_world(database)
    world = Supplied(**vars(plain))
    object.__setattr__(world.runtime, "send", world.sent.extend)
    bindings = {
        alias: Binding(
            alias=alias,
            kind="fluents",
            account=f"{alias}-account",
            policy=policy(**(policies or {})),
            adapter=Shop(world.clock, area(code, 60)),
        )
        for alias, code in (("first", 415), ("second", 628))
    }
    pool = PoolConfig.model_validate(
        {"providers": ["first", "second"], "low": 5, "target": 10, "daily_limit": 0, **fields}
    )
    world.runtime = replace(
        world.runtime,
        providers=bindings,
        kinds=dict.fromkeys(bindings, replace(kinds()["fluents"], tells_price=True)),
        config=world.runtime.config.model_copy(update={"pools": {NAME: pool}}),
    )
    return world


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


Make = Callable[..., Supplied]
