"""Buy: reserve the pace, claim, send, record. No transaction is open during the call."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from schemas.money import price_of
from schemas.outcomes import Look, LookKind, Outcome, OutcomeKind
from schemas.status import Status
from tasks.ledger.calls import given_back, intents
from tasks.ledger.calls.answers import Answer
from tasks.ledger.calls.intents import Claim
from tasks.ledger.orders import reservations
from tasks.ledger.queue import requeue
from tasks.ledger.rows import Row
from tasks.lifecycle import claim as claiming
from tasks.lifecycle.record import about_call, told, write_answer
from tasks.lifecycle.send import give_back, missed, send, sleep
from tasks.policies.claim_time import MOST_AHEAD
from tasks.policies.pace import HORIZON, NOTICE, Slot
from tasks.policies.retry import Decision, History, after_call
from tasks.provider_reaction import react, react_to_looks
from tasks.providers.adapter import Ask, Known, prepares_together, reserving
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import Turns
from tasks.runtime import Binding, Runtime
from tasks.telemetry.log_fields import about_provider
from tasks.telemetry.traces import Step, tell_calls

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Wanted:
    """A purchase on its way: its message's claim on it, and what `prepare` said, None where nothing was to prepare."""

    item: intents.Wanted
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
        words = "%d purchases name the provider %r, which is not configured: add it again"
        log.error(words, len(items), provider, extra=about_provider(provider))
        return []
    runtime.reached("taken")
    taken_at = runtime.now()
    own = _items(binding, items)
    wanted = [] if _overtaken(runtime, binding, own) else _prepare(runtime, binding, own)
    if not (wanted and _reserve(runtime, binding, wanted)):
        return []
    runtime.reached("reserved")
    try:
        claims = _claim(runtime, binding, wanted)
    except SQLAlchemyError:
        # Nothing is called for: without its database a worker would use up the pace of those that have theirs.
        give_back(runtime, binding)
        raise
    if not claims:
        runtime.overtaken.add(binding.alias)
        give_back(runtime, binding)
        return []
    runtime.reached("claimed")
    runtime.backlog.took(claims[0][0].released_at, taken_at, binding.policy.take_within)
    with Step() as step:
        outcomes = _call(runtime, binding, claims)
    runtime.reached("answered")
    try:
        return _conclude(runtime, binding, outcomes, probe=probe)
    finally:
        tell_calls(step, binding, [(claim.row, outcome) for claim, outcome in outcomes])


def _overtaken(runtime: Runtime, binding: Binding, items: Sequence[intents.Wanted]) -> bool:
    """Whether all have moved on, by a read: a pause leaves many such messages, and each would cost a slot and a write.

    Asked only after one that came too late, for a purchase alone has no read to spare.
    """
    if binding.alias not in runtime.overtaken:
        return False
    with runtime.database.read() as conn:
        if not intents.any_waits(conn, items):
            return True
    runtime.overtaken.discard(binding.alias)
    return False


def _items(binding: Binding, items: Sequence[tuple[str, int]]) -> list[intents.Wanted]:
    """What the claim has to find. All numbers of one call share its name."""
    reference = intents.new_reference(items[0][0]) if binding.adapter.keeps_reference else None
    return [intents.Wanted(*item, binding.account, reference) for item in items]


def _prepare(runtime: Runtime, binding: Binding, items: Sequence[intents.Wanted]) -> list[_Wanted]:
    """What to buy, without the purchases that have moved on since the message was sent."""
    if not binding.adapter.prepares:
        return [_Wanted(item) for item in items]
    found = _prepare_together(runtime, binding, items)
    for item in items:
        if item in found:
            continue
        # All of them each time: those found already, and those to come, wait for this search.
        row = _keep(runtime, binding, items).get(item)
        if row is not None:
            with _searching(runtime, binding, items):
                found[item] = binding.adapter.prepare(_unprepared(row))
    return [_Wanted(item, found[item]) for item in items if item in found]


def _prepare_together(
    runtime: Runtime, binding: Binding, items: Sequence[intents.Wanted]
) -> dict[intents.Wanted, Ask | Outcome]:
    """What fewer searches than there are purchases tell of them; each of the others needs its own."""
    together = prepares_together(binding.adapter)
    if together is None or len(items) < 2:
        return {}
    rows = _keep(runtime, binding, items)
    with _searching(runtime, binding, items):
        found = together.prepare_together([_unprepared(row) for row in rows.values()])
    return {item: own for item, own in zip(rows, found, strict=True) if own is not None}


def _unprepared(row: Row) -> Ask:
    return Ask(number=row["number"], options=row["options"], reservation=row.get("reservation"), price=price_of(row))


def _searching(runtime: Runtime, binding: Binding, items: Sequence[intents.Wanted]) -> AbstractContextManager[None]:
    """The turns of the calls of one `prepare`."""
    return in_turn(Turns(runtime=runtime, binding=binding, keep=lambda _: _keep(runtime, binding, items)))


def _keep(runtime: Runtime, binding: Binding, items: Sequence[intents.Wanted]) -> dict[intents.Wanted, Row]:
    """Keep the sweep away for one search: after the longest, a purchase has the time of one just released.

    Returns the rows of those that wait still, with the `reservation` that a call has to name.
    """
    longest = timedelta(seconds=HORIZON + binding.policy.timeout + binding.policy.take_within)
    adapter = reserving(binding.adapter)

    def kept(conn: Connection) -> dict[intents.Wanted, Row]:
        rows, now = intents.keep(conn, items, runtime.now() + longest), runtime.now()
        return reservations.with_named(conn, rows, now) if adapter and adapter.names_reservations else rows

    return runtime.database.run(kept)


def _reserve(runtime: Runtime, binding: Binding, wanted: Sequence[_Wanted]) -> bool:
    """Hold a slot whose time is near; where none is within the horizon, the purchases wait in the table until then."""
    notice = max(NOTICE, min(runtime.claims.longest, MOST_AHEAD))
    if binding.places and binding.buying.interval < notice:
        # Who waits for a place misses its slot, and the next would be behind those that have notice: the place stood
        # empty until then. Another slot is had sooner here.
        notice = 0.0
    slot = runtime.pace.reserve(binding.buying, notice=notice)
    while isinstance(slot, Slot):
        sleep(runtime, slot.at - time.monotonic() - runtime.claims.ahead(binding.policy))
        if not missed(binding, slot):
            runtime.slots.hold(binding.buying, slot)
            return True
        runtime.pace.refund(binding.buying, slot)
        slot = runtime.pace.reserve(binding.buying, notice=notice)
    runtime.database.run(partial(_postpone, wanted=wanted, now=runtime.now(), seconds=slot.wait))
    return False


def _postpone(conn: Connection, *, wanted: Sequence[_Wanted], now: datetime, seconds: float) -> None:
    for one in sorted(wanted, key=lambda one: one.item.purchase_id):
        requeue.postpone(conn, one.item.purchase_id, one.item.revision, now + timedelta(seconds=seconds), now)


def _claim(runtime: Runtime, binding: Binding, wanted: Sequence[_Wanted]) -> list[tuple[Claim, _Wanted]]:
    # What is known not to be called for has no place in the call that has the name: no order of that name tells of it.
    items = [replace(one.item, reference=None) if isinstance(one.prepared, Outcome) else one.item for one in wanted]
    began = time.monotonic()
    claims = claiming.claim(runtime, binding, items)
    runtime.claims.took(time.monotonic() - began)
    return [(claimed, one) for claimed, one in zip(claims, wanted, strict=True) if claimed is not None]


def _call(runtime: Runtime, binding: Binding, claims: Sequence[tuple[Claim, _Wanted]]) -> list[tuple[Claim, Outcome]]:
    """The outcome of each claim: of the call, or why it was not made."""
    done = [(claim, one.prepared) for claim, one in claims if isinstance(one.prepared, Outcome)]
    asks = [
        (claim, _ask(runtime, claim, one.prepared)) for claim, one in claims if not isinstance(one.prepared, Outcome)
    ]
    if not asks:
        return done
    outcomes = send(runtime, binding, [claim for claim, _ in asks], [ask for _, ask in asks])
    return done + [(claim, outcome) for (claim, _), outcome in zip(asks, outcomes, strict=True)]


def _ask(runtime: Runtime, claim: Claim, prepared: Ask | None) -> Ask:
    ask = prepared or Ask(number=claim.row["number"], options=claim.row["options"])
    first = claim.row["first_attempt_at"]
    since = 0.0 if first is None else max(0.0, (runtime.now() - first).total_seconds())
    return replace(ask, reference=claim.reference, since=since)


def _conclude(
    runtime: Runtime, binding: Binding, outcomes: Sequence[tuple[Claim, Outcome]], *, probe: bool
) -> list[Status | None]:
    """Record each outcome; those that need a look come last, so that none waits for another's.

    One that fails keeps none from being recorded; what it failed with is raised then.
    """
    in_order = sorted(outcomes, key=lambda pair: pair[1].kind is OutcomeKind.REFUSED)
    after, failures = [], []
    for claim, outcome in in_order:
        try:
            after.append(_record(runtime, binding, claim, outcome))
        except Exception as exc:
            log.exception("an answer could not be written: %s", told(claim, outcome), extra=about_call(claim))
            failures.append(exc)
    runtime.reached("recorded")
    react(runtime, binding, [(claim.row["number"], outcome) for claim, outcome in in_order], probe=probe)
    if failures:
        raise failures[0]
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
    answer = Answer(claim=claim, outcome=outcome, decision=_dated(runtime, claim, decision))
    after = write_answer(runtime, answer)
    return None if after is None else Status(after["status"])


def _dated(runtime: Runtime, claim: Claim, decision: Decision) -> Decision:
    """Where the clock was set during a call in doubt, its deadline says nothing: all its length is waited for."""
    if not decision.from_deadline or runtime.watched().saw(claim.started_at):
        return decision
    length = (claim.deadline - claim.started_at).total_seconds()
    return replace(decision, from_deadline=False, delay=decision.delay + length)


def _look_once(runtime: Runtime, binding: Binding, claim: Claim) -> Look:
    """Whether a number that was just refused is ours already."""
    number, patience = claim.row["number"], binding.policy.timeout
    keep = partial(_leave_alone, runtime, binding, claim)
    try:
        keep(patience)
        with in_turn(Turns(runtime=runtime, binding=binding, first=patience, keep=keep)):
            known = Known(references=(claim.reference,) if claim.reference else ())
            answer = binding.adapter.look({number: known})[number]
        believed = _believed(runtime, binding, claim, answer)
    except (RedisError, SQLAlchemyError) as exc:
        # The refusal is in our hands: it is written first, and looked into after that.
        return Look(kind=LookKind.UNCLEAR, error=f"no look without servers: {type(exc).__name__}", waiting=True)
    react_to_looks(runtime, binding, [answer])
    return believed


def _believed(runtime: Runtime, binding: Binding, claim: Claim, answer: Look) -> Look:
    if answer.kind not in (LookKind.OWNED, LookKind.PROCESSING):
        return answer
    watch = runtime.watched()  # before the transaction, which holds a connection
    with runtime.database.read() as conn:
        return given_back.believed(conn, claim.row, answer, binding.policy, watch)


def _leave_alone(runtime: Runtime, binding: Binding, claim: Claim, seconds: float) -> None:
    """Keep the sweep away for a call that may wait *seconds* for its turn."""
    until = timedelta(seconds=seconds + binding.policy.timeout)
    runtime.database.run(lambda conn: intents.extend(conn, claim, runtime.now() + until))
