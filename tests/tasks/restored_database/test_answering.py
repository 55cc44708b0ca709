"""A database that went back in time: who answers for it may die half way, and answers for each lost call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tasks import restored_database
from tasks.audit import compare
from tasks.ledger import history
from tasks.policies.pause import Cause
from tasks.restored_database import GoingOn
from tasks.runtime import Binding, Runtime
from tasks.watermark import Mark
from tests.tasks.killing import DeadlyDatabase
from tests.tasks.past import Past
from tests.tasks.support import number
from workers.database.connections import SqlDatabase

FOUR = [number(index) for index in range(4)]


class Watching(DeadlyDatabase):
    """Looks after each commit, where whoever works may die, which of *marks* are lost."""

    def __init__(self, database: SqlDatabase, marks: Sequence[Mark]) -> None:
        super().__init__(database)
        self._marks = marks
        self.lost: list[list[Mark]] = []

    def _count(self) -> None:
        with self.read() as conn:
            self.lost.append(history.lost(conn, self._marks))


def take_in(runtime: Runtime, binding: Binding) -> GoingOn | None:
    """What `dialstock audit acme --adopt` does."""
    report = compare.audit(runtime, binding)
    return restored_database.take_in(runtime, binding, report, compare.adopt(runtime, binding, report, "ann"), "ann")


def believe(runtime: Runtime, binding: Binding) -> object:
    """What `dialstock provider resume acme --lost-history` does."""
    return restored_database.believe(runtime, binding, "ann", "seen")


@pytest.mark.parametrize("answer", [take_in, believe])
def test_who_dies_anywhere_leaves_the_newest_calls_lost(
    past: Past, answer: Callable[[Runtime, Binding], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are what is looked at, whatever becomes of the pause meanwhile."""
    monkeypatch.setattr(restored_database, "CHUNK", 1)
    past.lose(*FOUR)
    past.compare()
    past.world.clock.advance(3600)
    marks = past.world.runtime.watermark.newest(past.world.binding.account)
    watching = Watching(past.database, marks)
    answer(replace(past.world.runtime, database=watching), past.world.binding)
    left = list(dict.fromkeys(map(len, watching.lost)))
    assert left == [4, 3, 2, 1, 0]
    assert all(lost == marks[: len(lost)] for lost in watching.lost)


def test_a_persons_pause_does_not_take_the_place_of_a_database_behind(past: Past) -> None:
    past.lose(*FOUR)
    past.compare()
    before = past.state()
    assert not past.world.pause(Cause.PERSON, cooldown=None)
    assert past.state() == before
    past.buy_what_is_left()
    assert past.charged() == FOUR
