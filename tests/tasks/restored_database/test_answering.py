"""A database that went back in time: who answers for it may die half way, and answers for each lost call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from schemas.outcomes import Outcome
from schemas.status import Status
from tasks.audit import compare
from tasks.ledger import history
from tasks.ledger.queue import pausing
from tasks.policies.pause import Cause
from tasks.restored_database import go_on
from tasks.restored_database.go_on import GoingOn
from tasks.runtime import Binding, Runtime
from tasks.watermark import Mark
from tests.servers import RedisServer
from tests.tasks.killing import DeadlyDatabase
from tests.tasks.past import Past, started
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import ACCOUNT, NUMBER, number
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
            self.lost.append(history.lost(conn, self._marks, account=ACCOUNT))


def take_in(runtime: Runtime, binding: Binding) -> GoingOn | None:
    """What `dialstock audit acme --adopt` does."""
    report = compare.audit(runtime, binding)
    return go_on.take_in(runtime, binding, report, compare.adopt(runtime, binding, report, "ann"), "ann")


def believe(runtime: Runtime, binding: Binding) -> object:
    """What `dialstock provider resume acme --lost-history` does."""
    return go_on.believe(runtime, binding, "ann", "seen")


@pytest.mark.parametrize("answer", [take_in, believe])
def test_who_dies_anywhere_leaves_the_newest_calls_lost(
    past: Past, answer: Callable[[Runtime, Binding], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest are what is looked at, whatever becomes of the pause meanwhile."""
    monkeypatch.setattr(go_on, "CHUNK", 1)
    past.lose(*FOUR)
    past.compare()
    past.world.clock.advance(3600)
    marks = past.world.runtime.watermark.newest(past.world.binding.account)
    watching = Watching(past.database, marks)
    answer(replace(past.world.runtime, database=watching), past.world.binding)
    left = list(dict.fromkeys(map(len, watching.lost)))
    assert left[-4:] == [3, 2, 1, 0]
    assert all(lost == marks[: len(lost)] for lost in watching.lost)


def restored_meanwhile(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the copy come again when an audit has taken in what is ours, and before it has answered for it."""
    keep = go_on.keep_numbers

    def restored(*given: Any, **how: Any) -> None:
        keep(*given, **how)
        past.go_back()

    monkeypatch.setattr(go_on, "keep_numbers", restored)


@pytest.mark.parametrize("answer", [take_in, believe])
def test_a_copy_that_is_restored_once_more_meanwhile_is_not_answered_for(
    past: Past, answer: Callable[[Runtime, Binding], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken in of the lost calls, or held for them, went back with it."""
    past.lose(*FOUR)
    past.compare()
    past.world.clock.advance(3600)
    restored_meanwhile(past, monkeypatch)
    assert answer(past.world.runtime, past.world.binding) in (GoingOn(), ([], []))
    past.buy_what_is_left()
    assert past.charged() == FOUR
    assert past.causes() == [Cause.BEHIND] * 2


@pytest.mark.parametrize("marks", ["known", "lost"])
def test_nor_is_one_that_was_made_after_the_pause(past: Past, marks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pause is the same: only what is missing in it tells."""
    past.lose(*FOUR)
    past.compare()
    past.keep()
    past.world.clock.advance(3600)
    if marks == "lost":
        past.redis.flushdb()
    restored_meanwhile(past, monkeypatch)
    assert take_in(past.world.runtime, past.world.binding) == GoingOn()
    past.buy_what_is_left()
    assert past.charged() == FOUR
    assert past.causes() == [Cause.BEHIND] * 2


def test_what_is_held_by_a_persons_word_is_held_in_the_copy_that_is_answered_for(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.lose(*FOUR)
    past.compare()
    past.keep()
    restored_meanwhile(past, monkeypatch)
    _, held = go_on.believe(past.world.runtime, past.world.binding, "ann", "seen")
    assert [past.world.row(row["id"])["status"] for row in held] == [Status.HELD] * 4
    past.buy_what_is_left()
    assert past.charged() == FOUR


def test_a_persons_pause_does_not_take_the_place_of_a_database_behind(past: Past) -> None:
    past.lose(*FOUR)
    past.compare()
    before = past.state()
    assert not past.world.pause(Cause.PERSON, cooldown=None)
    beside = {"person_paused_at": past.world.clock.moment, "person_reason": "for a test"}
    assert past.state() == {**before, **beside, "updated_at": past.world.clock.moment}
    past.buy_what_is_left()
    assert past.charged() == FOUR


def test_a_persons_pause_beneath_that_of_a_database_behind_stays_when_that_ends(past: Past) -> None:
    past.world.pause(Cause.PERSON, cooldown=None)
    since = past.state()["paused_at"]
    past.lose_while_paused(*FOUR)
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    past.world.clock.advance(3600)
    assert take_in(past.world.runtime, past.world.binding) == GoingOn(settled=True, aliases=("twin",))
    state = past.state()
    assert (state["cause"], state["paused_at"], state["reason"]) == (Cause.PERSON, since, "for a test")
    assert state["person_paused_at"] is state["person_reason"] is None
    assert [(one["provider"], one["cause"]) for one in past.told("paused")][-1] == ("acme", "person")
    assert [one["provider"] for one in past.told("resumed")] == ["twin"]


def test_a_person_who_resumes_lifts_only_what_a_person_paused(past: Past) -> None:
    """Redis has lost the marks by then: nothing else knows of the calls."""
    past.world.pause(Cause.PERSON, cooldown=None)
    past.lose_while_paused(*FOUR)
    past.compare()
    past.redis.flushall()
    with past.world.write() as conn:
        assert not pausing.resume(conn, "acme", past.world.clock(), by_machine=False)
    assert (past.state()["cause"], past.state()["person_paused_at"]) == (Cause.BEHIND, None)
    for one in FOUR:
        past.world.queued(one)
    past.buy_what_is_left()
    assert past.charged() == FOUR
    past.world.clock.advance(3600)
    assert take_in(past.world.runtime, past.world.binding) == GoingOn(settled=True, aliases=("acme", "twin"))


def test_a_number_that_is_looked_at_is_held_too(past: Past) -> None:
    """Its looks are of a call before the lost one, and over before what that one bought shows."""
    past.world.provider.script += [UNKNOWN, lambda wanted: lost_answer(past, wanted)]
    row = past.world.accept()
    past.world.work()
    while past.world.row(row["id"])["looks"] < 2:
        past.world.clock.advance(5)
        past.world.tick()
    past.keep()
    while not past.charged():
        past.world.clock.advance(5)
        past.world.tick()
    past.go_back()
    past.compare()
    assert past.world.row(row["id"])["status"] == Status.UNKNOWN
    believe(past.world.runtime, past.world.binding)
    past.buy_what_is_left()
    assert (past.charged(), past.world.row(row["id"])["status"]) == ([NUMBER], Status.HELD)


def lost_answer(past: Past, wanted: str) -> Outcome:
    past.world.provider.charge(wanted, shows_after=100.0)
    return UNKNOWN


@pytest.mark.parametrize("answer", [take_in, believe])
def test_a_limit_for_a_day_counts_what_was_lost(
    database_url: str, redis_server: RedisServer, answer: Callable[[Runtime, Binding], object]
) -> None:
    """Some waits in the copy, some was accepted later."""
    with started(database_url, redis_server, daily_limit=5) as past:
        for one in FOUR[:2]:
            past.world.queued(one)
        past.keep()
        for one in FOUR[2:]:
            past.world.queued(one)
        past.world.tick()
        past.go_back()
        past.compare()
        past.world.clock.advance(3600)
        answer(past.world.runtime, past.world.binding)
        for index in range(10, 20):
            past.world.queued(number(index))
        past.buy_what_is_left()
        assert len(past.charged()) == 5
