"""When a provider is paused: its account is refused, or too much goes wrong in a row."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from schemas.config.policy import Policy
from schemas.outcomes import DEARER, WRONG_NUMBER, Outcome, OutcomeKind

MAX_COOLDOWN = 3600.0
"""Seconds: the longest a machine's pause lasts before it probes again."""


class Cause(StrEnum):
    """Who or what paused a provider; a person's pause is ended by a person.

    BEHIND: the database went back in time. That is ended by an audit that takes in what is ours, or by a person's word.
    WRONG_NUMBER: it answered with another number than it was asked for, which it may have sold; so may each probe.
    """

    ACCOUNT = "account"
    REFUSALS = "refusals"
    FAILURES = "failures"
    WRONG_NUMBER = "wrong_number"
    BEHIND = "database_behind"
    PERSON = "person"

    @property
    def by_machine(self) -> bool:
        """Whether the machine may end it, or let it cool down for longer, by what it hears from the provider."""
        return self not in (Cause.PERSON, Cause.BEHIND)


@dataclass(frozen=True, kw_only=True)
class Pause:
    """Stop a provider. `cooldown` is in seconds, None until a person resumes it.

    `lost_until` is when the newest call began that a database behind has lost: a pause from before was not for that.
    """

    cause: Cause
    reason: str
    cooldown: float | None
    lost_until: datetime | None = None


def longer(cooldown: float) -> float:
    """The cool-down after a probe that failed too."""
    return min(MAX_COOLDOWN, cooldown * 2)


@dataclass
class Streaks:
    """What went wrong in a row at one provider, as one process sees it: a hint, not money."""

    _failures: int = 0
    _refused: set[str] = field(default_factory=set)
    _refusal: tuple[int | None, str | None] = (None, None)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def feed(self, number: str, outcome: Outcome, policy: Policy) -> Pause | None:
        """Count one outcome; a Pause where it is the account's refusal or one too many in a row."""
        if outcome.error_code == WRONG_NUMBER:
            return Pause(cause=Cause.WRONG_NUMBER, reason=_reason(outcome), cooldown=policy.pause_cooldown)
        # Each further batch that is not let in would put all its numbers in doubt; a probe is of one.
        if OutcomeKind.ACCOUNT in (outcome.kind, outcome.said) or outcome.said is OutcomeKind.THROTTLED:
            return Pause(cause=Cause.ACCOUNT, reason=_reason(outcome), cooldown=policy.pause_cooldown)
        with self._lock:
            return self._count(number, outcome, policy)

    def _count(self, number: str, outcome: Outcome, policy: Policy) -> Pause | None:
        limit, cooldown = policy.pause_after_failures, policy.pause_cooldown
        if outcome.kind is OutcomeKind.COMPLIANCE or outcome.error_code == DEARER:
            return None
        if outcome.yes or outcome.kind is OutcomeKind.THROTTLED:
            self._reset()
            return None
        if outcome.kind is OutcomeKind.REFUSED:
            return self._count_refusal(number, outcome, limit, cooldown)
        self._failures += 1
        if self._failures >= limit:
            self._reset()
            reason = f"{limit} calls in a row without an answer that settles: {_reason(outcome)}"
            return Pause(cause=Cause.FAILURES, reason=reason, cooldown=cooldown)
        return None

    def _count_refusal(self, number: str, outcome: Outcome, limit: int, cooldown: float) -> Pause | None:
        self._failures = 0
        same = (outcome.http_status, outcome.error_code)
        if same != self._refusal:
            self._refusal = same
            self._refused = set()
        self._refused.add(number)
        if len(self._refused) < limit:
            return None
        self._reset()
        reason = f"the same refusal for {limit} numbers in a row: {_reason(outcome)}"
        return Pause(cause=Cause.REFUSALS, reason=reason, cooldown=cooldown)

    def _reset(self) -> None:
        self._failures = 0
        self._refused = set()
        self._refusal = (None, None)


def _reason(outcome: Outcome) -> str:
    return outcome.error or outcome.error_code or str(outcome.kind)
