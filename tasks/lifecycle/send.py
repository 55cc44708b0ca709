"""Send a purchase call at its slot, or hold it back: nothing goes out late, unmarked, or beyond a limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from redis.exceptions import RedisError

from schemas.outcomes import Outcome, OutcomeKind
from tasks.call_times import Call
from tasks.ledger.calls.intents import Claim
from tasks.policies.pace import SLEEPABLE, Later, Slot
from tasks.policies.watched_time import seconds_spent
from tasks.providers.adapter import Ask
from tasks.providers.transport.deadline import Bounds, bounded
from tasks.providers.transport.turns import Withheld, hearing
from tasks.runtime import Binding, Runtime
from tasks.server_errors import explained


class _HeldBack(Withheld):
    """The call is not made: nothing was sent. `code` is a short word for programs."""

    def __init__(self, code: str, error: str) -> None:
        super().__init__(error)
        self.code = code


def send(runtime: Runtime, binding: Binding, claims: Sequence[Claim], asks: Sequence[Ask]) -> list[Outcome]:
    """Make the call at the next slot that this process holds, while its time lasts and if each intent is marked.

    All began with the first.
    """
    first = claims[0]
    try:
        _need_marks(claims)
        looked_at = time.monotonic()
        bounds = Bounds(
            connected=looked_at + _fresh_for(runtime, binding, first),
            end=looked_at + (first.deadline - first.started_at).total_seconds() - _spent(runtime, first),
            gate=runtime.calls.timed(binding.alias, Call.BUY, _Going(runtime, binding, first).wait),
        )
        runtime.reached("sending")
        full_for: list[float] = []
        with bounded(bounds), hearing(full_for.append):
            outcomes = binding.adapter.buy(asks)
        return [replace(one, full_for=max(full_for)) for one in outcomes] if full_for else outcomes
    except _HeldBack as held:
        outcome = Outcome(kind=OutcomeKind.NOT_SENT, error=str(held), error_code=held.code, retry_after=0.0)
        return [outcome] * len(asks)


def _need_marks(claims: Sequence[Claim]) -> None:
    """No call goes out that a database back in time would not be known to have lost. Raises _HeldBack."""
    if not all(one.marked for one in claims):
        raise _HeldBack("watermark", "there is no mark of the intent without Redis, and no call without a mark")


@dataclass
class _Going:
    """A claimed call that waits for its moment; `slot` is the one that it has by then."""

    runtime: Runtime
    binding: Binding
    claim: Claim
    slot: Slot | None = None

    def wait(self) -> Callable[[], None] | None:
        """Sleep until the call may go; where it missed its slot, until another's time. Raises _HeldBack.

        Returns what gives its place back, where there are only so many.
        """
        if self.slot is None:
            self.slot = self._held()
        if self.slot is not None:
            sleep(self.runtime, self.slot.at - time.monotonic())
        leave = _take_place(self.runtime, self.binding, self.claim)
        try:
            self._keep_slot()
        except BaseException:
            if leave is not None:
                leave()
            raise
        return leave

    def _keep_slot(self) -> None:
        while self.slot is None or missed(self.binding, self.slot) or self.runtime.pace.cooling(self.binding.buying):
            self.slot = self._held() or _new_slot(self.runtime, self.binding, self.claim)
            sleep(self.runtime, self.slot.at - time.monotonic())
        _fresh_for(self.runtime, self.binding, self.claim)

    def _held(self) -> Slot | None:
        """The next that this process holds: none of those is to be used that it had before it was told to wait."""
        if self.runtime.pace.cooling(self.binding.buying):
            return None
        return self.runtime.slots.first(self.binding.buying, self.binding.policy.rate_guard)


def _take_place(runtime: Runtime, binding: Binding, claim: Claim) -> Callable[[], None] | None:
    if binding.places is None:
        return None
    until = time.monotonic() + _fresh_for(runtime, binding, claim)
    try:
        leave = runtime.pace.concurrency.take(binding.places, until, runtime.sleep)
    except RedisError as exc:
        raise _HeldBack("pace", f"there is no place for a call without Redis, which {explained(exc)}") from exc
    if leave is None:
        raise _HeldBack("pace", f"{binding.places.limit} calls were under way all the time")
    return leave


def give_back(runtime: Runtime, binding: Binding) -> None:
    """Give back a held slot, for there is a call less: the last, or it is left to one that would go later."""
    slot = runtime.slots.last(binding.buying)
    if slot is not None and not runtime.pace.refund(binding.buying, slot):
        runtime.slots.hold(binding.buying, slot)


def missed(binding: Binding, slot: Slot) -> bool:
    """Whether a slot's time is over by more than the account's rate guard."""
    return slot.missed(binding.policy.rate_guard)


def sleep(runtime: Runtime, seconds: float) -> None:
    """Sleep, where that is worth it."""
    if seconds >= SLEEPABLE:
        runtime.sleep(seconds)


def _new_slot(runtime: Runtime, binding: Binding, claim: Claim) -> Slot:
    """Another slot for a call that missed its own, while its intent is fresh. Raises _HeldBack."""
    fresh_for = _fresh_for(runtime, binding, claim)
    try:
        slot = runtime.pace.reserve(binding.buying, horizon=fresh_for)
    except RedisError as exc:
        raise _HeldBack("pace", f"its slot passed, and there is no pace without Redis, which {explained(exc)}") from exc
    if isinstance(slot, Later):
        raise _HeldBack("pace", "its slot passed before the call could be made")
    return slot


def _fresh_for(runtime: Runtime, binding: Binding, claim: Claim) -> float:
    """Seconds in which a call may still go out on its intent. Raises _HeldBack where none are left."""
    spent = _spent(runtime, claim)
    if spent > binding.policy.send_within:
        raise _HeldBack("too_late", f"{spent:.1f} s passed after the intent: too late to send")
    return binding.policy.send_within - spent


def _spent(runtime: Runtime, claim: Claim) -> float:
    return seconds_spent(claim.started_at, claim.began, runtime.now())
