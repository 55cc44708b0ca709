"""Giving a number back: what one call to release it came to, and what is asked for.

released      the provider says that it is not ours any more
accepted      the call was taken, and is carried out later
too_recent    refused for now: the provider keeps a number for some days after its purchase
refused       refused, or the provider does not know the number: a look tells whether it is ours still
throttled     429: not executed, come back later
account       the account is refused: not executed
not_sent      no byte of the request left this machine
unknown       it may have been executed: look before anything is sent again
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from schemas.metadata import Metadata
from schemas.outcomes import Outcome
from schemas.requests import E164, Alias, Key, digest


class ReleaseKind(StrEnum):
    """The ways a call to release can end; see the module's table."""

    RELEASED = "released"
    ACCEPTED = "accepted"
    TOO_RECENT = "too_recent"
    REFUSED = "refused"
    THROTTLED = "throttled"
    ACCOUNT = "account"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class ReleaseOutcome:
    """How one call to release ended. `retry_after` is in seconds; the texts are as in `schemas.outcomes.Outcome`."""

    kind: ReleaseKind
    error_code: str | None = None
    error: str | None = None
    http_status: int | None = None
    retry_after: float | None = None
    detail: str | None = None

    @classmethod
    def of(cls, outcome: Outcome, kind: ReleaseKind | None = None) -> ReleaseOutcome:
        """What an exchange came to that is told as an outcome; *kind* in place of the one of the same name."""
        named = {one.value: one for one in ReleaseKind}.get(str(outcome.kind), ReleaseKind.UNKNOWN)
        return cls(
            kind=kind or named,
            error_code=outcome.error_code,
            error=outcome.error,
            http_status=outcome.http_status,
            retry_after=outcome.retry_after,
            detail=outcome.detail,
        )


class ReleaseStatus(StrEnum):
    """OPEN: it goes on. RELEASED: the number is not ours any more. KEPT: it is ours still, and `error` says why."""

    OPEN = "open"
    RELEASED = "released"
    KEPT = "kept"


class ReleaseNumber(BaseModel):
    """One number to give back: `number` as E.164, `provider` as an alias of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: E164
    provider: Alias
    idempotency_key: Key | None = None
    metadata: Metadata = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What the same key must come with: number, provider and metadata."""
        return digest(["release", self.number, self.provider, self.metadata])
