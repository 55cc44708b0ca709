"""What one exchange with a provider came to.

An adapter turns HTTP into one of these values and decides nothing else; policies turn them into a next step.

    purchased    a record of this number: it is ours
    processing   accepted and charged, not usable yet
    refused      this number is refused for good (400, 404, 409, 422 and item errors)
    throttled    429: not executed, come back later
    compliance   neither number nor account is refused: papers are missing (an address, a bundle); not executed
    account      the account is refused (401, 402, 403, balance, quota): not executed, nobody gets through
    not_sent     no byte of the request left this machine
    unknown      it may have been executed: ask before anything is posted again
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.money import Price

MAX_TEXT = 500

COMPLIANCE = "compliance"
"""The error_code of a purchase that waits for papers."""

HISTORY_LOST = "history_lost"
"""The error_code of what the database lost a call of, which may have bought it, or given it back."""

BATCH_REFUSED = "batch_refused"
"""The error_code of a call for several numbers that was answered as a whole: some of them may have been bought."""

NOTHING_SHOWN = "nothing_shown"
"""The error_code of a list without a number that does not prove that there is none, so nothing is settled by it."""

DEARER = "dearer"
"""The error_code of a number that costs more by now than the search told by which it was chosen: nothing was sent."""

WRONG_NUMBER = "wrong_number"
"""The error_code of a call that was answered with another number than was asked for: that one may have been sold."""


class OutcomeKind(StrEnum):
    """The eight ways a purchase call can end; see the module's table."""

    PURCHASED = "purchased"
    PROCESSING = "processing"
    REFUSED = "refused"
    COMPLIANCE = "compliance"
    THROTTLED = "throttled"
    ACCOUNT = "account"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one purchase call ended for one number.

    `retry_after` is in seconds; `error` is for people, `error_code` for programs; `detail` is what the
    provider said, cut to 500 characters and free of secrets. `provider_order_id` is that of an order which was taken
    and stands; `already_owned` marks a yes whose record is older than our first call; `said` is what an answer to a
    whole batch says, which settles nothing for any of its numbers. `full_for` is for how many seconds the provider
    takes no more calls, whatever became of this one.
    """

    kind: OutcomeKind
    provider_number_id: str | None = None
    provider_order_id: str | None = None
    already_owned: bool = False
    said: OutcomeKind | None = None
    error_code: str | None = None
    error: str | None = None
    http_status: int | None = None
    retry_after: float | None = None
    full_for: float | None = None
    detail: str | None = None

    @property
    def yes(self) -> bool:
        """Whether the provider says that it executed the purchase."""
        return self.kind in (OutcomeKind.PURCHASED, OutcomeKind.PROCESSING)

    @property
    def held_back(self) -> bool:
        """Whether we held the call back ourselves, until `retry_after`."""
        return self.kind is OutcomeKind.NOT_SENT and self.retry_after is not None


class LookKind(StrEnum):
    """What a look-up of owned numbers can say about one number.

    OWNED: ours and usable. PROCESSING: ours, not usable yet. LOST: the provider gave up on it after taking
    the order. REFUSED: the order that it took ended without the number, for a documented reason, and the number is
    not ours. ABSENT: not ours, as far as it shows. UNCLEAR: the look-up failed.
    """

    OWNED = "owned"
    PROCESSING = "processing"
    LOST = "lost"
    REFUSED = "refused"
    ABSENT = "absent"
    UNCLEAR = "unclear"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the provider says about our owning one number.

    ABSENT, LOST and REFUSED are findings, out of a whole answer all of which could be read. `compliance` marks an order
    that stands and waits for papers. `account` marks a refused credential; `waiting` that it was not considered, by us
    or the provider: neither counts as a failure. `throttled` marks a 429; `unsent` that nothing was sent, which costs
    time only. `retry_after` is in seconds.
    """

    kind: LookKind
    provider_number_id: str | None = None
    provider_order_id: str | None = None
    error: str | None = None
    error_code: str | None = None
    compliance: bool = False
    account: bool = False
    waiting: bool = False
    throttled: bool = False
    unsent: bool = False
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A number that a provider offers for sale; `price` is None where it tells none."""

    number: str
    region: str | None = None
    price: Price | None = None
    stock_item_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class OwnedNumber:
    """One entry of a provider's list of owned numbers; `number` is E.164 with the plus.

    `usable` is false while the provider still sets it up.
    """

    number: str
    provider_number_id: str
    usable: bool = True


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of `dialstock provider check`: what was asked, whether it is well, and the mend if not.

    `ok` is None where the provider documents no free call that could tell.
    """

    name: str
    ok: bool | None
    message: str


def clip(text: str | None, limit: int = MAX_TEXT) -> str | None:
    """Bound a foreign text and drop its control characters."""
    if text is None:
        return None
    clean = text[: 4 * limit]
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else " " for c in clean)
    return clean if len(clean) <= limit else clean[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
