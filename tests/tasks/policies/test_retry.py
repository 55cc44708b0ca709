"""What follows each outcome and each look, for every history that matters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.outcomes import NOTHING_SHOWN, Look, LookKind, Outcome, OutcomeKind
from schemas.status import MOVES, Status
from tasks.policies.backoff import THROTTLED_WAIT, backoff, unsent_backoff
from tasks.policies.retry import MAX_LOOK_FAILURES, Decision, History, after_call, after_look, after_poll
from tests.tasks.scripted_provider import ABSENT, DENIED, NOT_SENT, REFUSED, THROTTLED, UNCLEAR, UNKNOWN
from tests.tasks.support import policy

POLICY = policy(max_attempts=3, backoff_initial=1.0, backoff_max=8.0)
HOLDING = policy(on_unknown="hold")
BOUGHT = Outcome(kind=OutcomeKind.PURCHASED, provider_number_id="id-1")
PROCESSING = Outcome(kind=OutcomeKind.PROCESSING, provider_number_id="id-1")
HELD_BACK = Outcome(kind=OutcomeKind.NOT_SENT, error_code="too_late", retry_after=0.0)
UNSENT = Look(kind=LookKind.UNCLEAR, error="connection refused", unsent=True)
AWAY = Look(kind=LookKind.UNCLEAR, error="no look without servers", waiting=True)
WAITING = Look(kind=LookKind.UNCLEAR, error="look-ups are at their limit", waiting=True, retry_after=7.0)
OWNED = Look(kind=LookKind.OWNED, provider_number_id="id-1")
COMING = Look(kind=LookKind.PROCESSING, provider_number_id="id-1")
LOST = Look(kind=LookKind.LOST, error="order rejected")

FIRST, DOUBT = History(), History(doubt=True)
LAST = History(attempts=3)
LAST_DOUBT = History(attempts=3, doubt=True)
BLIND = History(can_look=False)
LONG = History(tried_seconds=POLICY.give_up_after + 1)
LONG_DOUBT = replace(LONG, doubt=True)


@pytest.mark.parametrize(
    ("outcome", "history", "look", "status", "counts", "doubt"),
    [
        (BOUGHT, FIRST, None, Status.PURCHASED, True, False),
        (BOUGHT, LAST_DOUBT, None, Status.PURCHASED, True, False),
        (PROCESSING, FIRST, None, Status.PROCESSING, True, False),
        (THROTTLED, FIRST, None, Status.QUEUED, False, False),
        (THROTTLED, LAST_DOUBT, None, Status.QUEUED, False, False),
        (DENIED, FIRST, None, Status.QUEUED, False, False),
        (DENIED, LAST, None, Status.QUEUED, False, False),
        (HELD_BACK, LAST, None, Status.QUEUED, False, False),
        (REFUSED, LAST, WAITING, Status.FAILED, True, False),
        (REFUSED, FIRST, WAITING, Status.QUEUED, True, False),
        (REFUSED, LAST, AWAY, Status.QUEUED, False, False),
        (NOT_SENT, FIRST, None, Status.QUEUED, False, False),
        (NOT_SENT, DOUBT, None, Status.QUEUED, False, False),
        (NOT_SENT, LAST, None, Status.QUEUED, False, False),
        (NOT_SENT, LAST_DOUBT, None, Status.QUEUED, False, False),
        (NOT_SENT, LONG, None, Status.FAILED, False, False),
        (NOT_SENT, LONG_DOUBT, None, Status.HELD, False, False),
        (REFUSED, FIRST, ABSENT, Status.FAILED, True, False),
        (REFUSED, FIRST, None, Status.FAILED, True, False),
        (REFUSED, FIRST, LOST, Status.FAILED, True, False),
        (REFUSED, FIRST, OWNED, Status.PURCHASED, True, False),
        (REFUSED, FIRST, COMING, Status.PROCESSING, True, False),
        (REFUSED, FIRST, UNCLEAR, Status.QUEUED, True, False),
        (REFUSED, LAST, UNCLEAR, Status.FAILED, True, False),
        # Where nothing is shown, whatever is there: "or you own it already" may be so.
        (REFUSED, LAST, Look(kind=LookKind.UNCLEAR, error_code=NOTHING_SHOWN), Status.HELD, True, False),
        (REFUSED, DOUBT, None, Status.UNKNOWN, True, False),
        (REFUSED, History(doubt=True, can_look=False), None, Status.HELD, True, False),
        (UNKNOWN, FIRST, None, Status.UNKNOWN, True, True),
        (UNKNOWN, LAST, None, Status.UNKNOWN, True, True),
        (UNKNOWN, BLIND, None, Status.HELD, True, True),
    ],
)
def test_after_a_call(
    outcome: Outcome, history: History, look: Look | None, status: Status, counts: bool, doubt: bool
) -> None:
    decision = after_call(outcome, history, POLICY, look)
    assert (decision.status, decision.counts, decision.doubt) == (status, counts, doubt)


def test_a_refused_number_whose_look_waits_is_posted_no_more_often_than_any_other() -> None:
    """And not before the look may be made again."""
    throttled = replace(WAITING, throttled=True, retry_after=None)
    for look in (WAITING, throttled):
        decisions = [after_call(REFUSED, History(attempts=n), POLICY, look) for n in range(1, POLICY.max_attempts + 1)]
        assert [one.status for one in decisions] == [Status.QUEUED] * (POLICY.max_attempts - 1) + [Status.FAILED]
        assert all(one.delay >= (look.retry_after or 1.0) for one in decisions[:-1])


def test_the_policy_may_hold_what_is_unknown() -> None:
    decision = after_call(UNKNOWN, FIRST, HOLDING)
    assert (decision.status, decision.doubt) == (Status.HELD, True)


def test_a_refused_number_that_is_ours_already_is_told_so() -> None:
    decision = after_call(REFUSED, FIRST, POLICY, OWNED)
    assert (decision.already_owned, decision.provider_number_id) == (True, "id-1")


def test_throttling_waits_as_long_as_the_provider_says() -> None:
    assert after_call(THROTTLED, FIRST, POLICY).delay == 7.0
    assert after_call(Outcome(kind=OutcomeKind.THROTTLED), FIRST, POLICY).delay > 0


def test_a_look_that_is_throttled_is_no_failed_look() -> None:
    for retry_after in (3.0, None):
        look = Look(kind=LookKind.UNCLEAR, waiting=True, throttled=True, retry_after=retry_after)
        after = after_look(look, History(look_failures=MAX_LOOK_FAILURES - 1), POLICY)
        assert (after.status, after.delay) == (Status.UNKNOWN, retry_after or THROTTLED_WAIT)
        assert after.look_failures == MAX_LOOK_FAILURES - 1


@pytest.mark.parametrize(
    ("look", "history", "status", "looks", "failures"),
    [
        (OWNED, FIRST, Status.PURCHASED, 0, 0),
        (COMING, FIRST, Status.PROCESSING, 0, 0),
        (LOST, History(looks=1), Status.UNKNOWN, 2, 0),
        (LOST, History(looks=2), Status.HELD, 0, 0),
        (ABSENT, History(looks=0), Status.UNKNOWN, 1, 0),
        (ABSENT, History(looks=1), Status.UNKNOWN, 2, 0),
        (ABSENT, History(looks=2), Status.QUEUED, 0, 0),
        (ABSENT, History(looks=2, refused=True), Status.HELD, 0, 0),
        (ABSENT, History(looks=1, other_number=True), Status.UNKNOWN, 2, 0),
        (ABSENT, History(looks=2, other_number=True), Status.HELD, 0, 0),
        (OWNED, History(looks=2, other_number=True), Status.PURCHASED, 0, 0),
        (ABSENT, History(looks=2, attempts=3), Status.HELD, 0, 0),
        (ABSENT, History(looks=2, tried_seconds=LONG.tried_seconds), Status.HELD, 0, 0),
        (UNCLEAR, History(looks=1), Status.UNKNOWN, 1, 1),
        (UNCLEAR, History(looks=1, look_failures=MAX_LOOK_FAILURES - 1), Status.HELD, 0, 0),
        (Look(kind=LookKind.UNCLEAR, waiting=True, retry_after=3), History(look_failures=7), Status.UNKNOWN, 0, 7),
        (Look(kind=LookKind.UNCLEAR, account=True), History(look_failures=7), Status.UNKNOWN, 0, 7),
        (UNSENT, History(looks=1, look_failures=7), Status.UNKNOWN, 1, 7),
        (UNSENT, LONG, Status.HELD, 0, 0),
    ],
)
def test_after_a_look_at_a_doubt(look: Look, history: History, status: Status, looks: int, failures: int) -> None:
    decision = after_look(look, history, POLICY)
    assert (decision.status, decision.looks, decision.look_failures) == (status, looks, failures)


@pytest.mark.parametrize(
    ("look", "history", "status"),
    [
        (OWNED, FIRST, Status.PURCHASED),
        (LOST, FIRST, Status.HELD),
        (COMING, FIRST, Status.PROCESSING),
        (ABSENT, FIRST, Status.PROCESSING),
        (COMING, History(processing_for=POLICY.poll_for), Status.HELD),
        (UNCLEAR, FIRST, Status.PROCESSING),
        (UNCLEAR, History(look_failures=MAX_LOOK_FAILURES - 1), Status.HELD),
        (UNSENT, History(look_failures=MAX_LOOK_FAILURES - 1), Status.PROCESSING),
        (UNSENT, History(processing_for=POLICY.poll_for), Status.HELD),
    ],
)
def test_after_a_look_at_what_is_not_usable_yet(look: Look, history: History, status: Status) -> None:
    assert after_poll(look, history, POLICY).status is status


histories = st.builds(
    History,
    attempts=st.integers(1, 10),
    tried_seconds=st.floats(0, 1e6),
    doubt=st.booleans(),
    can_look=st.booleans(),
    looks=st.integers(0, 5),
    look_failures=st.integers(0, MAX_LOOK_FAILURES),
    refused=st.booleans(),
    doubtful=st.integers(0, 2),
    processing_for=st.floats(0, 1e6),
)
outcomes = st.builds(
    Outcome, kind=st.sampled_from(OutcomeKind), retry_after=st.none() | st.floats(0, 100), error=st.none() | st.text()
)
looks = st.builds(
    Look,
    kind=st.sampled_from(LookKind),
    account=st.booleans(),
    waiting=st.booleans(),
    unsent=st.booleans(),
    retry_after=st.none() | st.floats(0, 100),
)


@given(outcomes, histories, st.none() | looks, st.sampled_from([POLICY, HOLDING]))
def test_what_was_ever_in_doubt_never_fails_by_itself(
    outcome: Outcome, history: History, look: Look | None, rules: Any
) -> None:
    decision = after_call(outcome, history, rules, look)
    assert decision.status in MOVES[Status.PURCHASING]
    assert not (history.doubt and decision.status is Status.FAILED)
    # an unknown outcome is asked about, or held: never posted again, never forgotten
    assert (outcome.kind is OutcomeKind.UNKNOWN) == decision.doubt
    assert not decision.doubt or decision.status in (Status.UNKNOWN, Status.HELD)


@given(looks, histories)
def test_no_look_fails_a_purchase_but_one_at_its_refused_order(look: Look, history: History) -> None:
    refused = look.kind is LookKind.REFUSED and not history.doubtful
    for decision in (after_look(look, history, POLICY), after_poll(look, history, POLICY)):
        # an order that was found and is refused, where no other call may have been executed
        assert decision.status is not Status.FAILED or refused
        assert decision.delay >= 0
    again: Decision = after_look(look, history, POLICY)
    # queued again only where the last look of the policy says that it is not ours
    assert again.status is not Status.QUEUED or (look.kind is LookKind.ABSENT and history.looks >= 2)


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0.01, 100), st.floats(1, 100))
def test_backoff_stays_between_nothing_and_its_bound(attempts: int, draw: float, initial: float, factor: float) -> None:
    rules = policy(backoff_initial=initial, backoff_max=initial * factor)
    wait = backoff(rules, attempts, lambda: draw)
    assert 0 <= wait <= min(rules.backoff_max, initial * 2 ** min(attempts - 1, 30))
    assert backoff(rules, attempts, lambda: 1.0) >= wait


def test_a_look_that_we_held_back_is_waited_for() -> None:
    assert after_call(REFUSED, FIRST, POLICY, WAITING).delay == 7.0


@given(st.floats(0, 1e6), st.floats(0, 1))
def test_what_was_not_sent_waits_no_longer_than_it_was_tried(tried: float, draw: float) -> None:
    wait = unsent_backoff(POLICY, tried, lambda: draw)
    assert 0 <= wait <= min(POLICY.backoff_max, max(POLICY.backoff_initial, tried))
    assert unsent_backoff(POLICY, tried, lambda: 1.0) == min(POLICY.backoff_max, max(POLICY.backoff_initial, tried))


def test_what_was_not_sent_is_tried_until_the_very_end_of_its_time() -> None:
    almost = History(tried_seconds=POLICY.give_up_after - 0.01)
    assert 0 <= after_call(NOT_SENT, almost, POLICY).delay <= 0.011
    assert "21,601 s" in str(after_call(NOT_SENT, LONG, POLICY).error)


@pytest.mark.parametrize("outcome", [THROTTLED, DENIED, HELD_BACK], ids=lambda one: one.kind)
def test_what_was_held_back_costs_no_time(outcome: Outcome) -> None:
    assert not after_call(outcome, FIRST, POLICY).timed
    assert after_call(NOT_SENT, FIRST, POLICY).timed


def test_a_look_that_was_not_sent_does_not_forget_the_failures_before() -> None:
    assert after_poll(UNSENT, History(look_failures=3), POLICY).look_failures == 3
