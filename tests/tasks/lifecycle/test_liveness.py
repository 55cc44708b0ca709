"""Everything comes to an end: from whatever state commands leave that were killed at any of their commits.

Hypothesis plays people, services, beat, workers and two providers; time is virtual. Each of them may die right after
any commit of what he does. Then all are well, time passes, and every purchase is terminal or held, every order is over
and every pool has what it may have.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

import pytest
from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import select

from schemas.requests import BuyNumber, RequestError
from schemas.settling import Verdict
from schemas.status import DEAD, SETTLED, OrderStatus, Status
from schemas.tables.pools import Slot
from schemas.tables.purchases import ORDER, UNFINISHED
from tasks import orders
from tasks.chunks import chunks
from tasks.ledger import waiting
from tasks.ledger.orders import cancel
from tasks.ledger.queue import pausing
from tasks.ledger.resolve import Resolution
from tasks.ledger.rows import Row
from tasks.operator import resolve, retry_order
from tasks.pools import stock
from tasks.replenish import replenish
from tests.tasks.killing import killed_at, make_deadly
from tests.tasks.playing import play
from tests.tasks.pools.supplying import Shop, supplied
from tests.tasks.scripted_provider import DENIED, NOT_SENT, REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import JUDGED, clear, number
from workers.database.connections import SqlDatabase

EXAMPLES = int(os.environ.get("LIVENESS_EXAMPLES", "0"))
"""Games on each kind of database; without it as many as take half a minute."""

ALIASES = ("first", "second")
ROUNDS, ROUND = 350, 1200.0
"""Rounds of so many seconds until the end: limits of a day move on meanwhile, and loading is given up."""

ACTS: dict[str, Callable[[Shop], Any]] = {
    "sells": lambda shop: shop.charge,
    "sells, unheard": lambda shop: shop.charge_unseen,
    "refuses": lambda _: REFUSED,
    "throttles": lambda _: THROTTLED,
    "denies": lambda _: DENIED,
    "is not reached": lambda _: NOT_SENT,
    "fails": lambda _: UNKNOWN,
}

picks = st.integers(0, 50)
aliases = st.sampled_from(ALIASES)
commits = st.sampled_from([None, None, 1, 1, 2, 3, 4])
numbers = st.lists(st.integers(0, 7), min_size=1, max_size=6)


class Game(RuleBasedStateMachine):
    """The rules are what may happen, each killed at one of its commits, or not."""

    database: ClassVar[SqlDatabase]

    @initialize(lookup=st.sampled_from(["by_number", "none"]), daily_limit=st.sampled_from([0, 3]))
    def begin(self, lookup: str, daily_limit: int) -> None:
        clear(self.database)
        self.world = supplied(self.database, low=2, target=3, max_per_run=2, daily_limit=daily_limit)
        self.deadly = make_deadly(self.world)
        for alias in ALIASES:
            self.world.shop(alias).lookup = lookup

    @rule(wanted=numbers, alias=aliases, most=st.sampled_from([None, None, 1, 2]), commit=commits)
    def a_file_is_submitted(self, wanted: list[int], alias: str, most: int | None, commit: int | None) -> None:
        def submit() -> None:
            order_id = orders.begin(self.world.runtime, max_purchases=most)["id"]
            requests = [BuyNumber(number=number(index), provider=alias) for index in wanted]
            for lines in chunks(enumerate(requests, 1), orders.CHUNK):
                orders.load(self.world.runtime, order_id, lines)
            orders.finish(self.world.runtime, order_id)

        self.does(submit, commit)

    @rule(key=st.sampled_from("ab"), alias=aliases, commit=commits)
    def a_message_orders(self, key: str, alias: str, commit: int | None) -> None:
        """Delivered again where it came before."""
        first = 3 * "ab".index(key)
        requests = [{"number": number(index), "provider": alias} for index in range(first, first + 5)]
        self.does(lambda: orders.submit_order(self.world.runtime, {"requests": requests}, key), commit)

    @rule(index=st.integers(0, 7), alias=aliases, commit=commits)
    def one_is_bought(self, index: int, alias: str, commit: int | None) -> None:
        self.does(lambda: self.world.accept(number(index), provider=alias), commit)

    @rule(alias=aliases, wanted=numbers, commit=commits)
    def somebody_changes_his_mind(self, alias: str, wanted: list[int], commit: int | None) -> None:
        """An order that is open is cancelled before much of it is bought."""
        self.a_file_is_submitted(wanted=wanted, alias=alias, most=None, commit=None)
        last = self.orders()[-1]["id"]
        self.does(lambda: orders.cancel(self.world.runtime, last), commit)

    @precondition(lambda self: self.orders())
    @rule(pick=picks, again=st.booleans(), commit=commits)
    def an_order_is_cancelled_or_retried(self, pick: int, again: bool, commit: int | None) -> None:
        found = self.orders()
        act = retry_order.retry if again else orders.cancel
        self.does(lambda: act(self.world.runtime, found[pick % len(found)]["id"]), commit)

    @precondition(lambda self: self.purchases())
    @rule(pick=picks, commit=commits)
    def a_purchase_is_cancelled(self, pick: int, commit: int | None) -> None:
        rows = self.purchases()

        def stop() -> None:
            with self.deadly.write() as conn:
                cancel.cancel(conn, rows[pick % len(rows)]["id"], self.world.clock())

        self.does(stop, commit)

    @precondition(lambda self: self.purchases(Status.HELD))
    @rule(again=st.booleans(), commit=commits)
    def a_person_settles(self, again: bool, commit: int | None) -> None:
        sold = self.charged()
        otherwise = Verdict.RETRY if again else Verdict.FAIL
        said = [
            Resolution(purchase_id=row["id"], verdict=Verdict.BOUGHT if _where(row) in sold else otherwise)
            for row in self.purchases(Status.HELD)
        ]
        self.does(lambda: resolve.resolve(self.world.runtime, said, "ann"), commit)

    @rule(commit=commits)
    def the_pool_is_topped_up(self, commit: int | None) -> None:
        self.does(self.world.run, commit)

    @rule(commit=commits, seconds=st.sampled_from([0.0, 1.0, 11.0, 700.0, 90_000.0]))
    def timers_run(self, commit: int | None, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.does(self.timers, commit)

    @precondition(lambda self: self.world.sent)
    @rule(alias=aliases, act=st.sampled_from(sorted(ACTS)), count=st.integers(1, 6), commit=commits)
    def workers_work(self, alias: str, act: str, count: int, commit: int | None) -> None:
        """The provider does the same with as many calls."""
        shop = self.world.shop(alias)
        shop.script.clear()
        shop.script.extend([ACTS[act](shop)] * count)
        messages, self.world.sent[:count] = self.world.sent[:count], []
        for message in messages:
            self.does(lambda message=message: self.world.deliver(message), commit)

    @rule(alias=aliases, resumes=st.booleans())
    def a_person_pauses_or_resumes(self, alias: str, resumes: bool) -> None:
        self.resume() if resumes else self.world.stop_provider(alias)

    @rule()
    def messages_are_lost(self) -> None:
        self.world.sent.clear()

    @rule()
    def nobody_dies_for_a_while(self) -> None:
        for _ in range(3):
            self.world.clock.advance(61.0)
            self.timers()
        self.nothing_is_stuck()

    def teardown(self) -> None:
        """All are well: then everything comes to its end."""
        if not hasattr(self, "world"):
            return
        for alias in ALIASES:
            self.world.shop(alias).script.clear()
        for _ in range(ROUNDS):
            self.resume()
            self.world.clock.advance(ROUND)
            self.world.work()
            self.timers()
            with suppress(replenish.NotNow):
                self.world.run()
            if self.is_over():
                break
        self.nothing_is_stuck()
        self.everything_has_its_end()
        self.what_was_paid_for_is_there_once()

    def is_over(self) -> bool:
        moving = [row for row in self.purchases() if row["status"] not in SETTLED]
        open_ones = self.world.rows(select(ORDER.c.id).where(UNFINISHED))
        return not moving and not open_ones and self.world.supply().available >= 2

    def everything_has_its_end(self) -> None:
        assert [row for row in self.purchases() if row["status"] not in SETTLED] == []
        assert {row["status"] for row in self.orders()} <= {OrderStatus.COMPLETED, OrderStatus.ABANDONED}
        held = {row["id"] for row in self.purchases(Status.HELD)}
        assert {place["purchase_id"] for place in self.world.places(Slot.ORDERED)} <= held
        assert self.world.level() >= 2

    def what_was_paid_for_is_there_once(self) -> None:
        charged = Counter(self.charged())
        assert max(charged.values(), default=0) <= 1
        status = {_where(row): row["status"] for row in self.purchases() if row["status"] not in DEAD}
        assert {status.get(sold) for sold in charged} <= {Status.PURCHASED, Status.HELD}
        assert {one for one in status if status[one] == Status.PURCHASED} <= set(charged)

    def nothing_is_stuck(self) -> None:
        with self.world.runtime.database.read() as conn:
            assert waiting.stuck(conn, self.world.clock()) == []

    def does(self, work: Callable[[], Any], commit: int | None) -> None:
        with suppress(RequestError, orders.OrderError, replenish.NotNow):
            killed_at(self.deadly, commit, work)

    def timers(self) -> None:
        self.world.timers()
        orders.complete_finished(self.world.runtime)
        stock.settle_due(self.world.runtime)

    def resume(self) -> None:
        with self.world.write() as conn:
            for alias in ALIASES:
                pausing.resume(conn, alias, self.world.clock(), by_machine=False)

    def purchases(self, *status: Status) -> list[Row]:
        rows = self.world.rows(JUDGED)
        return [row for row in rows if row["status"] in (status or list(Status))]

    def orders(self) -> list[Row]:
        return self.world.rows(select(ORDER).order_by(ORDER.c.id))

    def charged(self) -> list[tuple[str, str]]:
        """Where each number was sold: two accounts may have the same."""
        return [(alias, sold) for alias in ALIASES for sold, _ in self.world.shop(alias).charged]


def _where(row: Row) -> tuple[str, str]:
    return row["provider"], row["number"]


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (orders, retry_order, resolve):
        monkeypatch.setattr(module, "CHUNK", 2)


def test_everything_comes_to_an_end(database: SqlDatabase) -> None:
    play(
        Game,
        database,
        sqlite=EXAMPLES or 20,
        others=EXAMPLES or 5,
        stateful_step_count=25,
        phases=[Phase.reuse, Phase.generate],
        report_multiple_bugs=False,
    )
