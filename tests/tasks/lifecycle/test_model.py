"""Ledger and looks against a provider that may do anything, as long as a purchase shows by the last look.

Hypothesis plays workers, timers, broker, people and the provider; time is virtual. A frozen worker is a real thread
that is stopped inside its call and goes on whenever the game lets it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.status import SETTLED, Status
from schemas.tables.purchases import EVENT
from tasks.ledger.orders import cancel
from tasks.ledger.queue import pausing
from tasks.ledger.rows import Row
from tasks.lifecycle import purchase
from tasks.policies.pause import Cause
from tasks.policies.retry import Decision
from tasks.runtime import Message
from tests.tasks.clock import START, Clock
from tests.tasks.playing import play
from tests.tasks.scripted_provider import DENIED, NOT_SENT, REFUSED, THROTTLED, UNCLEAR, UNKNOWN, ScriptedProvider
from tests.tasks.support import JUDGED, Killed, World, clear, die, make_world, number
from workers.database.connections import SqlDatabase

LAST_LOOK = 150.0
"""Seconds after a call begins by which its purchase shows: a little before the last look."""

POINTS = ["taken", "reserved", "claimed", "sending", "answered", "recorded"]
TERMINAL = {Status.PURCHASED, Status.FAILED, Status.CANCELLED, Status.RELEASED}
MAY_BE_CHARGED = {Status.PURCHASING, Status.UNKNOWN, Status.PROCESSING, Status.PURCHASED, Status.HELD}

numbers = st.integers(0, 3)
picks = st.integers(0, 50)
delays = st.sampled_from([0.0, 10.0, 40.0, LAST_LOOK])


class PassedTime:
    """The time that passed indeed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @property
    def moment(self) -> datetime:
        return START + timedelta(seconds=self._clock.passed)


class Market(ScriptedProvider):
    """Sells, now or while nobody listens any more, and shows a sale when it likes."""

    def __init__(self, world: World) -> None:
        # The provider goes by a clock of its own, which nobody sets.
        super().__init__(PassedTime(world.clock), world.provider.lookup)  # type: ignore[arg-type]
        self.pending: list[tuple[datetime, str]] = []
        self.usable: dict[str, datetime] = {}

    def later(self, wanted: str, delay: float) -> Outcome:
        """The call times out, and is executed afterwards all the same."""
        self.pending.append((self.clock.moment + timedelta(seconds=delay), wanted))
        return UNKNOWN

    def unseen(self, wanted: str, delay: float) -> Outcome:
        self.charge(wanted, shows_after=delay)
        return UNKNOWN

    def sell(self, wanted: str, delay: float) -> Outcome:
        return self.charge(wanted, shows_after=delay)

    def process(self, wanted: str, delay: float) -> Outcome:
        sold = self.charge(wanted)
        self.usable[wanted] = self.clock.moment + timedelta(seconds=delay)
        return Outcome(kind=OutcomeKind.PROCESSING, provider_number_id=sold.provider_number_id)

    def catch_up(self) -> None:
        due = [item for item in self.pending if item[0] <= self.clock.moment]
        self.pending = [item for item in self.pending if item not in due]
        for _, wanted in due:
            self.charge(wanted)

    def _shown(self, wanted: str) -> Look:
        self.catch_up()
        found = super()._shown(wanted)
        waits = found.kind is LookKind.OWNED and self.usable.get(wanted, self.clock.moment) > self.clock.moment
        return Look(kind=LookKind.PROCESSING, provider_number_id=found.provider_number_id) if waits else found


ACTS: dict[str, Callable[[Market, str, float], Outcome]] = {
    "sells": Market.sell,
    "sells, unheard": Market.unseen,
    "sells later": Market.later,
    "takes the order": Market.process,
    "refuses": lambda *_: REFUSED,
    "throttles": lambda *_: THROTTLED,
    "denies": lambda *_: DENIED,
    "is not reached": lambda *_: NOT_SENT,
    "fails": lambda *_: UNKNOWN,
}
acts = st.sampled_from(sorted(ACTS))


class Frozen:
    """A worker in a thread that stops where it is told to, and goes on when `thaw` is called."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._parked = threading.Event()
        self._go_on = threading.Event()
        self.errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(work,))

    def start(self) -> None:
        """Returns when the worker is stopped, or done because it had nothing to do."""
        self._thread.start()
        self._parked.wait()

    def park(self) -> None:
        self._parked.set()
        self._go_on.wait()

    def thaw(self) -> None:
        self._go_on.set()
        self._thread.join()
        assert self.errors == []

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except BaseException as exc:
            self.errors.append(exc)
        finally:
            self._parked.set()


class Game(RuleBasedStateMachine):
    """The rules are what may happen; the invariants are what is promised."""

    database: ClassVar[SqlDatabase]

    @initialize(lookup=st.sampled_from(["by_number", "by_number", "by_list", "none"]))
    def begin(self, lookup: str) -> None:
        clear(self.database)
        self.world = make_world(self.database, lookup=lookup)
        self.market = Market(self.world)
        for binding in self.world.runtime.providers.values():
            object.__setattr__(binding, "adapter", self.market)
        self.frozen: list[Frozen] = []

    @rule(which=numbers, alias=st.sampled_from(["acme", "twin"]))
    def accept(self, which: int, alias: str) -> None:
        self.world.accept(number(which), provider=alias)

    @rule(which=numbers)
    def accept_and_die(self, which: int) -> None:
        self.world.points["accepted"] = die
        self.kill(lambda: self.world.accept(number(which)))

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 9.0, 35.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)
        self.world.timers()

    @precondition(lambda self: self.waiting())
    @rule()
    def something_is_due(self) -> None:
        self.world.clock.moment = max(self.world.clock.moment, min(self.waiting()))
        self.world.timers()

    @rule(seconds=st.sampled_from([600.0, 600.0, 15.0, -600.0]))
    def clock_is_set(self, seconds: float) -> None:
        self.world.clock.set(seconds)
        self.world.timers()

    @rule()
    def process_starts_anew(self) -> None:
        self.world.clock.start_anew()

    @precondition(lambda self: self.world.sent)
    @rule(pick=picks, act=acts, delay=delays, again=st.booleans())
    def worker(self, pick: int, act: str, delay: float, again: bool) -> None:
        self.play(act, delay)
        self.world.deliver(self.take(pick, keep=again))

    @precondition(lambda self: self.world.sent)
    @rule(pick=picks, act=acts, delay=delays, point=st.sampled_from(POINTS), again=st.booleans())
    def worker_dies(self, pick: int, act: str, delay: float, point: str, again: bool) -> None:
        self.play(act, delay)
        self.world.points[point] = die
        message = self.take(pick, keep=again)
        self.kill(lambda: self.world.deliver(message))

    @precondition(lambda self: self.world.sent and len(self.frozen) < 4)
    @rule(pick=picks, act=acts, delay=delays, point=st.sampled_from(["taken", "reserved", "claimed", "answered"]))
    def worker_freezes(self, pick: int, act: str, delay: float, point: str) -> None:
        self.play(act, delay)
        message = self.take(pick)
        frozen = Frozen(lambda: self.world.deliver(message))
        self.world.points[point] = frozen.park
        self.frozen.append(frozen)
        frozen.start()
        self.world.points.clear()

    @precondition(lambda self: self.frozen)
    @rule(pick=picks, act=acts, delay=delays)
    def worker_thaws(self, pick: int, act: str, delay: float) -> None:
        self.play(act, delay)
        self.frozen.pop(pick % len(self.frozen)).thaw()

    @precondition(lambda self: self.world.sent)
    @rule(pick=picks, whole=st.booleans())
    def messages_are_lost(self, pick: int, whole: bool) -> None:
        if whole:
            self.world.sent.clear()
        else:
            self.take(pick)

    @rule(
        answer=st.sampled_from([UNCLEAR, UNCLEAR, Look(kind=LookKind.UNCLEAR, account=True)]), count=st.integers(1, 9)
    )
    def looks_fail(self, answer: Look, count: int) -> None:
        self.market.looks.extend([answer] * count)

    @precondition(lambda self: self.purchases())
    @rule(pick=picks, does=st.sampled_from(["cancels", "pauses", "resumes", "resumes"]))
    def person(self, pick: int, does: str) -> None:
        if does == "pauses":
            self.world.pause(Cause.PERSON, cooldown=None)
        elif does == "resumes":
            self.resume()
        else:
            rows = self.purchases()
            with self.world.write() as conn:
                cancel.cancel(conn, rows[pick % len(rows)]["id"], self.world.clock())

    @invariant()
    def nothing_is_bought_twice(self) -> None:
        self.market.catch_up()
        assert max(Counter(sold for sold, _ in self.market.charged).values(), default=0) <= 1

    @invariant()
    def nothing_paid_for_is_lost(self) -> None:
        alive = {row["number"]: row for row in self.purchases() if row["status"] in MAY_BE_CHARGED}
        for sold, _ in self.market.charged:
            assert sold in alive, sold
            row = alive[sold]
            assert row["due_at"] is not None or row["status"] in (Status.PURCHASED, Status.HELD)

    @invariant()
    def what_is_purchased_was_charged(self) -> None:
        bought = {row["number"] for row in self.purchases() if row["status"] == Status.PURCHASED}
        assert bought <= {sold for sold, _ in self.market.charged}

    @invariant()
    def every_end_is_told_once_and_in_order(self) -> None:
        kept = EVENT.c.type.like("dialstock.purchase.%")
        told = self.world.rows(select(EVENT.c.data, EVENT.c.sequence).where(kept).order_by(EVENT.c.seq))
        for row in self.purchases():
            mine = [event for event in told if event["data"]["purchase_id"] == row["id"]]
            ends = [event["data"]["status"] for event in mine if event["data"]["status"] in TERMINAL]
            assert ends == ([row["status"]] if row["status"] in TERMINAL else [])
            assert (mine[-1]["data"]["status"] if mine else None) == (
                row["status"] if row["status"] in SETTLED else None
            )
            sequences = [event["sequence"] for event in mine]
            assert sequences == sorted(set(sequences))

    def teardown(self) -> None:
        """Everybody thaws, people resume, time passes: then everything is settled."""
        if not hasattr(self, "world"):
            return
        try:
            while self.frozen:
                self.frozen.pop().thaw()
            self.resume()
            self.run_to_the_end()
        finally:
            while self.frozen:
                self.frozen.pop()._go_on.set()
        self.nothing_is_bought_twice()
        self.nothing_paid_for_is_lost()
        self.what_is_purchased_was_charged()
        self.every_end_is_told_once_and_in_order()

    def run_to_the_end(self) -> None:
        for _ in range(300):
            if not self.waiting():
                return
            # a pause may keep what is due waiting for its probe
            self.world.clock.moment = max(self.world.clock.moment + timedelta(seconds=60), min(self.waiting()))
            self.world.timers()
            self.world.work()
        raise AssertionError(f"never settled: {[row for row in self.purchases() if row['status'] not in SETTLED]}")

    def resume(self) -> None:
        with self.world.write() as conn:
            for alias in ("acme", "twin"):
                pausing.resume(conn, alias, self.world.clock(), by_machine=False)

    def waiting(self) -> list[datetime]:
        """When each purchase that is not settled is due."""
        return [row["due_at"] for row in self.purchases() if row["status"] not in SETTLED]

    def purchases(self) -> list[Row]:
        return self.world.rows(JUDGED)

    def play(self, act: str, delay: float) -> None:
        """What the provider does with the next call; afterwards it just sells."""
        self.market.script.clear()
        self.market.script.append(lambda wanted: ACTS[act](self.market, wanted, delay))

    def take(self, pick: int, *, keep: bool = False) -> Message:
        place = pick % len(self.world.sent)
        return self.world.sent[place] if keep else self.world.sent.pop(place)

    def kill(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Killed:
            pass
        finally:
            self.world.points.clear()


def test_never_twice_and_never_lost(database: SqlDatabase) -> None:
    play(Game, database, sqlite=40, others=10, stateful_step_count=40)


def test_the_model_notices_a_machine_that_posts_again_before_it_asks(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The game would find the mistake that matters most."""

    class Careless(Game):
        database = request.getfixturevalue("_sqlite_of_the_session")

    careful = purchase.after_call

    def careless(outcome: Outcome, *rest: Any) -> Decision:
        if outcome.kind is OutcomeKind.UNKNOWN:
            return Decision(status=Status.QUEUED)
        return careful(outcome, *rest)

    monkeypatch.setattr(purchase, "after_call", careless)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Careless,
            settings=settings(
                max_examples=200,
                stateful_step_count=40,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
            ),
        )
