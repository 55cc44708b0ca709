"""What a purchase waits for and what happens next, in words; and the same for a provider's whole part of an order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.config.policy import Policy
from schemas.outcomes import COMPLIANCE, HISTORY_LOST
from schemas.status import Status
from tasks.ledger.queue.standing import stops
from tasks.policies.pause import Cause
from tasks.policies.retry import NOT_BOUGHT
from tasks.providers.registry import kinds
from workers.views.words import duration, moment

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Around:
    """What surrounds a purchase: its provider's policy and state.

    `policy` is None where no worker buys for it: its alias is not configured, or is another account now. `release` is
    the one that goes on, of a purchase that is being given back. `spent` says why the account's limits of a day leave
    no room for it.
    """

    policy: Policy | None
    state: Row | None
    now: datetime
    kind: str | None = None
    release: Row | None = None
    spent: str | None = None

    @property
    def paused(self) -> str | None:
        """Since when and why the provider is paused; None where it is not."""
        return pause_in_words(self.state, self.now, self.kind)


def pause_in_words(state: Row | None, now: datetime, kind: str | None = None) -> str | None:
    """'paused since ... (account): reason; ...' and what ends it; None where the provider is not paused.

    *kind* is the provider's, where it is known.
    """
    if state is None or state["paused_at"] is None:
        return None
    text = f"paused since {moment(state['paused_at'])} ({state['cause']}): {state['reason']}"
    if state["cause"] == Cause.BEHIND:
        return f"{text}; until `{_goes_on_by(state['provider'], kind)}`{_beneath(state)}"
    if state["cause"] == Cause.PERSON or state["probe_at"] is None:
        return f"{text}; until `dialstock provider resume {state['provider']}`"
    return f"{text}; {tries_again(state['probe_at'], now)}"


def tries_again(probe_at: datetime, now: datetime) -> str:
    """How a machine's pause ends."""
    # Perhaps none waits: what is no purchase goes on by then.
    if probe_at <= now:
        return "the next purchase tries again"
    return f"one purchase may try again {when(probe_at, now)}"


def _beneath(state: Row) -> str:
    """A person's pause that stands beside that of a database that went back in time."""
    if state["person_paused_at"] is None:
        return ""
    since = f"{moment(state['person_paused_at'])} (person): {state['person_reason']}"
    return f"; and since {since}; until `dialstock provider resume {state['provider']}`"


def mend_of(alias: str, kind: str | None) -> str:
    """What to do for a provider whose purchases the database has lost; *kind* is its kind, where it is known."""
    if kind is None or kinds()[kind].lists_owned:
        return _goes_on_by(alias, kind)
    return f"see at its dashboard what is ours, then {_goes_on_by(alias, kind)}"


def _goes_on_by(alias: str, kind: str | None) -> str:
    """An audit is refused where the kind shows no list."""
    if kind is None or kinds()[kind].lists_owned:
        return f"dialstock audit {alias} --adopt"
    return f"dialstock provider resume {alias} --lost-history --reason WHY"


def when(value: datetime, now: datetime) -> str:
    """'in 12 s', 'now', or the time of day where it is more than a few minutes off."""
    seconds = (value - now).total_seconds()
    if seconds <= 0.5:
        return "now"
    return f"in {duration(seconds)}" if seconds < 600 else f"at {moment(value)}"


def next_step(purchase: Row, around: Around) -> str:
    """What the purchase waits for, and what will happen next."""
    status = Status(purchase["status"])
    text = _ENDED[status].format(**purchase) if status in _ENDED else _ALIVE[status](purchase, around)
    if purchase["cancel_requested_at"] is not None and status in (Status.PURCHASING, Status.UNKNOWN):
        text += " A cancel was asked for: it is not bought again."
    return text


def _queued(purchase: Row, around: Around) -> str:
    if around.policy is None:
        return _stranded(purchase)
    again = "Tried again" if purchase["attempts"] else "Bought"
    tries = f"try {purchase['attempts'] + 1} of {around.policy.max_attempts}"
    due = purchase["due_at"]
    if around.paused:
        return f"{again} when the provider goes on ({tries}). It is {around.paused}."
    if around.spent:
        return f"{again} once its account may buy more ({tries}). {around.spent[0].upper()}{around.spent[1:]}."
    if due is not None and due > around.now:
        return f"Backs off: {again.lower()} {when(due, around.now)} ({tries})."
    rates = " and ".join(map(str, around.policy.rate_limits))
    daily = "".join(f", {told}" for told in _limits_of_a_day(around.policy))
    return f"{again} as soon as a worker has room for it ({tries}); the provider's pace is {rates}{daily}."


def _limits_of_a_day(policy: Policy) -> Iterator[str]:
    """What a provider's account may buy in 24 hours at the most, and for how much."""
    if policy.daily_limit:
        yield f"{policy.daily_limit:,} in 24 h"
    if policy.max_spend:
        yield f"{policy.max_spend} in 24 h"


def _stranded(purchase: Row) -> str:
    whose = f"{purchase['provider']!r} for {purchase['account']}"
    return f"Waits, as no worker buys under {whose}: configure it again, or see `dialstock provider list` for the mend."


def _dispatched(purchase: Row, around: Around) -> str:
    due = purchase["due_at"] or around.now
    return f"Released to the workers; back in the queue {when(due, around.now)} if none takes it."


def _purchasing(purchase: Row, around: Around) -> str:
    deadline = purchase["call_deadline"] or around.now
    return (
        f"The call to buy it is under way, and over {when(deadline, around.now)} at the latest. "
        "If its worker is gone, the provider is asked whether the number is ours before anything is posted again."
    )


def _processing(purchase: Row, around: Around) -> str:
    due = when(purchase["due_at"] or around.now, around.now)
    text = f"The provider took the order; it is asked {due} whether the number is usable."
    if around.policy is None:
        return f"The provider took the order. {_stranded(purchase)}"
    return f"{text} If it is not after {duration(around.policy.poll_for)}, a person has to look."


def _unknown(purchase: Row, around: Around) -> str:
    due = when(purchase["due_at"] or around.now, around.now)
    if around.policy is None:
        return f"May have been bought. {_stranded(purchase)}"
    looks = len(around.policy.reconcile_after)
    return (
        f"May have been bought: the provider is asked {due} whether it is ours (look {purchase['looks'] + 1} of "
        f"{looks}). If every look says no, it is tried again."
    )


def _held(purchase: Row, around: Around) -> str:
    if purchase["error_code"] == COMPLIANCE:
        return _papers(purchase)
    doubt = "It may have been bought and paid for: see at the provider" if purchase["doubt"] else "See at the provider"
    if purchase["error_code"] == HISTORY_LOST:
        doubt = f"The database lost a call for it, whose answer is not known here. {doubt}"
    resolve = f"dialstock purchase resolve {purchase['id']}"
    settle = f"`{resolve} --bought` if it is; if not, `{resolve} --fail`, or --retry in its place to buy it again"
    text = f"Waits for a person. {doubt} whether {purchase['number']} is there: {settle}. Nothing is bought by itself."
    policy = around.policy
    if policy is None or policy.on_unknown == "hold" or not (policy.settle_after and policy.audit_every):
        return text
    sold = purchase["provider_order_id"] or purchase["provider_number_id"]
    if purchase["error_code"] not in NOT_BOUGHT or sold:
        return text
    after = duration(policy.settle_after)
    return f"{text} Not listed as ours {after} after its call, the audit says that it was not bought."


def _releasing(purchase: Row, around: Around) -> str:
    if around.policy is None:
        return f"Bought, and to be given back. {_stranded(purchase)}"
    paused = f" It is {around.paused}." if around.state is not None and stops(around.state, around.now) else ""
    release = around.release or {"doubt": False, "due_at": around.now}
    due = when(release["due_at"], around.now)
    if release["doubt"]:
        asked = f"Bought, and perhaps given back: the provider is asked {due} whether it is ours still."
        return f"{asked}{paused}"
    return (
        f"Bought, and on its way back to the provider: a worker calls {due}. A call whose answer was lost is looked up "
        f"before another is made. `dialstock release {purchase['number']} --cancel` keeps it before that.{paused}"
    )


def _papers(purchase: Row) -> str:
    """What a purchase waits for whose papers are missing; an order that stands is not ordered again."""
    there = "see that the provider has them, or name them in providers.toml"
    settle = f"dialstock purchase resolve {purchase['id']}"
    again = f"`{settle} --retry`"
    if purchase["provider_order_id"] is not None:
        return (
            f"Its order waits at the provider for papers: {there}; then {again} follows the order again. "
            f"Not wanted any more: cancel the order there before `{settle} --fail`: else it may be delivered."
        )
    return (
        f"Nothing was bought: papers are missing. Once they are there ({there}), {again} buys it. "
        f"Where you bought it at the provider yourself: `{settle} --bought`."
    )


_ALIVE = {
    Status.QUEUED: _queued,
    Status.DISPATCHED: _dispatched,
    Status.PURCHASING: _purchasing,
    Status.PROCESSING: _processing,
    Status.UNKNOWN: _unknown,
    Status.HELD: _held,
    Status.RELEASING: _releasing,
}
_ENDED = {
    Status.PURCHASED: "Done: the number is ours.",
    Status.FAILED: "Ended: it was not bought. The same number may be bought again by a new purchase.",
    Status.CANCELLED: "Ended: it was cancelled before it was bought.",
    Status.RELEASED: "Ended: it was bought, and given back at the provider.",
}
