"""Faults of our own in calls, looks, limits and events."""

from __future__ import annotations

import re
import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

from sqlalchemy import select, update

import tasks.ledger.calls.looks
import tasks.ledger.calls.outcomes
import tasks.ledger.releases.calls
import tasks.ledger.sweep
import tasks.lifecycle.claim
import tasks.lifecycle.outbox_relay
import tasks.lifecycle.purchase
import tasks.lifecycle.reconcile
import tasks.lifecycle.release_and_sweep
import tasks.policies.backoff
import tasks.policies.pace
import tasks.policies.retry
import tasks.restored_database.detect
from schemas.outcomes import OutcomeKind
from schemas.status import Status
from schemas.tables.purchases import ATTEMPT, EVENT, PURCHASE
from tasks.ledger.calls import intents
from tasks.ledger.orders.limits import NONE_LIMITED
from tasks.policies.pace import Pace, Slot
from tasks.policies.retry import Decision


def unclear_is_absent() -> AbstractContextManager[Any]:
    """A look that could not be read counts as one that says 'not ours'."""
    absent = tasks.policies.retry._absent
    return patch.object(tasks.policies.retry, "_look_failed", lambda _look, history, policy: absent(history, policy))


def posted_before_asked() -> AbstractContextManager[Any]:
    """A doubtful call goes back to the queue without a look."""
    careful = tasks.policies.retry.after_call

    def careless(outcome: Any, *rest: Any) -> Decision:
        again = Decision(status=Status.QUEUED)
        return again if outcome.kind is OutcomeKind.UNKNOWN else careful(outcome, *rest)

    return patch.object(tasks.lifecycle.purchase, "after_call", careless)


def lost_call_is_queued() -> AbstractContextManager[Any]:
    """The sweep takes a call without an outcome for one that was not made."""
    return patch.object(tasks.ledger.sweep, "after_call", lambda *_: Decision(status=Status.QUEUED))


def doubt_forgotten() -> AbstractContextManager[Any]:
    """A refusal fails a purchase, whatever an earlier call may have done."""
    refused = tasks.policies.retry._refused

    def certain(said: Any, history: Any, *rest: Any) -> Decision:
        return refused(said, replace(history, doubt=False), *rest)

    def as_decided(decision: Decision, **changes: Any) -> Decision:
        return decision if changes.get("status") is Status.UNKNOWN else replace(decision, **changes)

    stack = ExitStack()
    stack.enter_context(patch.object(tasks.policies.retry, "_refused", certain))
    # What is written looks once more whether there is a doubt.
    stack.enter_context(patch.object(tasks.ledger.calls.outcomes, "replace", as_decided))
    return stack


def intent_after_call() -> AbstractContextManager[Any]:
    """The claim is not committed before the call; it is rolled back."""

    def claim(runtime: Any, binding: Any, items: Any) -> Any:
        seconds = tasks.policies.backoff.call_length(binding.policy)
        try:
            with runtime.database.write() as conn:
                claims = intents.claim(conn, items, runtime.now(), seconds)
                _roll_back()
        except _RollBack:
            return [one and replace(one, marked=True) for one in claims]

    return patch.object(tasks.lifecycle.claim, "claim", claim)


class _RollBack(Exception):
    pass


def _roll_back() -> None:
    raise _RollBack


def claim_without_revision() -> AbstractContextManager[Any]:
    """A claim takes the purchase as it finds it: at any revision, in any status but an end."""

    def lock(conn: Any, wanted: Any) -> Any:
        alive = (Status.DISPATCHED, Status.QUEUED, Status.PURCHASING)
        found = {}
        for one in wanted:
            query = select(PURCHASE).where(PURCHASE.c.id == one.purchase_id, PURCHASE.c.status.in_(alive))
            row = conn.execute(query).mappings().first()
            taken = (
                row
                and conn.execute(
                    select(ATTEMPT.c.revision).where(
                        ATTEMPT.c.purchase_id == one.purchase_id, ATTEMPT.c.revision == row["revision"] + 1
                    )
                ).first()
            )
            if row and not taken:
                found[one] = dict(row)
        return found

    return patch.object(intents, "_lock", lock)


def bought_without_claim() -> AbstractContextManager[Any]:
    """A released message is bought as it comes: nothing is written before the call."""

    def claim(runtime: Any, binding: Any, items: Any) -> Any:
        seconds, now = tasks.policies.backoff.call_length(binding.policy), runtime.now()
        with runtime.database.read() as conn:
            queries = [select(PURCHASE).where(PURCHASE.c.id == one.purchase_id) for one in items]
            rows = [conn.execute(query).mappings().first() for query in queries]
        rows = [row and {**row, "call_deadline": now} for row in rows]
        deadline = now + timedelta(seconds=seconds)
        times = {"released_at": now, "started_at": now, "deadline": deadline, "began": time.monotonic()}
        return [row and intents.Claim(row=dict(row), **times, marked=True) for row in rows]

    return patch.object(tasks.lifecycle.claim, "claim", claim)


def no_slot() -> AbstractContextManager[Any]:
    """Every call may go at once: none is reserved before its claim."""
    reserve = Pace.reserve

    def at_once(pace: Any, lane: Any, horizon: float | None = None, **named: Any) -> Any:
        if horizon is None and lane.key.endswith(":buy"):
            return Slot(0.0, 0, time.monotonic())
        return reserve(pace, lane, *([] if horizon is None else [horizon]), **named)

    return patch.object(Pace, "reserve", at_once)


def missed_slot_used() -> AbstractContextManager[Any]:
    """A call that comes too late for its slot goes all the same."""
    return patch.object(Slot, "missed", lambda *_: False)


def limiter_starts_full() -> AbstractContextManager[Any]:
    """A limiter that Redis does not know (any more) has its calls to give at once."""
    full = re.sub(r"now \+ GIVEN \+ burst \* interval", "now", tasks.policies.pace._SCRIPT)
    assert full != tasks.policies.pace._SCRIPT
    return patch.object(tasks.policies.pace, "_SCRIPT", full)


def marked_unpublished() -> AbstractContextManager[Any]:
    """The relay marks events as published, and then publishes them."""

    def next_(relay: Any) -> Any:
        rows = original(relay)
        tasks.lifecycle.outbox_relay.mark_published(
            relay._runtime, {(row["seq"], row["id"]): row["replays"] for row in rows}
        )
        return rows

    original = tasks.lifecycle.outbox_relay.Relay._next
    return patch.object(tasks.lifecycle.outbox_relay.Relay, "_next", next_)


def nothing_swept() -> AbstractContextManager[Any]:
    """What was released and not taken, or left no outcome, stays as it is."""
    return patch.object(tasks.lifecycle.release_and_sweep, "sweep_provider", lambda *_: 0)


def cancelled_and_bought() -> AbstractContextManager[Any]:
    """A cancel is told as done while its call is under way."""

    def cancel(conn: Any, row: Any, now: Any) -> Any:
        values = {"status": str(Status.CANCELLED), "due_at": None, "updated_at": now}
        conn.execute(update(PURCHASE).where(PURCHASE.c.id == row["id"]).values(**values))
        return None

    return patch("tasks.ledger.orders.cancel._cancel", cancel)


def restored_and_bought() -> AbstractContextManager[Any]:
    """Nobody looks whether the database knows what was bought."""
    stack = ExitStack()
    stack.enter_context(patch.object(tasks.lifecycle.claim, "vouch_all", lambda *_: {}))
    stack.enter_context(patch.object(tasks.restored_database.detect, "compare", lambda *_: False))
    return stack


def marked_by_number() -> AbstractContextManager[Any]:
    """A relay marks what it published by its number alone."""

    def mark(runtime: Any, sent: Any) -> None:
        numbers = [number for number, _ in sent]
        with runtime.database.write() as conn:
            marked = update(EVENT).where(EVENT.c.seq.in_(numbers), EVENT.c.published_at.is_(None))
            conn.execute(marked.values(published_at=runtime.now()))

    return patch.object(tasks.lifecycle.outbox_relay, "mark_published", mark)


def answer_by_revision() -> AbstractContextManager[Any]:
    """An answer is written wherever the purchase, or the release, has its revision and its status.

    Where it has another status, `rows.move` refuses what does not exist.
    """

    def same(now: Any, then: Any) -> bool:
        return bool((now["revision"], now["status"]) == (then["revision"], then["status"]))

    stack = ExitStack()
    for module in (tasks.ledger.calls.outcomes, tasks.ledger.calls.looks, tasks.ledger.releases.calls):
        stack.enter_context(patch.object(module, "is_as_it_was", same))
    return stack


def one_look() -> AbstractContextManager[Any]:
    """The first look that finds nothing is believed."""
    careful = tasks.ledger.calls.looks.after_look

    def careless(look: Any, history: Any, policy: Any) -> Any:
        return careful(look, history, policy.model_copy(update={"reconcile_after": policy.reconcile_after[:1]}))

    return patch.object(tasks.ledger.calls.looks, "after_look", careless)


def limiter_from_the_past() -> AbstractContextManager[Any]:
    """A limiter that a server brings back from the past is believed."""
    script = tasks.policies.pace._SCRIPT.replace("kept['replid'] ~= replid", "not kept['replid']")
    assert script != tasks.policies.pace._SCRIPT
    return patch.object(tasks.policies.pace, "_SCRIPT", script)


def newest_first() -> AbstractContextManager[Any]:
    """The relay publishes each batch from its end."""
    original = tasks.lifecycle.outbox_relay.Relay._next
    return patch.object(tasks.lifecycle.outbox_relay.Relay, "_next", lambda relay: original(relay)[::-1])


def max_forgotten() -> AbstractContextManager[Any]:
    """An order's --max holds up no release."""
    return patch.object(tasks.lifecycle.release_and_sweep, "lock_limited", lambda *_: NONE_LIMITED)


MUTANTS_OF_PURCHASES = (
    unclear_is_absent,
    posted_before_asked,
    lost_call_is_queued,
    doubt_forgotten,
    intent_after_call,
    claim_without_revision,
    bought_without_claim,
    no_slot,
    missed_slot_used,
    limiter_starts_full,
    marked_unpublished,
    nothing_swept,
    cancelled_and_bought,
    restored_and_bought,
    marked_by_number,
    answer_by_revision,
    one_look,
    limiter_from_the_past,
    max_forgotten,
    newest_first,
)
