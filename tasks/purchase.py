"""Buy: reserve the pace, claim, look at the clock, call, record. Two short transactions, none open during the call."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from redis.exceptions import RedisError
from sqlalchemy import Connection

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from tasks.ledger import calls, dispatch
from tasks.ledger.calls import Claim
from tasks.ledger.rows import Row, find
from tasks.patience import patiently
from tasks.policies.pace import Later, Slot
from tasks.policies.retry import History, after_call
from tasks.providers.base import Ask
from tasks.providers.deadline import no_later_than
from tasks.reacting import react
from tasks.runtime import Binding, Runtime

log = logging.getLogger(__name__)

SLEEPABLE = 0.0005
"""Seconds: below this a sleep takes longer than it says, and the rate guard covers it."""

CLAIM_AHEAD = 0.1
"""Seconds before its slot that a call is claimed, so that a slow commit does not make it miss the slot."""


@dataclass(frozen=True)
class _Wanted:
    """A purchase on its way: its message's claim on it, and what `prepare` said, None where nothing was to prepare."""

    purchase_id: str
    revision: int
    prepared: Ask | Outcome | None = None


def buy(runtime: Runtime, purchase_id: str, revision: int, provider: str, *, probe: bool = False) -> Status | None:
    """Make one purchase call for a dispatched purchase at *revision*.

    Returns the status that the purchase has then, or None where there was nothing to do: a duplicate or outdated
    message, no slot, or an outcome that came too late to change anything.
    """
    return next(iter(buy_batch(runtime, [(purchase_id, revision)], provider, probe=probe)), None)


def buy_batch(
    runtime: Runtime, items: Sequence[tuple[str, int]], provider: str, *, probe: bool = False
) -> list[Status | None]:
    """Make one purchase call for several dispatched purchases, each claimed, recorded and told of by itself.

    Returns what `buy` returns, for each purchase that could be claimed.
    """
    binding = runtime.providers.get(provider)
    if binding is None:
        log.error("%d purchases name the provider %r, which is not configured: add it again", len(items), provider)
        return []
    runtime.reached("taken")
    wanted = [one for item in items if (one := _prepare(runtime, binding, *item)) is not None]
    slot = _reserve(runtime, binding, wanted) if wanted else None
    if slot is None:
        return []
    runtime.reached("reserved")
    goes_at = time.monotonic() + slot.wait
    _sleep(runtime, slot.wait - CLAIM_AHEAD)
    claims = _claim(runtime, binding, wanted)
    if not claims:
        runtime.pace.refund(binding.buying, slot)
        return []
    runtime.reached("claimed")
    outcomes = _call(runtime, binding, claims, goes_at)
    runtime.reached("answered")
    return _conclude(runtime, binding, outcomes, probe=probe)


def _prepare(runtime: Runtime, binding: Binding, purchase_id: str, revision: int) -> _Wanted | None:
    """What to buy; None where the purchase has moved on since the message was sent."""
    if not binding.adapter.prepares:
        return _Wanted(purchase_id, revision)
    with runtime.database.read() as conn:
        row = find(conn, purchase_id)
    if row is None or row["status"] != Status.DISPATCHED or row["revision"] != revision:
        return None
    wait = runtime.pace.reserve(binding.looking)
    if isinstance(wait, Later):
        later = Outcome(kind=OutcomeKind.NOT_SENT, error_code="pace", retry_after=wait.wait)
        return _Wanted(purchase_id, revision, later)
    runtime.sleep(wait.wait)
    prepared = binding.adapter.prepare(Ask(number=row["number"], options=row["options"]))
    return _Wanted(purchase_id, revision, prepared)


def _reserve(runtime: Runtime, binding: Binding, wanted: Sequence[_Wanted]) -> Slot | None:
    """A slot within the horizon; where there is none, the purchases wait in the table until its time."""
    slot = runtime.pace.reserve(binding.buying)
    if isinstance(slot, Slot):
        return slot
    now = runtime.now()
    with runtime.database.write() as conn:
        for one in wanted:
            dispatch.postpone(conn, one.purchase_id, one.revision, now + timedelta(seconds=slot.wait), now)
    return None


def _claim(runtime: Runtime, binding: Binding, wanted: Sequence[_Wanted]) -> list[tuple[Claim, _Wanted]]:
    seconds = binding.policy.send_within + binding.policy.timeout
    now = runtime.now

    def claim_all(conn: Connection) -> list[tuple[Claim | None, _Wanted]]:
        return [(calls.claim(conn, one.purchase_id, one.revision, now(), seconds), one) for one in wanted]

    return [(claim, one) for claim, one in runtime.database.transact(claim_all) if claim is not None]


def _call(
    runtime: Runtime, binding: Binding, claims: Sequence[tuple[Claim, _Wanted]], goes_at: float
) -> list[tuple[Claim, Outcome]]:
    """The outcome of each claim: of the call, or why it was not made."""
    done = [(claim, one.prepared) for claim, one in claims if isinstance(one.prepared, Outcome)]
    asks = [(claim, _ask(claim, one.prepared)) for claim, one in claims if not isinstance(one.prepared, Outcome)]
    if not asks:
        return done
    outcomes = _send(runtime, binding, asks[0][0], [ask for _, ask in asks], goes_at)
    return done + [(claim, outcome) for (claim, _), outcome in zip(asks, outcomes, strict=True)]


def _ask(claim: Claim, prepared: Ask | None) -> Ask:
    return prepared or Ask(number=claim.row["number"], options=claim.row["options"])


def _send(runtime: Runtime, binding: Binding, claim: Claim, asks: Sequence[Ask], goes_at: float) -> list[Outcome]:
    """Make the call, unless its slot or its time have passed; *claim* is the earliest of its claims."""
    _sleep(runtime, min(CLAIM_AHEAD, goes_at - time.monotonic()))
    # The guard is for the way to the provider, too.
    if time.monotonic() - goes_at > binding.policy.rate_guard / 2 and not _new_slot(runtime, binding, claim):
        return [_held_back("its slot passed before the call could be made", "pace")] * len(asks)
    looked_at = time.monotonic()
    late = (runtime.now() - claim.started_at).total_seconds()
    if late > binding.policy.send_within:
        return [_held_back(f"{late:.1f} s passed after the intent: too late to send", "too_late")] * len(asks)
    runtime.reached("sending")
    with no_later_than(looked_at + (claim.deadline - claim.started_at).total_seconds() - late):
        return binding.adapter.buy(asks)


def _sleep(runtime: Runtime, seconds: float) -> None:
    if seconds >= SLEEPABLE:
        runtime.sleep(seconds)


def _new_slot(runtime: Runtime, binding: Binding, claim: Claim) -> bool:
    """Another slot for a call that missed its own, while its intent is fresh."""
    spent = (runtime.now() - claim.started_at).total_seconds()
    try:
        slot = runtime.pace.reserve(binding.buying, horizon=binding.policy.send_within / 2 - spent)
    except RedisError:
        return False
    if isinstance(slot, Later):
        return False
    runtime.sleep(slot.wait)
    return True


def _held_back(error: str, code: str) -> Outcome:
    return Outcome(kind=OutcomeKind.NOT_SENT, error=error, error_code=code, retry_after=0.0)


def _conclude(
    runtime: Runtime, binding: Binding, outcomes: Sequence[tuple[Claim, Outcome]], *, probe: bool
) -> list[Status | None]:
    """Record each outcome; those that need a look come last, so that none waits for another's."""
    in_order = sorted(outcomes, key=lambda pair: pair[1].kind is OutcomeKind.REFUSED)
    after = [_record(runtime, binding, claim, outcome) for claim, outcome in in_order]
    runtime.reached("recorded")
    react(runtime, binding, [(claim.row["number"], outcome) for claim, outcome in in_order], probe=probe)
    return after


def _record(runtime: Runtime, binding: Binding, claim: Claim, outcome: Outcome) -> Status | None:
    row = claim.row
    can_look = binding.adapter.lookup != "none"
    look = None
    if outcome.kind is OutcomeKind.REFUSED and can_look and not row["doubt"]:
        look = _look_once(runtime, binding, claim)
    history = History(
        attempts=row["attempts"], tried_seconds=row["tried_seconds"], doubt=row["doubt"], can_look=can_look
    )
    decision = after_call(outcome, history, binding.policy, look)

    def write(conn: Connection) -> Row | None:
        return calls.record(conn, claim, outcome, decision, runtime.now())

    after = patiently(lambda: runtime.database.transact(write))
    return None if after is None else Status(after["status"])


def _look_once(runtime: Runtime, binding: Binding, claim: Claim) -> Look:
    """Whether a number that was just refused is ours already."""
    number = claim.row["number"]
    try:
        slot = _look_slot(runtime, binding)
    except RedisError as exc:
        return Look(kind=LookKind.UNCLEAR, error=f"no pace without Redis: {type(exc).__name__}")
    if isinstance(slot, Later):
        return Look(kind=LookKind.UNCLEAR, error="look-ups are at their limit", retry_after=slot.wait)
    until = runtime.now() + timedelta(seconds=slot.wait + binding.policy.timeout)
    with runtime.database.write() as conn:
        calls.extend(conn, claim, until)
    runtime.sleep(slot.wait)
    return binding.adapter.look({number: None})[number]


def _look_slot(runtime: Runtime, binding: Binding) -> Slot | Later:
    """A slot for a look, or Later where it would come after the call's own time-out."""
    slot = runtime.pace.reserve(binding.looking)
    if isinstance(slot, Later) and slot.wait < binding.policy.timeout:
        runtime.sleep(slot.wait)
        slot = runtime.pace.reserve(binding.looking)
    return slot
