"""One purchase call: what it meets on its way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from tasks.ledger.queue import requeue
from tasks.lifecycle import purchase, release_and_sweep
from tasks.outages import database_away
from tasks.policies.pace import Later
from tests.tasks.scripted_provider import DENIED, NOT_SENT, REFUSED, THROTTLED, TOO_MANY, UNCLEAR, UNKNOWN
from tests.tasks.support import OpenSlot, World, number
from tests.waiting import time_with

Make = Callable[..., World]


def test_a_number_is_bought(world: World) -> None:
    row = world.accept()
    [message] = world.sent
    assert world.deliver(message) is Status.PURCHASED
    assert world.provider.charged == [(row["number"], "id-1")]


def test_a_message_delivered_twice_buys_once(world: World) -> None:
    row = world.accept()
    [message] = world.sent
    world.deliver(message)
    before = world.row(row["id"])
    assert world.deliver(message) is None
    assert world.row(row["id"]) == before
    assert (len(world.provider.charged), world.attempts(row["id"])) == (1, ["purchased"])
    assert len(world.pace.refunded) == 1


def test_after_a_message_that_came_too_late_the_next_takes_no_slot_unless_its_purchase_waits(world: World) -> None:
    late = [world.accept(number(index)) for index in range(3)]
    messages = [*world.sent]
    world.sent.clear()
    with world.write() as conn:
        requeue.take_back(conn, "acme", world.clock(), overdue=False)
    assert [world.deliver(message) for message in messages] == [None] * 3
    assert len(world.pace.refunded) == 1
    release_and_sweep.release_due(world.runtime, world.binding)
    assert [world.deliver(message) for message in world.sent] == [Status.PURCHASED] * 3
    assert {one for one, _ in world.provider.charged} == {row["number"] for row in late}
    assert (len(world.pace.refunded), world.runtime.overtaken) == (1, set())


def test_a_message_delivered_during_its_own_call_buys_once(world: World) -> None:
    row = world.accept()
    [message] = world.sent

    def again(wanted: str) -> Outcome:
        assert world.deliver(message) is None
        return world.provider.charge(wanted)

    world.provider.script.append(again)
    assert world.deliver(message) is Status.PURCHASED
    assert len(world.provider.charged) == 1
    assert world.row(row["id"])["status"] == Status.PURCHASED


def test_a_provider_that_is_not_configured_buys_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    row = world.accept()
    assert purchase.buy(world.runtime, row["id"], row["revision"], "gone") is None
    assert "gone" in caplog.text
    assert world.row(row["id"]) == row


def test_a_first_refusal_is_looked_up_once_before_it_is_final(world: World) -> None:
    world.provider.script.append(REFUSED)
    row = world.accept()
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["success"], after["error_code"]) == (Status.FAILED, False, "unavailable")
    assert world.provider.asked == [row["number"]]
    assert world.events() == ["failed"]


def test_a_look_after_a_refusal_that_is_throttled_cools_all_looks_down(world: World) -> None:
    world.provider.script.append(REFUSED)
    world.provider.looks.append(TOO_MANY)
    world.accept(number(1))
    world.work()
    assert (world.pace.cooled, world.pace.penalties) == (["look"], [5.0])


def test_a_refused_number_that_is_ours_is_purchased(world: World) -> None:
    world.provider.charge(number(0))
    world.provider.script.append(REFUSED)
    row = world.accept(number(0))
    world.work()
    after = world.row(row["id"])
    assert (after["status"], after["already_owned"], after["provider_number_id"]) == (Status.PURCHASED, True, "id-1")


def test_a_refusal_that_cannot_be_looked_up_is_tried_again(world: World) -> None:
    world.provider.script.append(REFUSED)
    world.provider.looks.append(UNCLEAR)
    row = world.accept()
    world.work()
    assert world.row(row["id"])["status"] == Status.QUEUED


def test_a_look_that_would_wait_too_long_is_not_made(world: World) -> None:
    world.provider.script.append(REFUSED)
    row = world.accept()
    world.pace.reserve = lambda lane, **_: Later(9.0) if lane == world.binding.looking else OpenSlot()
    world.work()
    assert (world.row(row["id"])["status"], world.provider.asked) == (Status.QUEUED, [])


def test_a_provider_without_looks_fails_a_refused_number_at_once(make: Make) -> None:
    world = make(lookup="none")
    world.provider.script.append(REFUSED)
    row = world.accept()
    world.work()
    assert world.row(row["id"])["status"] == Status.FAILED


def test_a_purchase_in_doubt_is_not_looked_up_at_once_but_by_all_looks(world: World) -> None:
    world.provider.script += [UNKNOWN, REFUSED]
    row = world.accept()
    after = world.settle(row["id"])
    assert (after["status"], after["error_code"]) == (Status.HELD, "refused")
    assert len(world.provider.asked) == 6
    assert world.events() == ["held"]


def test_giving_up_by_attempts(make: Make) -> None:
    world = make(max_attempts=3)
    world.provider.script += [REFUSED] * 3
    world.provider.looks += [UNCLEAR] * 3
    row = world.accept()
    after = world.settle(row["id"])
    assert (after["status"], after["attempts"], after["success"]) == (Status.FAILED, 3, False)
    assert "3 attempts" in after["error"]


def test_giving_up_in_doubt_is_for_a_person(make: Make) -> None:
    world = make(give_up_after="200s", backoff_max=10)
    world.provider.script += [UNKNOWN, *[NOT_SENT] * 100]
    after = world.settle(world.accept()["id"])
    assert (after["status"], after["error_code"]) == (Status.HELD, "gave_up")


def test_a_minute_without_network_fails_nothing(make: Make) -> None:
    world = make(max_attempts=1)
    world.provider.script.append(UNKNOWN)
    doubtful, row = world.accept(number(0)), world.accept(number(1))
    until = world.clock.moment + timedelta(seconds=90)
    look = world.provider.look

    def cut_off(wanted: str) -> Outcome:
        if world.clock.moment < until:
            world.provider.script.append(cut_off)
            return NOT_SENT
        return world.provider.charge(wanted)

    world.provider.script.append(cut_off)
    unsent = Look(kind=LookKind.UNCLEAR, unsent=True)
    world.provider.look = lambda numbers: (  # type: ignore[method-assign, assignment]
        dict.fromkeys(numbers, unsent) if world.clock.moment < until else look(numbers)
    )
    after = world.settle(row["id"], step=0.5)
    assert (after["status"], after["attempts"]) == (Status.PURCHASED, 1)
    assert set(world.attempts(row["id"])) == {"not_sent", "purchased"}
    assert world.row(doubtful["id"])["status"] == Status.UNKNOWN
    assert world.row(doubtful["id"])["look_failures"] == 0


def test_giving_up_by_time_spent_trying(make: Make) -> None:
    world = make(give_up_after="30s", max_attempts=100, backoff_initial=10, backoff_max=10)
    world.provider.script += [NOT_SENT] * 100
    after = world.settle(world.accept()["id"])
    assert (after["status"], after["attempts"]) == (Status.FAILED, 0)
    assert 30 <= after["tried_seconds"] <= 40
    assert "gave up after 30 s" in after["error"]


def test_time_under_a_pause_is_not_time_spent_trying(make: Make) -> None:
    world = make(give_up_after="30s", backoff_initial=1, backoff_max=1)
    world.provider.script += [NOT_SENT]
    row = world.accept()
    world.work()
    world.pause(cooldown=3600)
    world.clock.advance(3600)
    assert world.settle(row["id"])["status"] == Status.PURCHASED


@pytest.mark.parametrize("outcome", [THROTTLED, DENIED], ids=lambda one: one.kind)
def test_what_the_provider_did_not_consider_is_tried_for_ever(make: Make, outcome: Outcome) -> None:
    world = make(max_attempts=1, pause_cooldown=1)
    world.provider.script += [outcome] * 5
    after = world.settle(world.accept()["id"])
    assert (after["status"], after["attempts"]) == (Status.PURCHASED, 1)


def test_throttling_cools_the_whole_provider_down(world: World) -> None:
    world.provider.script.append(THROTTLED)
    world.accept()
    world.work()
    assert (world.pace.cooled, world.pace.penalties) == (["buy", "look"], [7.0, 7.0])


@pytest.mark.parametrize("retry_after", [0.0, None])
def test_throttling_without_a_wait_cools_down_for_a_second(world: World, retry_after: float | None) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.THROTTLED, http_status=429, retry_after=retry_after))
    world.accept()
    world.work()
    assert world.pace.penalties == [1.0, 1.0]


def test_a_long_cool_down_is_told_of(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.THROTTLED, http_status=429, retry_after=3600.0))
    world.accept()
    world.work()
    assert "no call in the next 3600 s" in caplog.text


def test_an_accepted_number_is_followed_until_it_is_usable(world: World) -> None:
    world.provider.script.append(Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="id-1"))
    world.provider.looks += [Look(kind=LookKind.PROCESSING), Look(kind=LookKind.OWNED, provider_number_id="id-1")]
    after = world.settle(world.accept()["id"])
    assert (after["status"], after["provider_number_id"]) == (Status.PURCHASED, "id-1")


def test_an_answer_waits_for_a_database_that_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []
    monkeypatch.setattr(database_away, "time", time_with(sleep=lambda _: None))

    def away_at_first() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("UPDATE", {}, ConnectionError("server closed the connection"))
        return "written"

    assert database_away.patiently(away_at_first, "it") == "written"


def test_an_answer_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_away, "PATIENCE", -1.0)

    def away() -> None:
        raise OperationalError("UPDATE", {}, ConnectionError("server closed the connection"))

    with pytest.raises(OperationalError):
        database_away.patiently(away, "it")
