"""What follows a call to release a number, or a look after one: values in, a decision out.

A call that may have been executed is looked up, and nothing is sent before the provider has said, look after look, that
the number is ours still. *Gone* needs as many whole looks as *not ours* does for a purchase, and so does *still there*.
A call that the provider accepted is carried out some time: *still there* ends nothing then, but a person's word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from schemas.config.policy import Policy
from schemas.outcomes import Look, LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome, ReleaseStatus
from tasks.policies.backoff import THROTTLED_WAIT, backoff

DAY = 86_400.0
LOOK_AGAIN_MAX = 3_600.0
"""Seconds between two looks that failed, at the most: they go on until one is whole."""


class Found(StrEnum):
    """What a whole look says of the number that is given back."""

    GONE = "gone"
    THERE = "there"


@dataclass(frozen=True, kw_only=True)
class Past:
    """What happened to a release up to now, the present call included.

    `looks` counts whole looks in a row that said `found`, `look_failures` those that said nothing; `refused`: the last
    call was; `accepted`: the provider took a call, to carry it out later; `wanted`: somebody asked for the number
    since; `may_go_in`: seconds until the provider lets it go.
    """

    number_id: str
    attempts: int = 1
    looks: int = 0
    found: str | None = None
    look_failures: int = 0
    refused: bool = False
    accepted: bool = False
    wanted: bool = False
    error: str | None = None
    may_go_in: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is next. `delay` is in seconds from now, or `from_deadline` of the call; `doubt`: then a look, else a call.

    `counts`: the call counts as an attempt.
    """

    status: ReleaseStatus = ReleaseStatus.OPEN
    delay: float = 0.0
    from_deadline: bool = False
    doubt: bool = False
    counts: bool = True
    looks: int = 0
    found: Found | None = None
    look_failures: int = 0
    error: str | None = None
    error_code: str | None = None


def after_release(outcome: ReleaseOutcome, past: Past, policy: Policy) -> Step:
    """Decide what follows a call."""
    said = Step(error=outcome.error, error_code=outcome.error_code)
    match outcome.kind:
        case ReleaseKind.RELEASED:
            return Step(status=ReleaseStatus.RELEASED)
        case ReleaseKind.UNKNOWN:
            return replace(said, doubt=True, delay=policy.reconcile_after[0], from_deadline=True)
        case ReleaseKind.ACCEPTED:
            return replace(said, doubt=True, delay=policy.reconcile_after[0])
        case ReleaseKind.REFUSED:
            return replace(said, doubt=True)
        case ReleaseKind.TOO_RECENT:
            return replace(said, delay=past.may_go_in or DAY, counts=False)
        case ReleaseKind.THROTTLED:
            wait = THROTTLED_WAIT if outcome.retry_after is None else outcome.retry_after
            return replace(said, delay=wait, counts=False)
        case ReleaseKind.NOT_SENT:
            wait = backoff(policy, 1) + policy.backoff_initial if outcome.retry_after is None else outcome.retry_after
            return replace(said, delay=wait, counts=False)
        case ReleaseKind.ACCOUNT:
            return _again(past, policy, policy.pause_cooldown, outcome.error, outcome.error_code)


def after_look(look: Look, past: Past, policy: Policy) -> Step:
    """Decide what follows a look at a number whose release is in doubt."""
    step = _by_look(look, past, policy)
    if not past.accepted or step.doubt or step.status is ReleaseStatus.RELEASED:
        return step
    return _not_carried_out(step, past, policy)


def _by_look(look: Look, past: Past, policy: Policy) -> Step:
    match look.kind:
        case LookKind.ABSENT | LookKind.LOST:
            return _counted(Found.GONE, past, policy) or Step(status=ReleaseStatus.RELEASED)
        case LookKind.OWNED | LookKind.PROCESSING if look.provider_number_id == past.number_id:
            return _still_there(past, policy)
        case LookKind.OWNED | LookKind.PROCESSING if look.provider_number_id is not None:
            error = f"the provider has the number under another id, {look.provider_number_id}: see there which is whose"
            return Step(status=ReleaseStatus.KEPT, error=error, error_code="other_id")
    failures = past.look_failures + (0 if look.waiting or look.account or look.unsent else 1)
    wait = _rising(policy, failures)
    found = Found(past.found) if past.found else None
    return Step(
        doubt=True,
        delay=max(wait, look.retry_after or 0.0),
        looks=past.looks,
        found=found,
        look_failures=failures,
        error=look.error or "a look said nothing",
        error_code="look_failed",
    )


def _not_carried_out(step: Step, past: Past, policy: Policy) -> Step:
    """Where a call was accepted, what would end as kept, or be called again, is looked at for as long as it takes."""
    looks = past.looks + 1 if past.found == Found.THERE else 1
    waits = Step(doubt=True, delay=_rising(policy, looks), looks=looks, found=Found.THERE)
    if step.error_code == "other_id":
        return replace(waits, error=step.error, error_code=step.error_code)
    return replace(waits, error="the provider accepted the call, and shows the number still", error_code="accepted")


def _rising(policy: Policy, times: int) -> float:
    """Seconds to the next look, after so many that settled nothing."""
    return min(LOOK_AGAIN_MAX, max(1.0, policy.reconcile_after[0]) * 2.0 ** min(times, 20))


def _still_there(past: Past, policy: Policy) -> Step:
    """A refusal needs one look; what may have been executed may show for a while."""
    if past.refused:
        return Step(status=ReleaseStatus.KEPT, error=past.error, error_code="refused")
    if waits := _counted(Found.THERE, past, policy):
        return waits
    if past.wanted:
        return wanted_again()
    return _again(past, policy, 0.0, past.error, "not_executed")


def may_go_in(keeps_for: Sequence[float], bought_at: datetime | None, now: datetime) -> float:
    """Seconds until the next date at which the provider may let the number go; 0 where there is none to come."""
    if bought_at is None:
        return 0.0
    waits = [(bought_at - now).total_seconds() + kept for kept in keeps_for]
    return next((wait for wait in waits if wait > 0), 0.0)


def wanted_again() -> Step:
    """What becomes of a release whose number somebody asked for since."""
    return Step(
        status=ReleaseStatus.KEPT, error="somebody asked for the number since: it is kept", error_code="wanted_again"
    )


def _counted(found: Found, past: Past, policy: Policy) -> Step | None:
    """The wait for the next look, until as many in a row as the policy has have said so."""
    looks = past.looks + 1 if past.found == found else 1
    times = policy.reconcile_after
    if looks >= len(times):
        return None
    delay = max(0.0, times[looks] - times[looks - 1])
    return Step(doubt=True, delay=delay, looks=looks, found=found, error=past.error, error_code="in_doubt")


def _again(past: Past, policy: Policy, delay: float, error: str | None, code: str | None) -> Step:
    if past.attempts >= policy.max_attempts:
        error = f"the provider keeps it after {past.attempts} calls: {error or 'it is ours still'}"
        return Step(status=ReleaseStatus.KEPT, error=error, error_code="gave_up")
    return Step(delay=delay, error=error, error_code=code)
