"""What the timers do for each provider: release what is due, look at what is in doubt, bring back what is lost."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection

from schemas.config.policy import Policy
from tasks.chunks import chunks
from tasks.ledger import due, sweep
from tasks.ledger.calls import looks
from tasks.ledger.orders.limits import Limited, lock_limited
from tasks.ledger.queue import dispatch, release, requeue, standing
from tasks.ledger.queue.dispatch import Room
from tasks.ledger.queue.pool_limits import Limits
from tasks.ledger.queue.standing import Standing
from tasks.ledger.rows import Row, some_numbers
from tasks.lifecycle import pools
from tasks.lifecycle.late import leave_late
from tasks.policies.watched_time import Watch
from tasks.runtime import Binding, Message, Runtime
from tasks.telemetry.log_fields import about_provider

log = logging.getLogger(__name__)

LOOKAHEAD = 0.5
"""Seconds: purchases are released for the calls that the pace allows in this time, near the servers."""

MOST_LOOKAHEAD = 1.5
"""The same where the servers are far: less than the longest that a task sleeps for its slot."""

WAYS = 4
"""From its release to its claim a purchase takes so many times as long as a claim: to release, send, take and claim."""

TOGETHER = 8
"""Providers that share a release's transaction: short enough that a purchase hardly waits for it on SQLite."""

ASKED_TOGETHER = 100
"""Providers that are asked together what is due, and whether there is room: those to come wait for their release."""

LOOK_LEASE = 8.0
"""Seconds until a look whose message no worker took is due again."""

MAX_WALK = 500
"""Numbers that one walk through a provider's list is asked for."""

SWEEP_BATCH = 100

BUY = "dialstock.internal.buy"
BUY_BATCH = "dialstock.internal.buy_batch"
LOOK = "dialstock.internal.look"


def purchase_message(binding: Binding, row: Mapping[str, Any], *, probe: bool = False) -> Message:
    """The message that has a worker buy a dispatched purchase."""
    kwargs = {"purchase_id": row["id"], "revision": row["revision"], "provider": binding.alias, "probe": probe}
    return Message(task=BUY, queue=binding.queue, kwargs=kwargs)


def purchase_messages(binding: Binding, rows: Sequence[Row], *, probe: bool) -> list[Message]:
    """One message for each purchase, or for each batch of those that were never called for.

    Numbers that begin alike go together: one search may find them all.
    """
    batching = binding.batch > 1 and not probe
    shared = [row for row in rows if batching and row["attempts"] == 0 and not row["doubt"]]
    shared.sort(key=itemgetter("number"))
    batches = [shared[start : start + binding.batch] for start in range(0, len(shared), binding.batch)]
    alone = [row for row in rows if row not in shared]
    return [_batch_message(binding, batch) for batch in batches] + [
        purchase_message(binding, row, probe=probe) for row in alone
    ]


def _batch_message(binding: Binding, rows: Sequence[Row]) -> Message:
    items = [[row["id"], row["revision"]] for row in rows]
    return Message(task=BUY_BATCH, queue=binding.queue, kwargs={"provider": binding.alias, "items": items})


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What is due for a provider: its lanes, the calls that the pace allows soon, and the lanes' limits."""

    binding: Binding
    lanes: list[str | None]
    soon: int
    limits: Limits


def release_due(runtime: Runtime, *bindings: Binding) -> int:
    """Release queued purchases that are due, as many as there is room for. Returns how many.

    Raises redis.RedisError where Redis is away: without pace nothing is released.
    """
    with runtime.database.read() as conn:
        asked = [_wanted(conn, runtime, binding, room) for binding, room in _with_room(conn, runtime, bindings)]
    found = [one for one in asked if one.lanes]
    if not found:
        return 0
    waits = runtime.pace.all_next_in(one.binding.buying for one in found)
    soon = _lookahead(runtime)
    ready = [one for one, wait in zip(found, waits, strict=True) if wait <= soon]
    return sum(_release_together(runtime, some) for some in chunks(ready, TOGETHER))


def _release_together(runtime: Runtime, ready: Sequence[_Wanted]) -> int:
    messages = runtime.database.run(partial(_release_all, runtime=runtime, wanted=ready))
    if messages:
        runtime.reached("released")
        runtime.send(messages)
    return sum(len(one.kwargs.get("items", [one])) for one in messages)


def _with_room(conn: Connection, runtime: Runtime, bindings: Sequence[Binding]) -> list[tuple[Binding, Room]]:
    """Those that there may be room for: asked without a lock, so that a busy provider costs none at each tick.

    How they stand and what runs is asked of all together: of a thousand alone it took longer than a tick.
    """
    accounts = {one.account: runtime.accounts[one.account] for one in bindings}
    rows, now = standing.read_all(conn, [*accounts.values()]), runtime.now()
    stands = [standing.standing(rows[one.account], one.alias, accounts[one.account]) for one in bindings]
    counts = dispatch.running(conn, {name for one in stands for name in one.names})
    found = []
    for binding, stand in zip(bindings, stands, strict=True):
        its, account = dispatch.running_of(counts, stand.names), accounts[binding.account]
        soon = _soon(runtime, binding)
        room = dispatch.room(conn, binding.policy, stand, account, now=now, soon=soon, counts=its)
        if room.free or room.again:
            found.append((binding, room))
    return found


def _wanted(conn: Connection, runtime: Runtime, binding: Binding, room: Room) -> _Wanted:
    lanes = dispatch.due_lanes(conn, binding.alias, binding.account, runtime.now(), runtime.full_orders.known())
    if lanes and room.again:
        lanes = dispatch.counted_lanes(conn, binding.alias, binding.account, lanes, runtime.now())
    limits = pools.limits_of(conn, runtime, lanes)
    lanes = pools.within(conn, runtime, binding, lanes, limits)
    # With room for fewer than there are lanes, each has its turn by chance.
    random.shuffle(lanes)
    return _Wanted(binding=binding, lanes=lanes, soon=_soon(runtime, binding), limits=limits)


def _soon(runtime: Runtime, binding: Binding) -> int:
    return binding.buying.calls_within(_lookahead(runtime)) * binding.batch


def _release_all(conn: Connection, *, runtime: Runtime, wanted: Sequence[_Wanted]) -> list[Message]:
    """Release of each what there is room for; all that is locked is, in the ledger's order, before the first."""
    now = runtime.now()
    locked = [
        (one, standing)
        for one in sorted(wanted, key=lambda one: (one.binding.account, one.binding.alias))
        if (standing := dispatch.lock_provider(conn, one.binding.alias, runtime.accounts[one.binding.account], now))
    ]
    limited = lock_limited(conn, sorted({lane for one, _ in locked for lane in one.lanes if lane is not None}))
    return [
        message
        for one, standing in locked
        for message in _release(conn, runtime, one, standing, limited=limited, now=now)
    ]


def _lookahead(runtime: Runtime) -> float:
    """Seconds whose calls purchases are released for: far from the servers a part of it goes by until their claim.

    By then the calls before them, claimed that far ahead, have the nearer slots.
    """
    return min(MOST_LOOKAHEAD, LOOKAHEAD + WAYS * runtime.claims.longest)


def _release(
    conn: Connection, runtime: Runtime, one: _Wanted, standing: Standing, *, limited: Limited, now: datetime
) -> list[Message]:
    """Release what there is room for; the provider and the orders with a limit of their own are locked."""
    binding, account = one.binding, runtime.accounts[one.binding.account]
    room = dispatch.room(conn, binding.policy, standing, account, now=now, soon=one.soon)
    if not (room.free or room.again):
        return []
    rows = release.release(
        conn,
        binding.alias,
        binding.account,
        one.lanes,
        count=room.free or room.again,
        now=now,
        take_within=binding.policy.take_within,
        counted=not room.free,
        limits=one.limits,
        limited=limited,
        day=room.day,
        full=runtime.full_orders,
    )
    return purchase_messages(binding, rows, probe=standing.paused)


def look_due(runtime: Runtime, binding: Binding) -> int:
    """Have the provider asked about purchases whose look is due. Returns how many."""
    walk = binding.adapter.lookup == "by_list"
    limit = MAX_WALK if walk else binding.looking.calls_within(LOOKAHEAD)
    # Raises where Redis is away: who cannot send their messages leaves them to who can.
    runtime.pace.all_next_in([binding.looking])
    rows = runtime.database.run(lambda conn: _take_looks(conn, runtime, binding, limit))
    items = [[row["id"], row["revision"]] for row in rows]
    batches = [items] if walk else [[item] for item in items]
    runtime.send(
        Message(task=LOOK, queue=binding.queue, kwargs={"provider": binding.alias, "items": batch})
        for batch in batches
        if batch
    )
    return len(rows)


def _take_looks(conn: Connection, runtime: Runtime, binding: Binding, limit: int) -> list[Row]:
    watch, policy = runtime.watched(), binding.policy
    return looks.take_due(conn, binding.alias, binding.account, watch, policy, lease=LOOK_LEASE, limit=limit)


def release_all(runtime: Runtime) -> int:
    """Release what is due, of all providers: aliases of one account share its limits, each has its turn by chance."""
    if not runtime.database.may_find(due.ANY_QUEUED):
        return 0
    return sum(release_due(runtime, *some) for some in chunks(_shuffled(runtime, due.to_buy), ASKED_TOGETHER))


def look_all(runtime: Runtime) -> int:
    """Have all providers asked about purchases whose look is due. Returns how many."""
    return sum(look_due(runtime, binding) for binding in _shuffled(runtime, due.to_look))


def _shuffled(runtime: Runtime, ask: Callable[[Connection, datetime], set[str]]) -> list[Binding]:
    with runtime.database.read() as conn:
        aliases = ask(conn, runtime.now())
    found = [runtime.providers[alias] for alias in sorted(aliases & runtime.providers.keys())]
    return random.sample(found, len(found))


def sweep_all(runtime: Runtime) -> int:
    """Bring back what was released and not taken, and what was claimed and left no outcome. Returns how many."""
    leave_late(runtime)
    with runtime.database.read() as conn:
        aliases = due.overdue(conn, runtime.now())
    here = sorted(aliases & runtime.providers.keys())
    back = sum(sweep_provider(runtime, runtime.providers[alias]) for alias in here)
    return back + (sweep_strangers(runtime) if len(here) < len(aliases) else 0)


def sweep_provider(runtime: Runtime, binding: Binding) -> int:
    """Bring back what was released and not taken, and what was claimed and left no outcome. Returns how many."""
    with runtime.database.read() as conn:
        if not sweep.any_overdue(conn, binding.alias, runtime.now()):
            return 0
    return _sweep(runtime, binding.alias, binding.policy, can_look=binding.adapter.lookup != "none")


def sweep_strangers(runtime: Runtime) -> int:
    """The same for aliases that are not configured: what is in doubt there waits for its alias. Returns how many."""
    with runtime.database.read() as conn:
        aliases = sweep.overdue_strangers(conn, runtime.providers, runtime.now())
    return sum(_sweep(runtime, alias, Policy(), can_look=True) for alias in aliases)


def _sweep(runtime: Runtime, alias: str, policy: Policy, *, can_look: bool) -> int:
    watch = runtime.watched()  # before the transaction, which holds a connection
    back, lost = runtime.database.run(lambda conn: _bring_back(conn, alias, policy, watch, can_look=can_look))
    if lost:
        words = "provider %s: %d calls left no outcome and are in doubt: %s"
        log.warning(words, alias, len(lost), some_numbers(lost), extra=about_provider(alias))
    return back + len(lost)


def _bring_back(conn: Connection, alias: str, policy: Policy, watch: Watch, *, can_look: bool) -> tuple[int, list[Row]]:
    """How many were not taken, and those that left no outcome."""
    back = requeue.take_back(conn, alias, watch.now, overdue=True)
    lost = sweep.lost_calls(conn, alias, watch, policy, SWEEP_BATCH)
    for row in lost:
        sweep.lose_call(conn, row, policy, watch, can_look=can_look)
    return back, lost
