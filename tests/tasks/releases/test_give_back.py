"""Giving a number back: once, never twice at once, and told when it is over."""

from __future__ import annotations

import pytest

from schemas.outcomes import Look, LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome
from schemas.requests import RequestError
from schemas.status import Status
from tasks.ledger.rows import new_id
from tasks.lifecycle import give_back
from tasks.policies.pause import Cause
from tasks.watermark import Mark
from tests.tasks.releasing import LOST, REFUSED, TOO_RECENT, Returns
from tests.tasks.scripted_provider import ABSENT, UNCLEAR
from tests.tasks.support import NUMBER, Killed, die, number

POINTS = ["release_taken", "release_claimed", "release_answered", "release_recorded"]
DAY = 86_400.0


def test_a_number_is_given_back_by_the_id_that_it_was_bought_with(returns: Returns) -> None:
    row = returns.bought()
    asked = returns.ask(row)
    assert (asked.purchase["status"], asked.purchase["success"]) == (Status.RELEASING, True)
    after = returns.settle(row)
    assert (after["status"], after["success"], after["error"]) == (Status.RELEASED, False, None)
    assert returns.provider.given == [(NUMBER, "id-1")]
    assert returns.calls() == ["released"]
    assert returns.world.events() == ["purchased", "released"]
    [release] = returns.releases()
    assert (release["status"], release["attempts"], release["by"], release["due_at"]) == ("released", 1, "ann", None)


def test_while_it_is_given_back_it_keeps_the_date_of_its_purchase(returns: Returns) -> None:
    row = returns.bought()
    returns.world.clock.advance(100)
    assert returns.ask(row).purchase["finished_at"] == row["finished_at"]
    assert returns.world.row(row["id"])["finished_at"] == row["finished_at"]


def test_asked_for_twice_it_is_given_back_once(returns: Returns) -> None:
    row = returns.bought()
    first, second = returns.ask(row), returns.ask(row)
    assert (first.repeat, second.repeat) == (False, True)
    assert second.release["id"] == first.release["id"]
    returns.settle(row)
    assert len(returns.provider.given) == 1


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_anywhere_loses_nothing_and_sends_nothing_twice_at_once(
    returns: Returns, point: str
) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.world.points[point] = die
    with pytest.raises(Killed):
        returns.step()
    after = returns.settle(row)
    assert after["status"] == Status.RELEASED
    assert len(returns.provider.given) == 1
    assert None not in returns.calls()
    assert returns.world.events() == ["purchased", "released"]


def test_a_lost_answer_is_looked_up_and_nothing_is_sent_again_for_what_is_gone(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(returns.provider.take_back_unseen)
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED
    assert returns.provider.given == [(NUMBER, "id-1")]
    # as many whole looks as the policy has for a purchase
    assert len(returns.provider.asked) == len(returns.world.binding.policy.reconcile_after)


def test_one_look_that_lies_gives_no_number_up(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(LOST)
    returns.provider.looks += [ABSENT]
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED
    assert len(returns.provider.given) == 2
    assert returns.provider.owned_id(NUMBER) is None


def test_what_is_there_still_is_tried_again_after_the_first_call_is_over(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(LOST)
    returns.ask(row)
    returns.step()
    policy = returns.world.binding.policy
    returns.world.clock.advance(policy.send_within + policy.timeout)
    assert returns.step() is False
    assert returns.settle(row)["status"] == Status.RELEASED
    assert returns.calls() == ["unknown", "released"]


def test_a_look_that_says_nothing_is_made_again_and_never_taken_for_gone(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(LOST)
    returns.provider.looks += [UNCLEAR] * 12
    returns.ask(row)
    returns.step()
    for _ in range(12):
        returns.world.clock.advance(3700)
        assert returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASING
    assert len(returns.provider.given) == 1
    assert returns.settle(row)["status"] == Status.RELEASED


def test_a_refusal_for_what_is_there_keeps_the_number_and_tells_so(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(REFUSED)
    returns.ask(row)
    after = returns.settle(row)
    assert {**after, "revision": 0, "updated_at": None} == {**row, "revision": 0, "updated_at": None}
    [release] = returns.releases()
    assert (release["status"], release["error"]) == ("kept", "not found")
    assert returns.world.events() == ["purchased", "kept"]
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED


def test_a_404_for_what_is_gone_is_looked_up(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.take_back(NUMBER)
    returns.provider.answers.append(REFUSED)
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.RELEASED
    assert len(returns.provider.given) == 1


def test_a_number_that_somebody_bought_again_is_left_alone(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers.append(returns.provider.take_back_unseen)
    returns.ask(row)
    returns.step()
    returns.provider.looks += [Look(kind=LookKind.OWNED, provider_number_id="another")]
    after = returns.settle(row)
    [release] = returns.releases()
    assert (after["status"], release["status"], release["error_code"]) == (Status.PURCHASED, "kept", "other_id")
    assert len(returns.provider.given) == 1


def test_it_is_tried_so_often_and_no_more(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers += [LOST] * 20
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.PURCHASED
    assert len(returns.provider.given) == returns.world.binding.policy.max_attempts
    assert returns.releases()[0]["error_code"] == "gave_up"


@pytest.mark.parametrize("kind", [ReleaseKind.NOT_SENT, ReleaseKind.THROTTLED])
def test_what_was_not_executed_is_no_attempt(returns: Returns, kind: ReleaseKind) -> None:
    row = returns.bought()
    returns.provider.answers += [ReleaseOutcome(kind=kind, retry_after=7.0, error="later")] * 20
    returns.ask(row)
    returns.step()
    [release] = returns.releases()
    assert (release["attempts"], release["doubt"]) == (0, False)
    assert (release["due_at"] - returns.world.clock.moment).total_seconds() == 7.0
    assert returns.settle(row)["status"] == Status.RELEASED
    assert len(returns.provider.given) == 21


def test_a_refused_account_is_tried_later_and_ends(returns: Returns) -> None:
    row = returns.bought()
    returns.provider.answers += [ReleaseOutcome(kind=ReleaseKind.ACCOUNT, error="no right to")] * 20
    returns.ask(row)
    assert returns.settle(row)["status"] == Status.PURCHASED
    assert "no right to" in returns.releases()[0]["error"]
    # a key that may buy and not delete is no reason to buy nothing
    assert returns.world.events() == ["purchased", "kept"]


def test_a_provider_that_keeps_numbers_for_some_days_is_called_when_they_are_over(returns: Returns) -> None:
    returns.provider.keeps_for = (14 * DAY, 30 * DAY)
    row = returns.bought()
    returns.provider.answers += [TOO_RECENT] * 3
    returns.ask(row)
    dates = []
    while returns.releases(status="open"):
        [release] = returns.releases()
        dates.append((release["due_at"] - row["finished_at"]).total_seconds() / DAY)
        returns.world.clock.advance(max(0.0, (release["due_at"] - returns.world.clock.moment).total_seconds()))
        assert returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASED
    assert dates == pytest.approx([0, 14, 30, 31], abs=0.01)


def test_a_frozen_worker_sends_nothing_late(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.world.points["release_claimed"] = lambda: returns.world.clock.advance(600)
    returns.step()
    assert returns.provider.given == []
    assert returns.calls() == ["not_sent"]
    assert returns.settle(row)["status"] == Status.RELEASED


def test_a_yes_that_was_written_late_is_evidence(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)

    def meanwhile() -> None:
        returns.provider.looks += [Look(kind=LookKind.OWNED, provider_number_id="another")]
        returns.world.clock.advance(60)
        assert give_back.step(returns.runtime, returns.world.binding)
        assert returns.world.row(row["id"])["status"] == Status.PURCHASED

    returns.world.points["release_answered"] = meanwhile
    returns.step()
    assert returns.world.row(row["id"])["status"] == Status.RELEASED


def test_a_paused_provider_is_not_called(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.world.pause(cooldown=None)
    returns.world.clock.advance(600)
    assert returns.step() is False


@pytest.mark.parametrize("cause", [Cause.ACCOUNT, Cause.REFUSALS, Cause.FAILURES, Cause.WRONG_NUMBER])
def test_a_machines_pause_holds_up_a_release_until_its_probe_is_due_and_no_longer(
    returns: Returns, cause: Cause
) -> None:
    row = returns.bought()
    returns.ask(row)
    returns.world.pause(cause, cooldown=60.0)
    returns.world.clock.advance(59)
    assert returns.step() is False
    returns.world.clock.advance(2)
    assert returns.settle(row)["status"] == Status.RELEASED


@pytest.mark.parametrize("answer", [LOST, ReleaseOutcome(kind=ReleaseKind.ACCOUNT, error="no", error_code="http_401")])
def test_a_release_that_fails_under_a_pause_lets_it_cool_down_for_longer(
    returns: Returns, answer: ReleaseOutcome
) -> None:
    rows = [returns.bought(number(n)) for n in range(2)]
    for row in rows:
        returns.ask(row)
    returns.world.pause(cooldown=60.0)
    returns.provider.answers.append(answer)
    returns.world.clock.advance(61)
    assert returns.step() is True
    assert returns.step() is False
    returns.world.clock.advance(119)
    assert returns.step() is False
    returns.world.clock.advance(2)
    assert [returns.settle(row)["status"] for row in rows] == [Status.RELEASED] * 2


def test_an_order_for_what_is_being_given_back_is_refused_and_for_what_is_released_is_a_new_purchase(
    returns: Returns,
) -> None:
    row = returns.bought()
    returns.ask(row)
    with pytest.raises(RequestError, match="being given back") as failure:
        returns.world.accept(idempotency_key="later")
    assert failure.value.code == "being_released"
    returns.settle(row)
    again = returns.bought(idempotency_key="later")
    assert again["id"] != row["id"]
    assert returns.statuses() == [Status.RELEASED, Status.PURCHASED]
    assert returns.step() is False


def test_a_database_that_went_back_in_time_gives_nothing_back(returns: Returns) -> None:
    row = returns.bought()
    returns.ask(row)
    now = returns.world.clock.moment
    lost = Mark(purchase_id=new_id(), revision=1, number="+14155550199", started_at=now, deadline=now)
    returns.runtime.watermark.write({row["account"]: [lost]})
    returns.runtime.database.engine.dispose()  # each new connection is looked at
    returns.step()
    assert returns.provider.given == []
    assert returns.world.row(row["id"])["status"] == Status.PURCHASED
    assert [(one["status"], one["error_code"]) for one in returns.releases()] == [("kept", "history_lost")]
