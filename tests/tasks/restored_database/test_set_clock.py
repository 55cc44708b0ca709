"""A database that went back in time, and whose clock is set: what was bought shows no sooner for that."""

from __future__ import annotations

from datetime import datetime, timedelta

from tasks.audit import compare
from tasks.policies.backoff import call_length
from tasks.policies.pause import Cause
from tasks.restored_database import go_on
from tasks.restored_database.go_on import GoingOn
from tests.tasks.past import TWO, Past


def audit(past: Past) -> GoingOn | None:
    """What `dialstock audit acme --adopt` does."""
    runtime, binding = past.world.runtime, past.world.binding
    report = compare.audit(runtime, binding)
    return go_on.take_in(runtime, binding, report, compare.adopt(runtime, binding, report, "ann"), "ann")


def audit_at(past: Past, began: datetime) -> datetime:
    """When all is shown that was under way as the wait *began*."""
    policy = past.world.binding.policy
    return began + timedelta(seconds=call_length(policy) + policy.reconcile_after[-1])


def goes_on_at(past: Past, moment: datetime) -> None:
    """Not before *moment*, and then."""
    past.world.clock.moment = moment - timedelta(milliseconds=1)
    assert audit(past) == GoingOn(audit_at=moment)
    past.world.clock.moment = moment
    going = audit(past)
    assert going is not None
    assert going.settled
    assert past.causes() == [None, None]


def test_a_clock_set_ahead_spares_no_wait(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    past.world.clock.set(3600)
    goes_on_at(past, audit_at(past, past.world.clock()))


def test_nor_where_the_audit_finds_it_out(past: Past) -> None:
    past.lose(*TWO)
    past.world.clock.set(3600)
    goes_on_at(past, audit_at(past, past.world.clock()))


def test_nor_for_a_command_that_is_started_after_it(past: Past) -> None:
    """It cannot know; workers that saw it do, and say when the pause began by the clock as it is."""
    past.lose(*TWO)
    past.compare()
    past.world.clock.set(3600)
    past.world.clock.advance(1)
    past.compare()
    began = past.world.clock()
    past.world.clock.advance(1)
    past.compare()
    assert {past.state(alias)["paused_at"] for alias in ("acme", "twin")} == {began}
    past.world.clock.start_anew()
    goes_on_at(past, audit_at(past, began))


def test_a_worker_that_is_started_anew_begins_no_pause_anew(past: Past) -> None:
    past.lose(*TWO)
    past.compare()
    began = past.state()["paused_at"]
    past.world.clock.advance(60)
    past.world.clock.start_anew()
    past.compare()
    assert past.state()["paused_at"] == began
    assert past.causes() == [Cause.BEHIND] * 2
