"""What a person or an audit says about a purchase, and what an audit can find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a purchase was settled from outside its own calls and looks.

    A person: BOUGHT, RETRY (buy again), FAIL. An audit: ADOPTED (ours, and unknown here), EVIDENCE (ours after
    all), RELEASED (not ours any more), ABSENT (held though refused, and long not ours).
    """

    BOUGHT = "bought"
    RETRY = "retry"
    FAIL = "fail"
    ADOPTED = "adopted"
    EVIDENCE = "evidence"
    RELEASED = "released"
    ABSENT = "absent"


class FindingKind(StrEnum):
    """ORPHAN: owned, and no purchase of ours stands for it. EVIDENCE: owned, and our purchase does not know it yet.

    MISSING: purchased here, and not owned. ABSENT: held though nothing says that it was bought, and not owned.
    CHARGED_TWICE: two calls of one purchase were executed, or one number is owned under two ids.
    """

    ORPHAN = "orphan"
    EVIDENCE = "evidence"
    MISSING = "missing"
    ABSENT = "absent"
    CHARGED_TWICE = "charged_twice"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One difference between a provider's list and the table; at most one of a kind for a number.

    `provider` is the alias of the purchase, `purchase_id` and `status` are its; an orphan's are those of the latest
    purchase that ended without the number, if any. `usable` is false while the provider still sets the number up.
    """

    kind: FindingKind
    number: str
    provider: str
    purchase_id: str | None = None
    status: str | None = None
    provider_number_ids: tuple[str, ...] = ()
    usable: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the other findings of an account."""
        return str(self.kind), self.number
