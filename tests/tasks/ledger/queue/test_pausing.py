"""A paused provider: nothing goes, one probe after the cool-down, and every change is told once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.outcomes import Outcome, OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import EVENT
from tasks.ledger.queue import pausing
from tasks.ledger.rows import Row
from tasks.policies.pause import Cause
from tests.tasks.scripted_provider import DENIED, NOT_SENT, REFUSED, UNKNOWN
from tests.tasks.support import World, number

Make = Callable[..., World]
HELD_BACK = Outcome(kind=OutcomeKind.NOT_SENT, error_code="too_late", retry_after=0.0)


def state(world: World) -> Row:
    with world.runtime.database.read() as conn:
        found = pausing.state_of(conn, "acme")
    assert found is not None
    return found


def resume(world: World, *, by_machine: bool = False) -> bool:
    with world.write() as conn:
        return pausing.resume(conn, "acme", world.clock(), by_machine=by_machine)


def test_a_pause_releases_nothing_and_takes_back_what_was_released(world: World) -> None:
    row = world.accept()
    assert world.pause()
    assert world.row(row["id"])["status"] == Status.QUEUED
    assert world.release() == 0
    world.work()
    assert world.provider.charged == []
    assert world.row(row["id"])["attempts"] == 0


def test_a_call_under_way_ends_as_it_ends(world: World) -> None:
    claim = world.claimed()
    world.pause()
    assert world.row(claim.row["id"])["status"] == Status.PURCHASING


def test_one_probe_goes_after_the_cool_down_and_its_success_ends_the_pause(world: World) -> None:
    for n in range(3):
        world.queued(number(n))
    world.pause(cooldown=60)
    world.clock.advance(59)
    assert world.release() == 0
    world.clock.advance(1)
    assert (world.release(), world.release()) == (1, 0)
    assert world.sent[0].kwargs["probe"] is True
    world.work()
    assert state(world)["paused_at"] is None
    assert world.release() == 2
    assert world.events() == ["paused", "purchased", "resumed"]


@pytest.mark.parametrize("outcome", [UNKNOWN, NOT_SENT, DENIED], ids=lambda one: one.kind)
def test_a_probe_that_fails_lengthens_the_pause(world: World, outcome: Outcome) -> None:
    for n in range(3):
        world.queued(number(n))
    world.pause(cooldown=60)
    paused = state(world)["paused_at"]
    for cooldown in (120, 240):
        world.clock.moment = state(world)["probe_at"]
        world.provider.script.append(outcome)
        assert world.release() == 1
        world.work()
        found = state(world)
        assert (found["cooldown"], found["paused_at"]) == (cooldown, paused)
        assert (found["probe_at"] - world.clock.moment).total_seconds() == cooldown
        assert world.release() == 0
    assert world.events() == ["paused"]


def test_a_refused_number_proves_that_the_provider_answers(world: World) -> None:
    world.queued()
    world.pause(cooldown=60)
    world.clock.advance(60)
    world.provider.script.append(REFUSED)
    world.release()
    world.work()
    assert state(world)["paused_at"] is None


def test_a_probe_that_we_held_back_says_nothing(world: World) -> None:
    world.queued()
    world.pause(cooldown=60)
    world.clock.advance(60)
    world.provider.script.append(HELD_BACK)
    world.release()
    before = state(world)
    world.work()
    assert state(world) == before
    assert world.release() == 1


def test_calls_that_we_held_back_never_pause_a_provider(make: Make) -> None:
    world = make(pause_after_failures=2)
    for n in range(6):
        world.provider.script.append(HELD_BACK)
        world.accept(number(n))
        world.work()
    assert world.events() == []


def test_a_probe_whose_message_is_lost_goes_again(world: World) -> None:
    world.queued()
    world.pause(cooldown=60)
    world.clock.advance(60)
    world.release()
    world.sent.clear()
    world.clock.advance(world.binding.policy.take_within)
    world.sweep()
    assert world.release() == 1


def test_late_answers_of_earlier_calls_do_not_lengthen_a_pause(world: World) -> None:
    world.pause(cooldown=60)
    before = state(world)
    assert not world.pause(cooldown=60)
    assert state(world) == before
    assert world.events() == ["paused"]


def test_the_machine_does_not_touch_a_persons_pause(world: World) -> None:
    world.queued()
    assert world.pause(Cause.PERSON, cooldown=None)
    before = state(world)
    assert not world.pause(Cause.ACCOUNT)
    assert not resume(world, by_machine=True)
    with world.write() as conn:
        pausing.probe_failed(conn, "acme", "no answer", world.clock())
    world.clock.advance(1e6)
    assert world.release() == 0
    assert state(world) == before
    assert resume(world)
    assert world.release() == 1


def test_a_person_takes_over_the_machines_pause(world: World) -> None:
    world.pause()
    assert not world.pause(Cause.PERSON, cooldown=None)
    assert (state(world)["cause"], state(world)["probe_at"]) == (Cause.PERSON, None)
    assert not resume(world, by_machine=True)
    assert world.events() == ["paused"]


def test_resuming_what_runs_does_nothing(world: World) -> None:
    assert not resume(world)
    world.pause()
    assert (resume(world), resume(world)) == (True, False)
    assert world.events() == ["paused", "resumed"]


def test_a_probe_that_fails_after_a_person_resumed_pauses_nothing(world: World) -> None:
    world.pause()
    resume(world)
    with world.write() as conn:
        pausing.probe_failed(conn, "acme", "no answer", world.clock())
    assert state(world)["paused_at"] is None


def test_a_refused_account_pauses_once_and_burns_no_attempt(world: World) -> None:
    for n in range(3):
        world.accept(number(n))
        world.provider.script.append(DENIED)
    world.work()
    assert world.events() == ["paused"]
    rows = [world.row(message.kwargs["purchase_id"]) for message in world.sent]
    assert all(row["attempts"] == 0 for row in rows)
    [told] = world.rows(select(EVENT).where(EVENT.c.type == "dialstock.provider.paused"))
    assert told["data"]["reason"] == DENIED.error
    assert told["source"] == "/dialstock/providers/acme"


def test_a_refused_probe_ends_no_pause_for_refusals(world: World) -> None:
    world.pause(cause=Cause.REFUSALS)
    world.clock.advance(61.0)
    with world.write() as conn:
        pausing.probe_refused(conn, "acme", "taken", world.clock())
        state = pausing.state_of(conn, "acme")
    assert state is not None
    assert (state["cause"], state["cooldown"] > 60.0) == (Cause.REFUSALS, True)


def test_a_refused_probe_shows_that_the_account_works(world: World) -> None:
    world.pause(cause=Cause.ACCOUNT)
    with world.write() as conn:
        pausing.probe_refused(conn, "acme", "taken", world.clock())
        state = pausing.state_of(conn, "acme")
    assert state is not None
    assert state["paused_at"] is None
