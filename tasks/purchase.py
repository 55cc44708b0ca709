"""Buy one number: reserve the pace, claim, look at the clock, call, record. Two short transactions, none open
during the call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from tasks.ledger import calls, dispatch, pausing
from tasks.ledger.calls import Claim
from tasks.ledger.rows import Row, find
from tasks.policies.pace import Later, Slot
from tasks.policies.pause import Pause, Streaks
from tasks.policies.retry import Decision, History, after_call
from tasks.providers.base import Ask
from tasks.providers.deadline import no_later_than
from tasks.runtime import Binding, Runtime

log = logging.getLogger(__name__)
T = TypeVar("T")

RECORD_PATIENCE = 300.0
"""Seconds that a worker with an answer in its hands waits for a database that is away."""

SLEEPABLE = 0.0005
"""Seconds: below this a sleep takes longer than it says, and the rate guard covers it."""

DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)

_streaks: dict[str, Streaks] = {}


def buy(runtime: Runtime, purchase_id: str, revision: int, provider: str, *, probe: bool = False) -> Status | None:
    """Make one purchase call for a dispatched purchase at *revision*.

    Returns the status that the purchase has then, or None where there was nothing to do: a duplicate or outdated
    message, no slot, or an outcome that came too late to change anything.
    """
    binding = runtime.providers.get(provider)
    if binding is None:
        log.error("purchase %s names the provider %r, which is not configured: add it again", purchase_id, provider)
        return None
    runtime.reached("taken")
    try:
        prepared = _prepare(runtime, binding, purchase_id, revision)
    except _Outdated:
        return None
    slot = _reserve(runtime, binding, purchase_id, revision)
    if slot is None:
        return None
    runtime.reached("reserved")
    goes_at = time.monotonic() + slot.wait
    if slot.wait >= SLEEPABLE:
        runtime.sleep(slot.wait)
    claim = _claim(runtime, binding, purchase_id, revision)
    if claim is None:
        runtime.pace.refund(binding.buying, slot)
        return None
    runtime.reached("claimed")
    outcome = _call(runtime, binding, claim, prepared, goes_at)
    runtime.reached("answered")
    return _conclude(runtime, binding, claim, outcome, probe=probe)


class _Outdated(Exception):
    """The purchase has moved on since the message was sent."""


def _prepare(runtime: Runtime, binding: Binding, purchase_id: str, revision: int) -> Ask | Outcome | None:
    """What to buy where calls are needed to know it; None where the row says it all. Raises _Outdated."""
    if not binding.adapter.prepares:
        return None
    with runtime.database.read() as conn:
        row = find(conn, purchase_id)
    if row is None or row["status"] != Status.DISPATCHED or row["revision"] != revision:
        raise _Outdated
    ask = Ask(number=row["number"], options=row["options"])
    wait = runtime.pace.reserve(binding.looking)
    if isinstance(wait, Later):
        return Outcome(kind=OutcomeKind.NOT_SENT, error_code="pace", retry_after=wait.wait)
    runtime.sleep(wait.wait)
    return binding.adapter.prepare(ask)


def _reserve(runtime: Runtime, binding: Binding, purchase_id: str, revision: int) -> Slot | None:
    """A slot within the horizon; where there is none, the purchase waits in the table until its time."""
    lane = binding.buying
    slot = runtime.pace.reserve(lane)
    if isinstance(slot, Slot):
        return slot
    now = runtime.now()
    with runtime.database.write() as conn:
        dispatch.postpone(conn, purchase_id, revision, now + timedelta(seconds=slot.wait), now)
    return None


def _claim(runtime: Runtime, binding: Binding, purchase_id: str, revision: int) -> Claim | None:
    seconds = binding.policy.send_within + binding.policy.timeout
    return runtime.database.transact(lambda conn: calls.claim(conn, purchase_id, revision, runtime.now(), seconds))


def _call(runtime: Runtime, binding: Binding, claim: Claim, prepared: Ask | Outcome | None, goes_at: float) -> Outcome:
    """The outcome of the call, or why it was not made."""
    if isinstance(prepared, Outcome):
        return prepared
    if time.monotonic() - goes_at > binding.policy.rate_guard and not _new_slot(runtime, binding, claim):
        return _held_back("its slot passed before the call could be made", "pace")
    looked_at = time.monotonic()
    late = (runtime.now() - claim.started_at).total_seconds()
    if late > binding.policy.send_within:
        return _held_back(f"{late:.1f} s passed after the intent: too late to send", "too_late")
    runtime.reached("sending")
    row = claim.row
    with no_later_than(looked_at + (claim.deadline - claim.started_at).total_seconds() - late):
        return binding.adapter.buy([prepared or Ask(number=row["number"], options=row["options"])])[0]


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


def _conclude(runtime: Runtime, binding: Binding, claim: Claim, outcome: Outcome, *, probe: bool) -> Status | None:
    row = claim.row
    can_look = binding.adapter.lookup != "none"
    look = None
    if outcome.kind is OutcomeKind.REFUSED and can_look and not row["doubt"]:
        look = _look_once(runtime, binding, claim)
    history = History(
        attempts=row["attempts"],
        tried_seconds=row["tried_seconds"],
        doubt=row["doubt"],
        can_look=can_look,
    )
    decision = after_call(outcome, history, binding.policy, look)
    after = patiently(lambda: _record(runtime, claim, outcome, decision))
    runtime.reached("recorded")
    _react(runtime, binding, row, outcome, probe=probe)
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


def _record(runtime: Runtime, claim: Claim, outcome: Outcome, decision: Decision) -> Row | None:
    return runtime.database.transact(lambda conn: calls.record(conn, claim, outcome, decision, runtime.now()))


def patiently(action: Callable[[], T]) -> T:
    """Run *action* until the database takes it: a provider's answer must not be lost to a restart.

    Raises what the database raised after five minutes; the sweep then takes the call for lost.
    """
    deadline = time.monotonic() + RECORD_PATIENCE
    while True:
        try:
            return action()
        except DATABASE_AWAY as exc:
            if time.monotonic() > deadline:
                raise
            log.warning("the database does not take an outcome, trying again: %s", type(exc).__name__)
            time.sleep(0.5)


def _react(runtime: Runtime, binding: Binding, row: Row, outcome: Outcome, *, probe: bool) -> None:
    """What one outcome means for the whole provider: cool down, pause, or end a pause."""
    if outcome.kind is OutcomeKind.THROTTLED:
        _cool_down(runtime, binding, outcome)
    if outcome.kind is OutcomeKind.NOT_SENT and outcome.retry_after is not None:
        return  # held back by us: that tells nothing of the provider
    streaks = _streaks.setdefault(binding.alias, Streaks())
    wanted = streaks.feed(row["number"], outcome, binding.policy)
    if wanted is not None:
        pause_provider(runtime, binding.alias, wanted)
    elif probe:
        _conclude_probe(runtime, binding.alias, outcome)


def _conclude_probe(runtime: Runtime, alias: str, outcome: Outcome) -> None:
    """End the pause where the provider answered the probe, else let it cool down for longer."""
    with runtime.database.write() as conn:
        if outcome.yes or outcome.kind is OutcomeKind.REFUSED:
            pausing.resume(conn, alias, runtime.now(), by_machine=True)
        else:
            pausing.probe_failed(conn, alias, outcome.error or str(outcome.kind), runtime.now())


def pause_provider(runtime: Runtime, alias: str, wanted: Pause) -> None:
    """Pause a provider, and say so once."""
    with runtime.database.write() as conn:
        began = pausing.pause(conn, alias, wanted, runtime.now())
    if began:
        log.error("provider %s is paused: %s", alias, wanted.reason)


def _cool_down(runtime: Runtime, binding: Binding, outcome: Outcome) -> None:
    seconds = outcome.retry_after if outcome.retry_after is not None else 1.0
    try:
        runtime.pace.penalise(binding.buying, seconds)
    except RedisError as exc:
        log.warning("provider %s asks to slow down, and Redis is away: %s", binding.alias, type(exc).__name__)
