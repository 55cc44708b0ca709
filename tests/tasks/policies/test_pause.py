"""When a provider is paused."""

from __future__ import annotations

import pytest

from schemas.outcomes import DEARER, WRONG_NUMBER, Outcome, OutcomeKind
from tasks.policies.pause import MAX_COOLDOWN, Cause, Pause, Streaks, longer
from tests.tasks.scripted_provider import DENIED, NOT_SENT, REFUSED, THROTTLED, UNKNOWN
from tests.tasks.support import number, policy

POLICY = policy(pause_after_failures=3, pause_cooldown=30)
BOUGHT = Outcome(kind=OutcomeKind.PURCHASED)


def feed(streaks: Streaks, *outcomes: Outcome, same_number: bool = False) -> list[Pause | None]:
    return [streaks.feed(number(0 if same_number else n), one, POLICY) for n, one in enumerate(outcomes)]


def test_a_refused_account_pauses_at_once() -> None:
    [pause] = feed(Streaks(), DENIED)
    assert pause == Pause(cause=Cause.ACCOUNT, reason="credentials are refused", cooldown=30)


def test_another_number_than_was_asked_for_pauses_at_once() -> None:
    other = Outcome(kind=OutcomeKind.UNKNOWN, error_code=WRONG_NUMBER, error="a record of +14155559999")
    [pause] = feed(Streaks(), other)
    assert pause == Pause(cause=Cause.WRONG_NUMBER, reason="a record of +14155559999", cooldown=30)


@pytest.mark.parametrize("said", [OutcomeKind.ACCOUNT, OutcomeKind.THROTTLED])
def test_a_whole_batch_that_is_not_let_in_pauses_at_once(said: OutcomeKind) -> None:
    [pause] = feed(Streaks(), Outcome(kind=OutcomeKind.UNKNOWN, said=said, error="out of balance"))
    assert pause == Pause(cause=Cause.ACCOUNT, reason="out of balance", cooldown=30)


def test_a_whole_batch_that_is_refused_for_its_numbers_is_a_failure_like_others() -> None:
    assert feed(Streaks(), Outcome(kind=OutcomeKind.UNKNOWN, said=OutcomeKind.REFUSED)) == [None]


@pytest.mark.parametrize("outcome", [UNKNOWN, NOT_SENT])
def test_failures_in_a_row_pause(outcome: Outcome) -> None:
    pauses = feed(Streaks(), *[outcome] * 4)
    assert [pause and pause.cause for pause in pauses] == [None, None, Cause.FAILURES, None]


@pytest.mark.parametrize("between", [BOUGHT, THROTTLED, REFUSED])
def test_an_answer_ends_a_row_of_failures(between: Outcome) -> None:
    assert feed(Streaks(), UNKNOWN, UNKNOWN, between, UNKNOWN, UNKNOWN) == [None] * 5


def test_the_same_refusal_for_many_numbers_is_the_accounts() -> None:
    pauses = feed(Streaks(), REFUSED, REFUSED, REFUSED)
    assert [pause and pause.cause for pause in pauses] == [None, None, Cause.REFUSALS]


def test_numbers_that_cost_more_by_now_are_not() -> None:
    dearer = Outcome(kind=OutcomeKind.REFUSED, error_code=DEARER)
    assert feed(Streaks(), *[dearer] * 5) == [None] * 5


def test_one_number_refused_again_and_again_is_not() -> None:
    assert feed(Streaks(), *[REFUSED] * 5, same_number=True) == [None] * 5


def test_different_refusals_are_not() -> None:
    other = Outcome(kind=OutcomeKind.REFUSED, http_status=422, error_code="invalid")
    assert feed(Streaks(), REFUSED, REFUSED, other, REFUSED, REFUSED, BOUGHT, REFUSED) == [None] * 7


def test_a_cooldown_doubles_up_to_its_bound() -> None:
    assert longer(30) == 60
    assert longer(MAX_COOLDOWN) == MAX_COOLDOWN
