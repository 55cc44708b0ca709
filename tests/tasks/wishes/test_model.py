"""Orders by criteria among runs that are killed, late or two at once, persons, another buyer, and providers that may do
anything.

Hypothesis plays all of them; time is virtual. What is promised: never more than a wish counts, nothing twice, no number
in doubt replaced before that is settled; and in the end never fewer while something is for sale.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from schemas.outcomes import Outcome
from schemas.requests import RequestError
from schemas.settling import Verdict
from schemas.status import DEAD, Status
from schemas.tables.purchases import LINE, PURCHASE
from schemas.tables.wishes import OFFERS, RESERVATION, WishState
from tasks import orders
from tasks.ledger import resolve
from tasks.ledger.orders import cancel
from tasks.ledger.orders.reservations import MOST_TRIES
from tasks.ledger.queue import pausing
from tasks.ledger.resolve import Resolution, Settler
from tasks.ledger.rows import Row, version
from tasks.operator import retry_order
from tests.tasks.playing import play
from tests.tasks.pools.supplying import area
from tests.tasks.scripted_provider import NOT_SENT, REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import Killed, clear, die
from tests.tasks.wishes.keeping import FOR, Keeper
from tests.tasks.wishes.wishing import Market, wishing
from workers.database.connections import SqlDatabase

EXAMPLES = int(os.environ.get("WISH_EXAMPLES", "0"))
"""Games on each kind of database; without it as many as take a few seconds."""

KEYS = ("a", "b", "c")
RESERVING = ("b", "c")
POINTS = ("accepted", "leased", "searched", "reserving", "ordering", "unneeded")
COUNTS = {"a": 3, "b": 6, "c": 9}
aliases = st.sampled_from(("first", "second"))
keys = st.sampled_from(KEYS)
picks = st.integers(0, 30)


class Game(RuleBasedStateMachine):
    """The rules are what may happen; the invariants are what is promised."""

    database: ClassVar[SqlDatabase]

    @initialize(many=st.integers(2, 12), page=st.sampled_from([2, 4, 100]))
    def begin(self, many: int, page: int) -> None:
        clear(self.database)
        self.world = wishing(self.database)
        self.reserve()
        self.asked: dict[str, str] = {}
        for alias, code in (("first", 415), ("second", 628)):
            market = self.market(alias)
            market.offers, market.page = market.offers[:many], page
            assert market.offers[0].number in area(code, 1)

    def reserve(self) -> None:
        """The first shop sells what it reserves to who names that, and the second to us however we ask."""
        numbers = (one.number for one in self.market("first").offers)
        adapters: dict[str, Any] = {"first": Keeper(self.world.clock, numbers), "second": self.market("second")}
        adapters["second"].reserve, adapters["second"].reserves_at_once = dict.fromkeys, 25
        adapters["second"].reserves_for, adapters["second"].names_reservations = 1800, False
        adapters["first"].before = self.nobody_buys
        before = self.world.runtime.providers
        here = {alias: replace(before[alias], adapter=found) for alias, found in adapters.items()}
        self.world.runtime = replace(self.world.runtime, providers={**before, **here})

    def nobody_buys(self, number: str) -> None:
        """What is given back is no purchase's."""
        query = select(PURCHASE.c.id).where(PURCHASE.c.number == number, PURCHASE.c.status.not_in(DEAD))
        assert self.world.rows(query) == []

    def order(self, key: str) -> Row:
        return self.world.wish(COUNTS[key], key=key, reserve=key in RESERVING)

    @rule(key=keys)
    def somebody_orders(self, key: str) -> None:
        """The same message twice is the same order."""
        order = self.order(key)
        assert self.asked.setdefault(key, order["id"]) == order["id"]

    @rule(point=st.sampled_from(POINTS), key=keys, seconds=st.integers(0, 60))
    def somebody_is_killed(self, point: str, key: str, seconds: int) -> None:
        self.world.points[point] = die
        with suppress(Killed):
            self.asked.setdefault(key, self.order(key)["id"])
            self.world.turn()
        self.world.points.clear()
        self.world.clock.advance(seconds)

    @rule(turns=st.integers(1, 5), seconds=st.sampled_from([0, 10, 60, 400]))
    def workers_work(self, turns: int, seconds: int) -> None:
        for _ in range(turns):
            self.world.turn()
        self.world.clock.advance(seconds)

    @rule(key=keys, minutes=st.sampled_from([0, 5]))
    def a_second_run_comes_while_one_searches(self, key: str, minutes: int) -> None:
        """Where it is late, the lease of the first has run out."""
        self.somebody_orders(key)
        order_id = self.asked[key]
        market = self.market("first")
        market.happens = [lambda: (self.world.later(minutes=minutes), self.world.run_of(order_id))]
        self.world.run_of(order_id)
        market.happens = []

    @rule(
        alias=aliases, act=st.sampled_from([REFUSED, UNKNOWN, THROTTLED, NOT_SENT, "unseen"]), times=st.integers(1, 3)
    )
    def a_provider_answers_otherwise(self, alias: str, act: object, times: int) -> None:
        market = self.market(alias)
        market.script.extend([market.charge_unseen if act == "unseen" else act] * times)  # type: ignore[list-item]

    @rule(alias=aliases, failing=st.booleans())
    def searches_fail_or_work(self, alias: str, failing: bool) -> None:
        self.market(alias).failing = UNKNOWN if failing else None

    @rule(act=st.sampled_from([REFUSED, UNKNOWN, THROTTLED, None]))
    def reservations_fail_or_work(self, act: Outcome | None) -> None:
        self.keeper().fails = self.keeper().deaf = act

    @rule(pick=picks)
    def a_reservation_is_made_and_not_answered(self, pick: int) -> None:
        offers = self.keeper().offers
        self.keeper().unseen.add(offers[pick % len(offers)].number)

    @rule(alias=aliases, pick=picks)
    def somebody_else_is_quicker(self, alias: str, pick: int) -> None:
        offers = self.market(alias).offers
        number = offers[pick % len(offers)].number
        if number not in {sold for sold, _ in self.market(alias).charged}:
            self.market(alias).refused.add(number)

    @rule(alias=aliases, pick=picks)
    def another_request_names_a_number(self, alias: str, pick: int) -> None:
        offers = self.market(alias).offers
        with suppress(RequestError):
            self.world.accept(offers[pick % len(offers)].number, alias)

    @rule(alias=aliases, stops=st.booleans())
    def a_provider_is_paused_or_goes_on(self, alias: str, stops: bool) -> None:
        if stops:
            self.world.stop_provider(alias)
        else:
            self.go_on(alias)

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def a_person_cancels_an_order(self, pick: int) -> None:
        orders.cancel(self.world.runtime, sorted(self.asked.values())[pick % len(self.asked)])

    @precondition(lambda self: self.asked)
    @rule(pick=picks)
    def a_person_retries(self, pick: int) -> None:
        retry_order.retry(self.world.runtime, sorted(self.asked.values())[pick % len(self.asked)])

    @rule(pick=picks)
    def a_person_cancels_a_purchase(self, pick: int) -> None:
        if rows := self.world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.QUEUED)):
            with self.world.write() as conn:
                cancel.cancel(conn, rows[pick % len(rows)]["id"], self.world.clock())

    @rule(verdict=st.sampled_from([Verdict.FAIL, Verdict.BOUGHT, Verdict.RETRY]))
    def a_person_settles(self, verdict: Verdict) -> None:
        """As the provider's dashboard shows it."""
        for row in self.world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.HELD)):
            charged = row["number"] in self.charged()
            said = Verdict.BOUGHT if charged else Verdict.FAIL if verdict is Verdict.BOUGHT else verdict
            one = Resolution(purchase_id=row["id"], verdict=said, provider_number_id="x" if charged else None)
            with self.world.write() as conn:
                settler = Settler(by="test", now=self.world.clock())
                assert resolve.resolve(conn, [one], {row["id"]: version(row)}, settler)

    @invariant()
    def never_more_than_asked_and_nothing_twice(self) -> None:
        assert max(Counter(self.charged()).values(), default=1) == 1
        for key, order_id in self.asked.items():
            rows = self.lines(order_id)
            assert sum(row["status"] not in DEAD for row in rows) <= COUNTS[key]
            assert len(self.paid_for(rows)) <= COUNTS[key]

    @invariant()
    def offers_are_kept_for_open_wishes_only(self) -> None:
        opened = {wish["order_id"] for wish in self.world.wishes() if wish["state"] == WishState.OPEN}
        assert {row["order_id"] for row in self.world.rows(select(OFFERS))} <= opened

    def paid_for(self, rows: list[Row]) -> set[str]:
        """The charged numbers of an order; one that a person cancelled there may be another's by now."""
        alive = {row["number"] for row in self.world.rows(select(PURCHASE)) if row["status"] not in DEAD}
        mine = {row["number"] for row in rows if row["status"] not in (Status.FAILED, Status.CANCELLED)}
        left = {row["number"] for row in rows if row["status"] == Status.CANCELLED} - alive
        return (mine | left) & set(self.charged())

    def teardown(self) -> None:
        if not hasattr(self, "asked"):
            return
        for alias in ("first", "second"):
            self.market(alias).failing = None
            self.market(alias).script.clear()
            self.market(alias).page = 100
            self.go_on(alias)
        self.keeper().fails = self.keeper().deaf = None
        for _ in range(600):
            self.a_person_settles(Verdict.FAIL)
            if all(self.world.order(order_id)["status"] == "completed" for order_id in self.asked.values()):
                break
            self.world.turn()
            self.world.clock.advance(30)
        self.never_more_than_asked_and_nothing_twice()
        self.nothing_stays_reserved()
        for key, order_id in self.asked.items():
            self.has_all_or_nothing_is_left(order_id, COUNTS[key])

    def nothing_stays_reserved(self) -> None:
        """But what could not be given back, until it lapses."""
        for _ in range(10):
            self.world.clock.advance(60)
            self.world.turn()
        assert all(row["tries"] == MOST_TRIES for row in self.world.rows(select(RESERVATION)))
        self.world.clock.advance(FOR)
        self.world.turn()
        assert self.world.rows(select(RESERVATION)) == []

    def has_all_or_nothing_is_left(self, order_id: str, count: int) -> None:
        assert self.world.order(order_id)["status"] == "completed"
        [wish] = [one for one in self.world.wishes() if one["order_id"] == order_id]
        rows = self.lines(order_id)
        bought = sum(row["status"] == Status.PURCHASED for row in rows)
        by_person = sum(row["status"] == Status.CANCELLED for row in rows)
        settled = self.world.rows(select(PURCHASE).where(PURCHASE.c.status == Status.FAILED, PURCHASE.c.doubt))
        assert wish["state"] != WishState.REACHED or bought == count or settled
        if wish["state"] == WishState.SHORT and not by_person:
            assert bought < count or settled
            assert not self.for_sale(), f"{self.for_sale()} were for sale, and {bought} of {count} bought: {wish}"

    def for_sale(self) -> set[str]:
        """What nobody has, and nobody was refused."""
        known = {row["number"] for row in self.world.rows(select(PURCHASE)) if row["status"] != Status.CANCELLED}
        offers = {one.number for alias in ("first", "second") for one in self.market(alias).offers}
        # No search shows what is reserved, by whom ever.
        return offers - known - set(self.charged()) - set(self.keeper().ever)

    def lines(self, order_id: str) -> list[Row]:
        query = select(PURCHASE).join(LINE, LINE.c.purchase_id == PURCHASE.c.id).where(LINE.c.order_id == order_id)
        return self.world.rows(query)

    def charged(self) -> list[str]:
        return [number for alias in ("first", "second") for number, _ in self.market(alias).charged]

    def market(self, alias: str) -> Market:
        return self.world.market(alias)

    def keeper(self) -> Keeper:
        adapter = self.market("first")
        assert isinstance(adapter, Keeper)
        return adapter

    def go_on(self, alias: str) -> None:
        with self.world.write() as conn:
            pausing.resume(conn, alias, self.world.clock(), by_machine=False)


def test_never_more_never_fewer_and_no_doubt_replaced_early(database: SqlDatabase) -> None:
    play(Game, database, sqlite=EXAMPLES or 20, others=EXAMPLES or 5, stateful_step_count=30)
