"""Pools among runs that are killed, late or two at once, takers that ask again, and a provider that may do anything.

Hypothesis plays beat, workers, services, people, another buyer and the provider; time is virtual. Beside the pools
stands a plain account of who was given what, which each answer has to agree with.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import nullcontext, suppress
from datetime import timedelta
from functools import partial
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from schemas.config.pools import PoolConfig
from schemas.requests import RequestError
from schemas.settling import Finding, FindingKind, Verdict
from schemas.status import DEAD, Status
from schemas.tables.pools import Slot
from tasks.audit import compare
from tasks.ledger import resolve
from tasks.ledger.orders import cancel
from tasks.ledger.queue import pausing
from tasks.ledger.rows import Row
from tasks.policies.pause import Cause, Pause
from tests.tasks.lifecycle.test_model import ACTS, LAST_LOOK, Frozen, Market
from tests.tasks.playing import play
from tests.tasks.pools.model import LOW, POOL, TARGET, Played, Shop, Takers
from tests.tasks.support import Killed, clear, die, make_world, number
from workers.database.connections import SqlDatabase

EXAMPLES = int(os.environ.get("POOL_EXAMPLES", "0"))
"""Games on each kind of database; without it as many as take a few seconds."""

ALIASES = ("acme", "twin")
DAY = timedelta(hours=24)
BOUGHT = (Slot.AVAILABLE, Slot.TAKEN)

picks = st.integers(0, 50)
acts = st.sampled_from(["sells", *sorted(ACTS)])
aliases = st.sampled_from(ALIASES)
seldom = st.sampled_from([True, False, False, False])
delays = st.sampled_from([0.0, 40.0, LAST_LOOK])
requests = st.sampled_from([first + second for first in "abcdefghijklmnop" for second in "xyz"])


class Game(Played, RuleBasedStateMachine):
    """The rules are what may happen; the invariants are what is promised."""

    database: ClassVar[SqlDatabase]

    @initialize(
        lookup=st.sampled_from(["by_number", "by_list", "none", "none"]),
        daily_limit=st.sampled_from([0, 0, 0, 9]),
        count_held=st.sampled_from([True, True, False]),
        full=st.booleans(),
    )
    def begin(self, lookup: str, daily_limit: int, count_held: bool, full: bool) -> None:
        clear(self.database)
        self.world = make_world(self.database, lookup=lookup)
        self.market = Market(self.world)
        self.shops = {alias: Shop(self.market, 100 * n) for n, alias in enumerate(ALIASES)}
        self.pool = PoolConfig(
            providers=ALIASES, low=LOW, target=TARGET, max_per_run=4, daily_limit=daily_limit, count_held=count_held
        )
        runtime = self.world.runtime
        object.__setattr__(runtime, "config", runtime.config.model_copy(update={"pools": {POOL: self.pool}}))
        for alias, binding in runtime.providers.items():
            object.__setattr__(binding, "adapter", self.shops[alias])
        self.takers = Takers()
        self.frozen: list[tuple[Frozen, bool]] = []
        if full:
            self.all_goes_well()

    @rule(seconds=st.sampled_from([1.0, 9.0, 61.0, 130.0, 7000.0, 90_000.0]), settles=st.booleans())
    def time_passes(self, seconds: float, settles: bool) -> None:
        self.world.clock.advance(seconds)
        self.timers(settles=settles)

    @rule(due=st.booleans(), again=st.booleans())
    def the_beat_comes(self, due: bool, again: bool) -> None:
        if due:
            self.world.clock.advance(61.0)
        for _ in range(2 if again else 1):
            self.run()

    @rule(without_held=st.booleans())
    def a_person_runs(self, without_held: bool) -> None:
        self.run(by_person=True, without_held=without_held)

    @rule(point=st.sampled_from(["leased", "searched", "ordering"]), by_person=st.booleans())
    def a_run_dies(self, point: str, by_person: bool) -> None:
        self.world.points[point] = die
        with suppress(Killed):
            self.run(by_person=by_person)
        self.world.points.clear()

    @precondition(lambda self: len(self.frozen) < 3)
    @rule(
        point=st.sampled_from(["leased", "searched"]),
        without_held=st.booleans(),
        meanwhile=st.sampled_from(["nothing", "another run", "another buyer"]),
    )
    def a_run_freezes(self, point: str, without_held: bool, meanwhile: str) -> None:
        """Stopped at its search. Another one goes through once its lease is over, or what it found is bought."""
        frozen = Frozen(partial(self.attempt, by_person=True, without_held=without_held))
        self.world.points[point] = frozen.park
        frozen.start()
        self.world.points.clear()
        self.frozen.append((frozen, without_held))
        if meanwhile == "another run":
            self.world.clock.advance(300.0)
            self.run()
        elif meanwhile == "another buyer":
            used = {row["number"] for row in self.purchases()}
            wanted = next(index for index in range(100) if number(index) not in used)
            self.somebody_else_buys("acme", wanted)

    @precondition(lambda self: self.frozen)
    @rule(pick=picks)
    def a_run_thaws(self, pick: int) -> None:
        frozen, without_held = self.frozen.pop(pick % len(self.frozen))
        with self.never_above(without_held=without_held):
            frozen.thaw()

    @rule(act=acts, delay=delays, calls=st.integers(1, 6), again=st.booleans())
    def workers_buy(self, act: str, delay: float, calls: int, again: bool) -> None:
        """The provider does the same with as many calls."""
        self.timers(settles=again)
        self.market.script.clear()
        self.market.script.extend([lambda wanted: ACTS[act](self.market, wanted, delay)] * calls)
        messages = self.world.sent[:calls]
        del self.world.sent[:calls]
        for message in messages * (2 if again else 1):
            self.world.deliver(message)

    @rule(request_id=requests, count=st.integers(1, 4), act=acts, delay=delays, calls=st.integers(1, 6))
    def a_number_is_missing(self, request_id: str, count: int, act: str, delay: float, calls: int) -> None:
        """Taken from what has arrived, ordered anew, and bought, if it can be."""
        self.work()
        self.take(request_id, count)
        self.the_beat_comes(due=True, again=False)
        self.workers_buy(act, delay, calls, again=False)

    @rule()
    def all_goes_well(self) -> None:
        for _ in range(3):
            self.run()
            self.work()
            self.world.clock.advance(61.0)

    @rule(alias=aliases, index=st.integers(0, 7))
    def somebody_else_buys(self, alias: str, index: int) -> None:
        wanted = number(index + 100 * ALIASES.index(alias))
        alive = {row["id"] for row in self.purchases() if row["number"] == wanted and row["status"] not in DEAD}
        reserved = alive & {place["purchase_id"] for place in self.places(Slot.ORDERED, *BOUGHT)}
        with pytest.raises(RequestError, match=f"is in the pool {POOL}") if reserved else nullcontext():
            self.world.accept(wanted, provider=alias)

    @precondition(lambda self: self.purchases())
    @rule(pick=picks)
    def a_person_cancels(self, pick: int) -> None:
        rows = self.purchases()
        with self.world.write() as conn:
            cancel.cancel(conn, rows[pick % len(rows)]["id"], self.world.clock())

    @rule(again=st.booleans(), paused=st.booleans())
    def a_person_settles(self, again: bool, paused: bool) -> None:
        """What is to be bought again may have to wait, and is in doubt."""
        self.settle_held(Verdict.RETRY if again else Verdict.FAIL)
        if paused:
            self.a_provider_pauses_or_resumes("acme", pauses=True, noticed=True)

    @rule(alias=aliases, pauses=seldom, noticed=st.booleans())
    def a_provider_pauses_or_resumes(self, alias: str, pauses: bool, noticed: bool) -> None:
        with self.world.write() as conn:
            if pauses:
                pause = Pause(cause=Cause.PERSON, reason="for a test", cooldown=None)
                pausing.pause(conn, alias, pause, self.world.clock())
            else:
                pausing.resume(conn, alias, self.world.clock(), by_machine=False)
        if noticed:
            self.run(by_person=True)

    @rule(alias=aliases, away=seldom, more=st.integers(0, 5))
    def a_shop_changes(self, alias: str, away: bool, more: int) -> None:
        self.shops[alias].away = away
        self.shops[alias].many += more

    @rule(request_id=requests, count=st.integers(1, 3))
    def a_service_takes(self, request_id: str, count: int) -> None:
        self.take(request_id, count)

    @precondition(lambda self: self.takers.takes)
    @rule(pick=picks)
    def a_take_comes_late(self, pick: int) -> None:
        request_id, (count, _) = self.pick(pick, self.takers.takes.items())
        self.take(request_id, count)

    @precondition(lambda self: self.places())
    @rule(pick=picks, request_id=requests)
    def a_service_returns(self, pick: int, request_id: str) -> None:
        numbers = list(self.takers.has) * 3 + [row["number"] for row in self.places() if row["number"]]
        if numbers:
            self.give_back(request_id.upper() if pick % 5 else request_id, self.pick(pick, numbers))

    @precondition(lambda self: self.takers.refused)
    @rule(pick=picks)
    def what_was_refused_comes_late(self, pick: int) -> None:
        request_id, (asked, _) = self.pick(pick, self.takers.refused.items())
        self.give_back(request_id, asked) if isinstance(asked, str) else self.take(request_id, asked)

    @precondition(lambda self: self.takers.returns)
    @rule(pick=picks)
    def a_return_comes_late(self, pick: int) -> None:
        self.give_back(*self.pick(pick, self.takers.returns.items()))

    @precondition(lambda self: self.places(*BOUGHT))
    @rule(pick=picks)
    def a_number_is_lost_at_the_provider(self, pick: int) -> None:
        """An audit finds it missing."""
        place = self.pick(pick, self.places(*BOUGHT))
        lost = place["number"]
        self.market.charged = [charge for charge in self.market.charged if charge[0] != lost]
        now = self.world.clock()
        missing = Finding(kind=FindingKind.MISSING, number=lost, provider="acme", purchase_id=place["purchase_id"])
        with self.world.write() as conn:
            later = now + timedelta(seconds=1)
            compare.release(conn, [missing], resolve.Settler(by="audit", now=now), later)
        self.takers.has.pop(lost, None)
        self.takers.gone.add(lost)

    @invariant()
    def what_is_promised(self) -> None:
        """Read once and judged by all."""
        self.market.catch_up()
        purchases, places = self.purchases(), self.places()
        self.nothing_is_charged_twice_or_lost(purchases)
        self.each_purchase_of_the_pool_has_its_place(purchases, places)
        self.each_number_is_in_one_place_and_has_one_taker(places)
        self.the_days_limit_is_kept(purchases, places)

    def nothing_is_charged_twice_or_lost(self, purchases: list[Row]) -> None:
        charged = Counter(sold for sold, _ in self.market.charged)
        assert max(charged.values(), default=0) <= 1
        alive = {row["number"]: row["status"] for row in purchases if row["status"] not in DEAD}
        assert set(charged) <= set(alive)
        assert {sold for sold, status in alive.items() if status == Status.PURCHASED} <= set(charged)

    def each_purchase_of_the_pool_has_its_place(self, purchases: list[Row], places: list[Row]) -> None:
        holding = [row for row in places if row["purchase_id"]]
        place_of = {row["purchase_id"]: row for row in holding}
        assert len(place_of) == len(holding)
        for row in purchases:
            if row["idempotency_key"] and row["status"] not in DEAD:
                place = place_of[row["id"]]
                assert row["idempotency_key"] == f"pool:{POOL}:{place['slot']}:{place['tries']}"
                assert row["number"] == place["number"]
                assert row["status"] == Status.PURCHASED or place["status"] == Slot.ORDERED
            if row["status"] == Status.RELEASED:
                assert place_of[row["id"]]["status"] == Slot.GONE

    def each_number_is_in_one_place_and_has_one_taker(self, places: list[Row]) -> None:
        numbers = [row["number"] for row in places if row["status"] in (Slot.ORDERED, *BOUGHT)]
        assert len(numbers) == len(set(numbers))
        taken = {row["number"]: row["request_id"] for row in places if row["status"] == Slot.TAKEN}
        assert taken == self.takers.has

    def the_days_limit_is_kept(self, purchases: list[Row], places: list[Row]) -> None:
        free = {row["id"] for row in purchases if row["status"] in (Status.FAILED, Status.CANCELLED)}
        since = self.world.clock() - DAY
        spent = [row for row in places if row["purchase_id"] and row["purchase_id"] not in free]
        recent = [row for row in spent if row["ordered_at"] > since]
        assert not self.pool.daily_limit or len(recent) <= self.pool.daily_limit

    def teardown(self) -> None:
        """Everybody thaws, people settle, all goes well: then the pool is full, and each charge is in its place."""
        if not hasattr(self, "world"):
            return
        try:
            while self.frozen:
                self.a_run_thaws(0)
        finally:
            for frozen, _ in self.frozen:
                frozen._go_on.set()
        self.end_all()
        self.take("the-last", len(self.places(Slot.AVAILABLE)) or 1)
        for _ in range(4):
            self.world.clock.advance(90_000.0)
            self.run()
            self.end_all()
            self.what_is_promised()
        assert Counter(row["status"] for row in self.places(Slot.WANTED, Slot.ORDERED, Slot.AVAILABLE)) == {
            Slot.AVAILABLE: TARGET
        }
        ours = {row["number"] for row in self.purchases() if row["idempotency_key"] and row["status"] not in DEAD}
        charged = {sold for sold, _ in self.market.charged}
        assert charged & ours == {row["number"] for row in self.places(*BOUGHT)}

    def end_all(self) -> None:
        """No purchase is left that is not settled, nor one that is held."""
        self.market.looks.clear()
        self.market.script.clear()
        with self.world.write() as conn:
            for alias, shop in self.shops.items():
                pausing.resume(conn, alias, self.world.clock(), by_machine=False)
                shop.away, shop.many = False, 60
        for _ in range(300):
            due = self.waiting()
            if not due:
                self.timers(settles=True)
                return
            self.world.clock.moment = max(self.world.clock.moment + timedelta(seconds=60), min(due))
            self.work()
            self.settle_held(Verdict.FAIL)
        raise AssertionError(f"never settled: {self.waiting()}")


def test_never_above_target_never_twice_and_never_lost(database: SqlDatabase) -> None:
    play(Game, database, sqlite=EXAMPLES or 16, others=EXAMPLES or 5, stateful_step_count=40)


def test_what_is_in_doubt_keeps_its_place_while_its_provider_is_paused(database: SqlDatabase) -> None:
    """A game that chance plays seldom."""

    class OnThisDatabase(Game):
        pass

    OnThisDatabase.database = database
    game = OnThisDatabase()
    game.begin(lookup="none", daily_limit=0, count_held=True, full=False)
    game.the_beat_comes(due=True, again=False)
    for _ in range(2):
        game.workers_buy(act="fails", delay=0.0, calls=6, again=True)
    game.a_person_settles(again=True, paused=True)
    assert {row["doubt"] for row in game.purchases() if row["status"] == Status.QUEUED} == {True, False}
    game.what_is_promised()
    game.teardown()
