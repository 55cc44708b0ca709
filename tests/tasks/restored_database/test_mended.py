"""A database that went back in time goes on: after an audit that took in what is ours, or at a person's word."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from schemas.outcomes import Outcome
from schemas.status import Status
from tasks.audit import compare
from tasks.audit.compare import Settlement
from tasks.ledger import history
from tasks.policies.pause import Cause
from tasks.restored_database import go_on
from tasks.restored_database.go_on import GoingOn
from tests.tasks.past import TWO, Past
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import number

CALL = 32.0
"""Seconds from an intent to the end of its call."""


def audit(past: Past) -> GoingOn | None:
    """What `dialstock audit acme --adopt` does."""
    runtime, binding = past.world.runtime, past.world.binding
    report = compare.audit(runtime, binding)
    done = compare.adopt(runtime, binding, report, "ann")
    return go_on.take_in(runtime, binding, report, done, "ann")


def test_an_audit_that_took_in_what_is_ours_lets_it_go_on(past: Past) -> None:
    """Lost are a purchase whose row waits in the copy, one that was accepted later, and a call that bought nothing."""
    past.world.queued(number(1))
    past.keep()
    past.world.queued(number(2))
    past.world.queued(number(3))
    past.world.provider.script += [past.world.provider.charge, past.world.provider.charge, UNKNOWN]
    past.world.tick()
    past.go_back()
    past.compare()
    early = audit(past)
    policy = past.world.binding.policy
    assert early == GoingOn(audit_at=past.state()["paused_at"] + timedelta(seconds=CALL + policy.reconcile_after[-1]))
    assert past.causes() == [Cause.BEHIND] * 2
    past.world.clock.moment = early.audit_at
    bought, [not_bought] = past.charged(), {number(n) for n in (1, 2, 3)} - set(past.charged())
    assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"), unseen=(not_bought,))
    assert audit(past) is None
    past.compare()
    assert past.causes() == [None, None]
    told = past.told("resumed")
    assert [(one["provider"], one["cause"], one["by"]) for one in told] == [
        ("acme", "database_behind", "ann"),
        ("twin", "database_behind", "ann"),
    ]
    for one in bought:
        assert past.world.accept(one)["status"] == Status.PURCHASED
    past.world.accept(number(8))
    past.buy_what_is_left()
    assert Counter(past.charged())[number(8)] == 1
    assert max(Counter(past.charged()).values()) == 1


def test_an_audit_that_left_something_does_not_let_it_go_on(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    past.world.clock.advance(3600)
    runtime, binding = past.world.runtime, past.world.binding
    report = compare.audit(runtime, binding)
    left = Settlement(left=report.findings)
    assert go_on.take_in(runtime, binding, report, left, "ann") == GoingOn()
    assert past.causes() == [Cause.BEHIND] * 2


def test_a_pause_whose_marks_redis_lost_still_needs_the_audit(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    past.redis.flushall()
    past.compare()
    assert past.causes() == [Cause.BEHIND] * 2
    assert audit(past) is not None
    past.world.clock.advance(3600)
    assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"))
    past.buy_what_is_left()
    assert past.charged() == TWO


def test_a_persons_word_holds_what_may_have_been_bought(past: Past) -> None:
    """One waits in the copy, the other was accepted later; both are held, and neither is bought again."""
    waits = past.world.queued(number(1))
    past.keep()
    later = past.world.queued(number(2))
    past.world.tick()
    past.go_back()
    past.compare()
    aliases, held = go_on.believe(past.world.runtime, past.world.binding, "ann", "seen at the dashboard")
    assert (aliases, {row["id"] for row in held}) == (["acme", "twin"], {waits["id"], later["id"]})
    past.compare()
    assert past.causes() == [None, None]
    past.buy_what_is_left()
    assert Counter(past.charged()) == {number(1): 1, number(2): 1}
    for row in held:
        after = past.world.row(row["id"])
        assert (after["status"], after["doubt"], after["error_code"]) == (Status.HELD, True, "history_lost")
        assert "ann let acme go on: seen at the dashboard" in after["error"]
        assert past.world.events(of=row["id"])[-1] == "held"
    assert past.world.accept(number(2))["id"] == later["id"]
    assert go_on.believe(past.world.runtime, past.world.binding, "ann", "again") == ([], [])


@pytest.mark.parametrize("by_audit", [True, False])
def test_one_that_goes_back_again_to_before_the_answer_has_lost_it_too(past: Past, by_audit: bool) -> None:
    past.world.queued(number(1))
    past.keep()
    past.world.queued(number(2))
    past.world.tick()
    for _ in range(3):
        past.go_back()
        past.compare()
        assert past.causes() == [Cause.BEHIND] * 2
        past.buy_what_is_left()
        past.world.clock.advance(3600)
        if by_audit:
            assert audit(past) == GoingOn(settled=True, aliases=("acme", "twin"))
        else:
            assert len(go_on.believe(past.world.runtime, past.world.binding, "ann", "seen")[1]) == 2
        past.compare()
        assert past.causes() == [None, None]
        past.buy_what_is_left()
    assert past.charged() == TWO


def test_what_was_answered_for_is_written_down_once(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    marks = past.world.runtime.watermark.newest(past.world.binding.account)
    with past.database.write() as conn:
        assert history.lost(conn, marks, account="acme-account") == marks
        history.answer(conn, marks, account="other-account", now=past.world.clock())
        assert history.lost(conn, marks, account="acme-account") == marks
        history.answer(conn, marks[:1], account="acme-account", now=past.world.clock())
        assert history.lost(conn, marks, account="acme-account") == marks[1:]
        history.answer(conn, marks, account="acme-account", now=past.world.clock())
        assert history.lost(conn, marks, account="acme-account") == []
        other = replace(marks[0], started_at=marks[0].started_at + timedelta(seconds=1))
        assert history.lost(conn, [other], account="acme-account") == [other]


def test_a_late_answer_finds_the_purchase_that_was_held_for_it(past: Past) -> None:
    """The worker whose call was lost with its purchase hears that it was bought."""
    past.keep()
    row = past.world.queued(number(2))
    past.world.release()

    def lost_meanwhile(wanted: str) -> Outcome:
        past.go_back()
        past.compare()
        go_on.believe(past.world.runtime, past.world.binding, "ann", "seen")
        return past.world.provider.charge(wanted)

    past.world.provider.script.append(lost_meanwhile)
    past.world.work()
    assert past.world.row(row["id"])["status"] == Status.PURCHASED
    assert past.charged() == [number(2)]
