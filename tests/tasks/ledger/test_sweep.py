"""What made no progress comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from schemas.status import Status
from tasks.ledger import sweep
from tasks.ledger.calls import intents, outcomes
from tasks.policies.retry import Decision
from tests.tasks.scripted_provider import UNKNOWN
from tests.tasks.support import World, number

Make = Callable[..., World]


def test_a_call_in_time_is_left_alone(world: World) -> None:
    claim = world.claimed()
    world.clock.moment = claim.deadline + intents.SWEEP_GRACE - timedelta(microseconds=1)
    assert world.sweep() == 0
    world.clock.advance(0.000001)
    assert world.sweep() == 1


def test_a_call_in_time_is_left_alone_beside_one_that_is_overdue(world: World) -> None:
    overdue = world.claimed(number(1))
    world.clock.advance(1)
    in_time = world.claimed(number(2))
    world.clock.moment = overdue.deadline + intents.SWEEP_GRACE
    assert world.sweep() == 1
    found = [world.row(claim.row["id"])["status"] for claim in (overdue, in_time)]
    assert found == [Status.UNKNOWN, Status.PURCHASING]


def test_a_lost_worker_leaves_a_doubt_that_is_looked_at(world: World) -> None:
    claim = world.claimed()
    world.clock.moment = claim.deadline + intents.SWEEP_GRACE
    world.sweep()
    row = world.row(claim.row["id"])
    assert (row["status"], row["doubt"], row["error_code"]) == (Status.UNKNOWN, True, "worker_gone")
    assert row["due_at"] == claim.deadline + timedelta(seconds=5)
    assert world.attempts(row["id"]) == ["unknown"]


def test_what_a_lost_worker_bought_is_found(world: World) -> None:
    claim = world.claimed()
    world.provider.charge(claim.row["number"])
    after = world.settle(claim.row["id"])
    assert (after["status"], after["provider_number_id"]) == (Status.PURCHASED, "id-1")
    assert len(world.provider.charged) == 1


def test_what_a_lost_worker_did_not_buy_is_bought_after_the_last_look(world: World) -> None:
    claim = world.claimed()
    after = world.settle(claim.row["id"])
    assert (after["status"], after["attempts"]) == (Status.PURCHASED, 2)
    assert world.attempts(after["id"]) == ["unknown", "purchased"]


def test_a_provider_that_cannot_be_asked_has_its_doubts_held(make: Make) -> None:
    world = make(lookup="none")
    claim = world.claimed()
    after = world.settle(claim.row["id"])
    assert (after["status"], after["success"], after["doubt"]) == (Status.HELD, None, True)
    assert world.events() == ["held"]
    assert world.provider.asked == []


def test_an_unknown_answer_of_a_provider_that_cannot_be_asked_is_held_at_once(make: Make) -> None:
    world = make(lookup="none")
    world.provider.script.append(UNKNOWN)
    row = world.accept()
    world.work()
    assert world.row(row["id"])["status"] == Status.HELD


def test_sweeping_twice_changes_nothing(world: World) -> None:
    claim = world.claimed()
    world.clock.moment = claim.deadline + intents.SWEEP_GRACE
    assert (world.sweep(), world.sweep()) == (1, 0)


def test_workers_that_sweep_at_once_lose_each_call_once(world: World) -> None:
    claims = [world.claimed(number(n)) for n in range(20)]
    world.clock.moment = claims[-1].deadline + intents.SWEEP_GRACE
    gate, found = threading.Barrier(4), []

    def work() -> None:
        gate.wait()
        found.append(world.sweep())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(found) == 20
    assert all(world.row(claim.row["id"])["status"] == Status.UNKNOWN for claim in claims)


@pytest.mark.parametrize("round_", range(5))
def test_an_answer_and_the_sweep_at_the_same_instant_do_not_wait_for_each_other(world: World, round_: int) -> None:
    claims = [world.claimed(number(n)) for n in range(8)]
    world.clock.moment = claims[-1].deadline + intents.SWEEP_GRACE
    gate, errors = threading.Barrier(2), []

    def guarded(action: Callable[[], object]) -> None:
        gate.wait()
        try:
            action()
        except Exception as exc:
            errors.append(exc)

    def answer() -> None:
        for claim in claims:
            outcome = world.provider.charge(claim.row["number"])
            yes = Decision(status=Status.PURCHASED, provider_number_id=outcome.provider_number_id)
            with world.write() as conn:
                outcomes.record(conn, claim, outcome, yes, world.clock())

    threads = [threading.Thread(target=guarded, args=(action,)) for action in (answer, world.sweep)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert {world.row(claim.row["id"])["status"] for claim in claims} == {Status.PURCHASED}
    assert world.events() == ["purchased"] * 8


def test_a_look_after_a_refusal_keeps_the_sweep_away(world: World) -> None:
    claim = world.claimed()
    with world.write() as conn:
        intents.extend(conn, claim, claim.deadline + timedelta(seconds=30))
    world.clock.moment = claim.deadline + intents.SWEEP_GRACE
    assert world.sweep() == 0


def test_each_provider_is_swept_by_itself(world: World) -> None:
    claim = world.claimed()
    world.clock.moment = claim.deadline + intents.SWEEP_GRACE
    with world.runtime.database.read() as conn:
        assert sweep.any_overdue(conn, "acme", world.clock())
        assert not sweep.any_overdue(conn, "twin", world.clock())
