"""Takes and returns in any order, each delivered again at any time: the table holds what a simple model holds."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, update

from schemas.tables.pools import POOL_NUMBER, Slot
from tasks.ledger.rows import Row
from tests.tasks.pools.stocking import fill, give_back, numbers, take
from tests.tasks.support import clear, make_world
from workers.database.connections import SqlDatabase

SIZE = 5

picks = st.integers(0, 50)


class Takers(RuleBasedStateMachine):
    """`line` is what is available, in order; `held` is what is taken, and by which request."""

    database: ClassVar[SqlDatabase]

    @initialize()
    def begin(self) -> None:
        clear(self.database)
        self.world = make_world(self.database)
        fill(self.world, SIZE)
        self.all = [f"+1415{slot:07d}" for slot in range(1, SIZE + 1)]
        self.line = deque(self.all)
        self.held: dict[str, str] = {}
        self.gone: set[str] = set()
        self.takes: dict[str, tuple[int, Row]] = {}
        self.returns: dict[str, tuple[str, Row]] = {}

    @rule(count=st.integers(1, 3))
    def take_anew(self, count: int) -> None:
        name = f"t{len(self.takes)}"
        answer = take(self.world, name, count=count)
        if count > len(self.line):
            assert answer["error_code"] == ("not_enough" if self.line else "pool_empty")
        else:
            wanted = [self.line.popleft() for _ in range(count)]
            assert (numbers(answer), answer["repeat"]) == (wanted, False)
            self.held |= dict.fromkeys(wanted, name)
        self.takes[name] = count, answer

    @precondition(lambda self: self.takes)
    @rule(pick=picks)
    def take_again(self, pick: int) -> None:
        name = sorted(self.takes)[pick % len(self.takes)]
        count, first = self.takes[name]
        if not first["success"]:
            assert take(self.world, name, count=count) == {**first, "repeat": True}
            return
        answer = take(self.world, name, count=count)
        still = [number for number in numbers(first) if self.held.get(number) == name]
        assert numbers(answer) == still
        assert answer["error_code"] == (None if len(still) == count else "already_returned")

    @rule(pick=picks)
    def give_back_anew(self, pick: int) -> None:
        name, number = f"r{len(self.returns)}", self.all[pick % SIZE]
        self.world.clock.advance(1)
        answer = give_back(self.world, name, number)
        if number in self.held:
            assert (answer["success"], answer["repeat"]) == (True, False)
            del self.held[number]
            self.line.append(number)
        else:
            assert answer["error_code"] == ("gone" if number in self.gone else "not_taken")
        self.returns[name] = number, answer

    @precondition(lambda self: self.returns)
    @rule(pick=picks)
    def give_back_again(self, pick: int) -> None:
        name = sorted(self.returns)[pick % len(self.returns)]
        number, first = self.returns[name]
        assert give_back(self.world, name, number) == {**first, "repeat": True}

    @precondition(lambda self: self.held)
    @rule(pick=picks)
    def release_at_the_provider(self, pick: int) -> None:
        number = sorted(self.held)[pick % len(self.held)]
        with self.world.write() as conn:
            conn.execute(update(POOL_NUMBER).where(POOL_NUMBER.c.number == number).values(status=Slot.GONE))
        del self.held[number]
        self.gone.add(number)

    @invariant()
    def the_table_holds_the_same(self) -> None:
        rows = self.world.rows(select(POOL_NUMBER))
        assert {row["number"]: row["request_id"] for row in rows if row["status"] == Slot.TAKEN} == self.held
        assert {row["number"] for row in rows if row["status"] == Slot.AVAILABLE} == set(self.line)


def test_whatever_comes_in_whatever_order_a_number_has_one_taker(database: SqlDatabase) -> None:
    class OnThisDatabase(Takers):
        pass

    OnThisDatabase.database = database
    run_state_machine_as_test(
        OnThisDatabase,
        settings=settings(
            max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
