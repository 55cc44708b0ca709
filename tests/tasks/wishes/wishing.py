"""A world with two shops, and orders by criteria in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from schemas.outcomes import Candidate, Outcome
from schemas.status import DEAD
from schemas.tables.purchases import EVENT, LINE, ORDER, PURCHASE
from schemas.tables.wishes import WISH
from tasks import orders
from tasks.ledger.orders import wishes
from tasks.ledger.orders.wishes import Tally
from tasks.ledger.rows import Row
from tasks.providers.adapter import SearchQuery, Shown
from tasks.runtime import Message
from tasks.wishes import accepting, due, run, unneeded
from tasks.wishes.due import FIND_NUMBERS
from tests.tasks.clock import Clock
from tests.tasks.pools.supplying import Shop, Supplied, area, supplied
from tests.tasks.scripted_provider import REFUSED
from workers.database.connections import SqlDatabase


class Market(Shop):
    """A shop whose search shows what is not sold yet, `page` at most; somebody else has bought what is `refused`.

    The search shows that until it is asked for: it was sold meanwhile.
    """

    def __init__(self, clock: Clock, numbers: Iterable[str]) -> None:
        super().__init__(clock, numbers)
        self.refused: set[str] = set()
        self.page, self.has_pages = 1_000, True
        self.flaw: str | None = None
        self.gone: set[str] = set()

    def search(self, query: SearchQuery) -> list[Candidate]:
        sold = {wanted for wanted, _ in self.charged} | self.gone
        left = [one for one in super().search(replace(query, limit=10_000)) if one.number not in sold]
        begin = int(query.after or 0)
        end = begin + self.page
        following = str(end) if self.has_pages and end < len(left) else None
        return Shown(left[begin:end], following=following, flaw=self.flaw)

    def charge(self, wanted: str, *, shows_after: float = 0.0) -> Outcome:
        if wanted in self.refused:
            self.gone.add(wanted)
            return REFUSED
        return super().charge(wanted, shows_after=shows_after)


class Wishing(Supplied):
    """What a test asks of orders by criteria."""

    def market(self, alias: str = "first") -> Market:
        adapter = self.runtime.providers[alias].adapter
        assert isinstance(adapter, Market)
        return adapter

    def many(self, code: int, count: int) -> list[Candidate]:
        return [Candidate(number=one) for one in area(code, count)]

    def wish(self, count: int = 10, key: str = "key", **fields: Any) -> Row:
        """Accept an order by criteria."""
        asked = {"providers": ["first", "second"], **fields}
        return accepting.order_numbers(self.runtime, {"count": count, "idempotency_key": key, **asked}, key)

    def deliver(self, message: Message) -> Any:
        if message.task == FIND_NUMBERS:
            return run.run(self.runtime, **message.kwargs)
        return super().deliver(message)

    def turn(self) -> None:
        """One round of all that a worker does by itself."""
        due.look(self.runtime)
        unneeded.look(self.runtime)
        self.timers()
        self.work()
        orders.complete_finished(self.runtime)
        self.clock.advance(1)

    def until_completed(self, order: Row, seconds: int = 1000) -> Row:
        """Let time pass until the order is completed."""
        for _ in range(seconds):
            if (found := self.order(order["id"]))["status"] == "completed":
                return found
            self.turn()
        raise AssertionError(f"not completed: {self.order(order['id'])}, {self.wishes()}")

    def search(self, position: int = 1) -> None:
        """One run of the latest order's wish."""
        run.run(self.runtime, self.wishes()[0]["order_id"], position)

    def run_of(self, order_id: str, position: int = 1) -> None:
        """One run of a wish of an order."""
        run.run(self.runtime, order_id, position)

    def order(self, order_id: str) -> Row:
        [found] = self.rows(select(ORDER).where(ORDER.c.id == order_id))
        return found

    def wishes(self) -> list[Row]:
        return self.rows(select(WISH).order_by(WISH.c.order_id.desc(), WISH.c.position))

    def tally(self, position: int = 1) -> Tally:
        [wish] = [one for one in self.wishes() if one["position"] == position]
        with self.runtime.database.read() as conn:
            return wishes.tallies(conn, [wish])[position]

    def state(self, position: int = 1) -> tuple[str, str | None]:
        [wish] = [one for one in self.wishes() if one["position"] == position]
        return wish["state"], wish["reason"]

    def why(self, position: int = 1) -> str | None:
        """As `order show` tells it."""
        [wish] = [one for one in self.wishes() if one["position"] == position]
        return wishes.why(wish, self.tally(position))

    def alive(self) -> list[str]:
        """The numbers that are, or may be, paid for."""
        query = select(PURCHASE.c.number).where(PURCHASE.c.status.not_in(DEAD)).order_by(PURCHASE.c.number)
        return [row["number"] for row in self.rows(query)]

    def lines(self) -> list[Row]:
        return self.rows(select(LINE).order_by(LINE.c.order_id, LINE.c.line))

    def order_events(self) -> list[tuple[str, Row]]:
        query = select(EVENT).where(EVENT.c.source == "/dialstock/orders").order_by(EVENT.c.seq)
        return [(row["type"].removeprefix("dialstock."), row["data"]) for row in self.rows(query)]

    def refuse(self, numbers: Iterable[str]) -> None:
        """Have the shops refuse these: somebody else was quicker."""
        for alias in ("first", "second"):
            self.market(alias).refused |= set(numbers)

    def later(self, **time: float) -> None:
        self.clock.advance(timedelta(**time).total_seconds())


def wishing(database: SqlDatabase, **policies: Any) -> Wishing:
    """A world with the shops `first` (60 numbers of 415) and `second` (60 of 628)."""
    world = Wishing(**vars(supplied(database, policies=policies)))
    numbers = {"first": area(415, 60), "second": area(628, 60)}
    markets: dict[str, Any] = {alias: Market(world.clock, found) for alias, found in numbers.items()}
    shops = {alias: replace(binding, adapter=markets[alias]) for alias, binding in world.runtime.providers.items()}
    world.runtime = replace(world.runtime, providers=shops)
    return world
