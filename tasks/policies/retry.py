"""What follows a call or a look: outcome and history in, a decision out. Nothing here sleeps, sends or writes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.config.policy import Policy
from schemas.outcomes import COMPLIANCE, NOTHING_SHOWN, WRONG_NUMBER, Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from tasks.policies.backoff import THROTTLED_WAIT, backoff, poll_delay, unsent_backoff

GIVEN_BACK = "given_back"
"""The error_code of a look that shows what was given back before: it is not known whether that is the number again."""

MAX_LOOK_FAILURES = 8
"""Look-ups that fail in a row before a doubt is held: the audit asks again then."""

REFUSED, GAVE_UP, LOOK_FAILED, CANCELLED_IN_DOUBT = "refused", "gave_up", "look_failed", "cancelled_in_doubt"
RESOLVED = "resolved"
"""The error code of what a person said to have failed."""
NOT_BOUGHT = (REFUSED, GAVE_UP, LOOK_FAILED, CANCELLED_IN_DOUBT)
"""The error_codes of what is held in doubt though nothing says that it was bought: the provider can tell, later."""


@dataclass(frozen=True, kw_only=True)
class History:
    """What happened to a purchase up to now, the present call included.

    `attempts` counts calls; `tried_seconds` is the time spent trying; `doubt`: an earlier call may have been
    executed; `can_look`: the provider can be asked for the number; `looks` and `look_failures` count answers
    since the last call; `refused`: the last call was refused; `other_number`: it was answered with another number;
    `doubtful` counts the calls before the last one that may have been executed; `processing_for`: seconds of trying
    and following.
    """

    attempts: int = 1
    tried_seconds: float = 0.0
    doubt: bool = False
    can_look: bool = True
    looks: int = 0
    look_failures: int = 0
    refused: bool = False
    other_number: bool = False
    doubtful: int = 0
    processing_for: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The next status. `delay` is in seconds: from now, or for the first look `from_deadline` of the last call.

    `counts`: the call counts as an attempt; `timed`: its time, and the wait after it, count as trying. `doubt`: it may
    have been executed.
    """

    status: Status
    delay: float = 0.0
    from_deadline: bool = False
    counts: bool = True
    timed: bool = True
    doubt: bool = False
    already_owned: bool = False
    provider_number_id: str | None = None
    provider_order_id: str | None = None
    error: str | None = None
    error_code: str | None = None
    looks: int = 0
    look_failures: int = 0


def after_call(outcome: Outcome, history: History, policy: Policy, look: Look | None = None) -> Decision:
    """Decide what follows a purchase call; *look* is the one look that follows a first refusal.

    A call that was not sent is no attempt: only its time counts. One that names its own `retry_after` was held back by
    us, and its time does not count either.
    """
    said = Decision(
        status=Status.QUEUED,
        error=outcome.error,
        error_code=outcome.error_code,
        provider_number_id=outcome.provider_number_id,
        provider_order_id=outcome.provider_order_id,
        already_owned=outcome.already_owned,
    )
    match outcome.kind:
        case OutcomeKind.PURCHASED:
            return replace(said, status=Status.PURCHASED, error=None, error_code=None)
        case OutcomeKind.PROCESSING:
            return replace(said, status=Status.PROCESSING, delay=poll_delay(policy, 0))
        case OutcomeKind.COMPLIANCE:
            # An order that stands is in doubt: it may be executed whenever the papers are there.
            held = _hold(outcome.error or "papers are missing", COMPLIANCE)
            return replace(said, status=held.status, error_code=COMPLIANCE, doubt=outcome.provider_order_id is not None)
        case OutcomeKind.THROTTLED:
            wait = THROTTLED_WAIT if outcome.retry_after is None else outcome.retry_after
            return _held_back(said, wait)
        case OutcomeKind.ACCOUNT:
            return _held_back(said)
        case OutcomeKind.NOT_SENT:
            return _not_sent(said, outcome, history, policy)
        case OutcomeKind.REFUSED:
            return _refused(said, history, policy, look)
        case OutcomeKind.UNKNOWN:
            return _doubtful(replace(said, doubt=True), history, policy)


def after_look(look: Look, history: History, policy: Policy) -> Decision:
    """Decide what follows a look at a purchase that is *unknown*."""
    found = _found(look)
    match look.kind:
        case LookKind.OWNED:
            return found
        case LookKind.PROCESSING:
            return _ordered(look, replace(found, status=Status.PROCESSING, delay=poll_delay(policy, 0)))
        case LookKind.LOST | LookKind.REFUSED:
            # It may be an earlier order of the number, and what the last call bought may still show.
            return _next_look(history, policy) or _order_ended(look, history)
        case LookKind.UNCLEAR:
            return _look_failed(look, history, policy)
        case LookKind.ABSENT:
            return _absent(history, policy)


def after_poll(look: Look, history: History, policy: Policy) -> Decision:
    """Decide what follows a look at a purchase that is *processing*."""
    polls = history.looks + 1
    again = Decision(status=Status.PROCESSING, delay=poll_delay(policy, polls), looks=polls)
    match look.kind:
        case LookKind.OWNED:
            return _found(look)
        case LookKind.LOST | LookKind.REFUSED:
            return _order_ended(look, history)
        case LookKind.PROCESSING if look.compliance:
            return _ordered(look, again)
        case LookKind.UNCLEAR if not look.unsent:
            return _poll_failed(look, history, again)
    if history.processing_for >= policy.poll_for:
        return _hold("accepted by the provider, and not usable in time", "processing_too_long")
    return replace(again, look_failures=history.look_failures) if look.unsent else again


def _found(look: Look) -> Decision:
    return Decision(
        status=Status.PURCHASED,
        provider_number_id=look.provider_number_id,
        provider_order_id=look.provider_order_id,
    )


def _ordered(look: Look, processing: Decision) -> Decision:
    """An order that stands: followed, or a person's turn where it waits for papers."""
    if not look.compliance:
        return processing
    error = look.error or "the order waits for papers"
    return replace(processing, status=Status.HELD, delay=0.0, doubt=True, error=error, error_code=COMPLIANCE)


def _order_ended(look: Look, history: History) -> Decision:
    """The order was taken, and ended without the number."""
    if look.kind is LookKind.LOST:
        return _hold(look.error or "the provider took the order and gave up on it", "order_lost")
    if history.doubtful:
        return _hold(f"{look.error}; an earlier call may have been executed, and every look says not ours", REFUSED)
    failed = Decision(status=Status.FAILED, error=look.error, error_code=look.error_code or REFUSED)
    return replace(failed, provider_order_id=look.provider_order_id)


def _held_back(said: Decision, wait: float = 0.0) -> Decision:
    """Queue again after *wait* seconds, as if nothing had been tried."""
    return replace(said, delay=wait, counts=False, timed=False)


def _not_sent(said: Decision, outcome: Outcome, history: History, policy: Policy) -> Decision:
    """Queue again until it was tried for too long: without a network nobody is asked, so nobody refuses."""
    if outcome.retry_after is not None:
        return _held_back(said, outcome.retry_after)
    unsent = replace(said, counts=False)
    left = policy.give_up_after - history.tried_seconds
    if left > 0:
        return replace(unsent, delay=min(left, unsent_backoff(policy, history.tried_seconds)))
    return _give_up(unsent, history, f"{history.tried_seconds:,.0f} s of trying")


def _again(said: Decision, history: History, policy: Policy) -> Decision:
    """Queue again with backoff, or give up."""
    wait = backoff(policy, history.attempts)
    if history.attempts < policy.max_attempts and history.tried_seconds + wait <= policy.give_up_after:
        return replace(said, status=Status.QUEUED, delay=wait)
    return _give_up(said, history, f"{history.attempts} attempts")


def _give_up(said: Decision, history: History, after: str) -> Decision:
    error = f"gave up after {after}: {said.error}"
    if history.doubt:
        held = _hold(f"{error}; an earlier call may have been executed", GAVE_UP)
        return replace(held, counts=said.counts)
    return replace(said, status=Status.FAILED, error=error, error_code=said.error_code or GAVE_UP)


def _refused(said: Decision, history: History, policy: Policy, look: Look | None) -> Decision:
    if history.doubt:
        return _doubtful(said, history, policy)
    if look is None or look.kind is LookKind.ABSENT:
        return replace(said, status=Status.FAILED)
    match look.kind:
        case LookKind.OWNED:
            return Decision(status=Status.PURCHASED, provider_number_id=look.provider_number_id, already_owned=True)
        case LookKind.PROCESSING:
            delay = poll_delay(policy, 0)
            processing = replace(said, status=Status.PROCESSING, delay=delay, already_owned=True)
            return replace(processing, provider_number_id=look.provider_number_id)
        case LookKind.UNCLEAR if look.waiting and not look.throttled and look.retry_after is None:
            # A server of ours is away: nobody is called meanwhile.
            return _held_back(said, THROTTLED_WAIT)
        case LookKind.UNCLEAR:
            return _refused_unclear(said, history, policy, look)
    return replace(said, status=Status.FAILED)


def _refused_unclear(said: Decision, history: History, policy: Policy, look: Look) -> Decision:
    """It counts, also where the look has to wait: the provider was asked to sell, and is asked again."""
    again = _again(said, history, policy)
    if look.error_code in (GIVEN_BACK, NOTHING_SHOWN) and again.status is Status.FAILED:
        return _hold(f"{again.error}; {look.error}", GAVE_UP)
    wait = _waits(look) if again.status is Status.QUEUED else 0.0
    return replace(again, delay=max(again.delay, wait))


def _waits(look: Look) -> float:
    if not look.waiting:
        return 0.0
    return THROTTLED_WAIT if look.retry_after is None else look.retry_after


def _doubtful(said: Decision, history: History, policy: Policy) -> Decision:
    """All the looks, where the provider can be asked; else a person."""
    if policy.on_unknown == "hold" or not history.can_look:
        why = "this provider cannot be asked" if not history.can_look else "the policy says hold"
        held = _hold(f"may have been bought, and {why}: {said.error}", said.error_code)
        return replace(held, doubt=said.doubt)
    return replace(said, status=Status.UNKNOWN, delay=policy.reconcile_after[0], from_deadline=True)


def _next_look(history: History, policy: Policy) -> Decision | None:
    """The next look keeps its distance from this one, which may have come late: each is a look at another time."""
    looks = history.looks + 1
    if looks >= len(policy.reconcile_after):
        return None
    distance = policy.reconcile_after[looks] - policy.reconcile_after[looks - 1]
    return Decision(status=Status.UNKNOWN, delay=distance, looks=looks)


def _absent(history: History, policy: Policy) -> Decision:
    if again := _next_look(history, policy):
        return again
    if history.other_number:
        # Whatever is asked for, it may sell another: each call more may be a number that nobody asked for.
        return _hold("answered with another number, which may be sold now; every look says not ours", WRONG_NUMBER)
    if history.refused:
        return _hold("refused after an earlier call that may have been executed; every look says not ours", REFUSED)
    if history.attempts >= policy.max_attempts or history.tried_seconds > policy.give_up_after:
        return _hold(f"{history.attempts} attempts, one of them in doubt; every look says not ours", GAVE_UP)
    return Decision(status=Status.QUEUED, delay=backoff(policy, history.attempts))


def _look_failed(look: Look, history: History, policy: Policy) -> Decision:
    failures = history.look_failures + _failed(look)
    if failures >= MAX_LOOK_FAILURES or (look.unsent and history.tried_seconds > policy.give_up_after):
        return _hold(f"may have been bought, and the provider could not be asked: {look.error}", LOOK_FAILED)
    if look.retry_after is not None:
        wait = look.retry_after
    elif look.unsent:
        wait = unsent_backoff(policy, history.tried_seconds)
    else:
        wait = THROTTLED_WAIT if look.throttled else backoff(policy, max(1, failures), lambda: 1.0)
    wait = max(wait, policy.pause_cooldown) if look.account else wait
    return Decision(status=Status.UNKNOWN, delay=wait, looks=history.looks, look_failures=failures)


def _poll_failed(look: Look, history: History, again: Decision) -> Decision:
    failures = history.look_failures + _failed(look)
    if failures >= MAX_LOOK_FAILURES:
        return _hold(f"accepted, and the provider could not be asked: {look.error}", LOOK_FAILED)
    return replace(again, look_failures=failures)


def _failed(look: Look) -> int:
    return 0 if look.account or look.waiting or look.unsent else 1


def _hold(error: str, code: str | None) -> Decision:
    return Decision(status=Status.HELD, error=error, error_code=code)
