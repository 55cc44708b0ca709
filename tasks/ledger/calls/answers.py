"""What a call came to and what follows from it, on its way into the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from schemas.outcomes import Outcome
from tasks.ledger.calls.intents import Claim
from tasks.policies.retry import Decision

LONGEST_DELAY = 24 * 3600.0
"""Seconds that a bare answer puts a purchase off at the most."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a claimed call came to, and what follows from it."""

    claim: Claim
    outcome: Outcome
    decision: Decision

    def bare(self) -> Answer:
        """The same in ASCII and without the provider's words, for a database that has no place for those."""
        known = _ascii(self.outcome.provider_number_id)
        outcome = Outcome(kind=self.outcome.kind, provider_number_id=known, error_code="not_storable")
        delay = min(self.decision.delay, LONGEST_DELAY)
        bare = replace(
            self.decision,
            delay=delay,
            provider_number_id=_ascii(self.decision.provider_number_id),
            error="what the provider said cannot be stored",
            error_code=outcome.error_code,
        )
        return replace(self, outcome=outcome, decision=bare)


def _ascii(text: str | None) -> str | None:
    return None if text is None else text.encode("ascii", "replace").decode().replace("\0", "?")
