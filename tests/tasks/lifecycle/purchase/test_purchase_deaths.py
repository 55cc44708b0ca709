"""Workers that die or freeze on the way of one purchase, wherever that is."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from sqlalchemy import select

from schemas.outcomes import Outcome
from schemas.status import Status
from schemas.tables.purchases import PURCHASE
from tests.tasks.scripted_provider import UNCLEAR
from tests.tasks.support import Killed, World, die

Make = Callable[..., World]

POINTS = ["taken", "reserved", "claimed", "sending", "answered", "recorded"]


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("lookup", ["by_number", "by_list", "none"])
def test_a_worker_killed_anywhere_neither_buys_twice_nor_loses_a_number(make: Make, point: str, lookup: str) -> None:
    world = make(lookup=lookup)
    row = world.accept()
    world.points[point] = die
    with pytest.raises(Killed):
        world.work()
    after = world.settle(row["id"])
    assert len(world.provider.charged) <= 1
    if lookup == "none" and point in ("claimed", "sending", "answered"):
        assert after["status"] == Status.HELD
    else:
        assert (after["status"], len(world.provider.charged)) == (Status.PURCHASED, 1)
    assert world.events() == [after["status"]]


def test_an_accepted_purchase_whose_process_died_before_its_message_is_bought(world: World) -> None:
    world.points["accepted"] = die
    with pytest.raises(Killed):
        world.accept()
    [row] = world.rows(select(PURCHASE))
    assert world.sent == []
    assert world.settle(row["id"])["status"] == Status.PURCHASED


def test_a_release_whose_process_died_before_its_messages_is_done_again(world: World) -> None:
    row = world.queued()
    world.points["released"] = die
    with pytest.raises(Killed):
        world.release()
    assert world.settle(row["id"])["status"] == Status.PURCHASED
    assert len(world.provider.charged) == 1


@pytest.mark.usefixtures("own_clock")
def test_a_worker_frozen_before_the_send_sends_nothing_where_the_clock_was_set_back_meanwhile(make: Make) -> None:
    """Its own clock tells: that of the database says that no time has passed."""
    world = make(send_within=0.05)
    row = world.accept()
    world.points["claimed"] = lambda: time.sleep(0.1)
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["attempts"], after["error_code"]) == (Status.QUEUED, 0, "too_late")
    assert world.provider.charged == []


def test_a_worker_frozen_before_the_send_sends_nothing_and_it_does_not_count(world: World) -> None:
    row = world.accept()
    world.points["claimed"] = lambda: world.clock.advance(world.binding.policy.send_within + 0.1)
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["attempts"], after["error_code"]) == (Status.QUEUED, 0, "too_late")
    assert after["doubt"] is False
    assert world.attempts(row["id"]) == ["not_sent"]
    assert world.provider.charged == []


def test_a_worker_frozen_before_the_send_past_its_deadline_sends_nothing_either(world: World) -> None:
    row = world.accept()

    def freeze() -> None:
        world.clock.advance(60)
        world.sweep()

    world.points["claimed"] = freeze
    world.work()
    assert world.provider.charged == []
    assert world.row(row["id"])["status"] == Status.UNKNOWN
    # that it was not sent is kept; the looks settle it all the same
    assert world.attempts(row["id"]) == ["not_sent"]
    assert world.settle(row["id"])["status"] == Status.PURCHASED
    assert len(world.provider.charged) == 1


def test_a_worker_just_in_time_sends(world: World) -> None:
    world.accept()
    world.points["claimed"] = lambda: world.clock.advance(world.binding.policy.send_within)
    world.work()
    assert len(world.provider.charged) == 1


@pytest.mark.parametrize("meanwhile", ["unknown", "queued", "dispatched", "held", "purchased"])
def test_a_worker_frozen_during_the_call_comes_back_with_evidence(world: World, meanwhile: str) -> None:
    row = world.accept()

    def frozen(wanted: str) -> Outcome:
        """The provider sells, its list does not show it, and the worker sleeps until things have moved on."""
        sold = world.provider.charge(wanted, shows_after=0 if meanwhile == "purchased" else 1e9)
        world.provider.looks += [UNCLEAR] * 8 if meanwhile == "held" else []
        for _ in range(400):
            if world.row(row["id"])["status"] == meanwhile:
                break
            world.clock.advance(5)
            world.sweep()
            world.look()
            if meanwhile == "dispatched":
                world.release()
            world.sent = [one for one in world.sent if "items" in one.kwargs and not world.deliver(one)]
        assert world.row(row["id"])["status"] == meanwhile
        return sold

    world.provider.script.append(frozen)
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["provider_number_id"]) == (Status.PURCHASED, "id-1")
    world.settle(row["id"])
    assert len(world.provider.charged) == 1
    assert world.events().count("purchased") == 1
    assert "charged_twice" not in world.events()


def test_a_number_that_shows_after_the_last_look_is_told_when_both_calls_answer(world: World) -> None:
    """Beyond what is promised: bought twice, and at least said so."""
    row = world.accept()

    def frozen(wanted: str) -> Outcome:
        sold = world.provider.charge(wanted, shows_after=1e9)
        world.settle(row["id"])
        return sold

    world.provider.script.append(frozen)
    world.work()
    assert world.row(row["id"])["status"] == Status.PURCHASED
    assert world.events() == ["purchased", "charged_twice"]
