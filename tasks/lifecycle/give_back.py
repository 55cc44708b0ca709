"""Give back: one release after the other takes its turn among the reading calls, after the looks at purchases.

Each is a step that a worker takes by itself: a call, written down before it is made, or the look after one in doubt.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from redis.exceptions import RedisError
from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from schemas.outcomes import Look, LookKind
from schemas.releasing import ReleaseKind, ReleaseOutcome
from tasks.call_times import Call
from tasks.ledger import due
from tasks.ledger.history import Unvouched, WentBack
from tasks.ledger.queue import pausing, standing
from tasks.ledger.releases import calls
from tasks.ledger.releases.calls import Done, Intent, Taken
from tasks.ledger.rows import Row
from tasks.outages.database_away import until_written
from tasks.policies.giving_back import may_go_in
from tasks.policies.watched_time import seconds_spent
from tasks.pools import leaving
from tasks.provider_reaction import react_to_looks
from tasks.providers.adapter import Known, ProviderError, Releasing, releasing
from tasks.providers.transport.deadline import Bounds, bounded
from tasks.providers.transport.turns import Gate, Withheld, in_turn
from tasks.reading_turns import Stopped, Turns
from tasks.restored_database import detect, lost_calls
from tasks.runtime import Binding, Runtime
from tasks.server_errors import explained
from tasks.telemetry.log_fields import about_release
from tasks.telemetry.traces import Step, tell_looks, tell_release
from tasks.watermark import Mark, Newest, Replaced

D = TypeVar("D", bound=Intent | Done)

_OF_THE_ACCOUNT = (ReleaseKind.ACCOUNT, ReleaseKind.UNKNOWN)
"""What lets a pause that it was tried under cool down for longer: the releases after it would hear the same."""

log = logging.getLogger(__name__)

LEASE = 60.0
"""Seconds until a release that a worker took, and went away with, is due again."""

TURN_WITHIN = 5.0
"""Seconds that a call waits for its turn at the most; one that has none then is left for later."""

LATER = 10.0
"""Seconds until a release is taken up again that could not be gone on with."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """One step of one release, and who takes it."""

    runtime: Runtime
    binding: Binding
    adapter: Releasing
    taken: Taken
    stopping: Callable[[], bool]

    def turns(self, keep: Callable[[float], object] = lambda _: None) -> Turns:
        return Turns(runtime=self.runtime, binding=self.binding, first=TURN_WITHIN, keep=keep, stopping=self.stopping)

    def keep(self, seconds: float) -> None:
        """Let other workers leave it alone for as long."""
        until = self.runtime.now() + timedelta(seconds=seconds)
        self.runtime.database.run(lambda conn: calls.keep(conn, self.taken, until))


def may_be_due(runtime: Runtime) -> list[Binding]:
    """All that have a release due, and others where very many are."""
    if not runtime.database.may_find(due.ANY_RELEASE):
        return []
    with runtime.database.read() as conn:
        aliases = due.to_give_back(conn, runtime.now())
    return [one for alias, one in runtime.providers.items() if aliases is None or alias in aliases]


def is_due(runtime: Runtime, binding: Binding) -> bool:
    """Whether a release is due that no pause stops, and whose provider is not to be asked about purchases first."""
    if releasing(binding.adapter) is None:
        return False
    now = runtime.now()
    with runtime.database.read() as conn:
        due = calls.any_due(conn, binding.alias, binding.account, now)
        return due and not standing.stopped(conn, binding.alias, runtime.accounts[binding.account], now)


def step(runtime: Runtime, binding: Binding, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Take one step of the release that is due for longest. Whether there was one.

    Raises redis.RedisError and SQLAlchemyError where a server is away: the release is due again then.
    """
    adapter = releasing(binding.adapter)
    if adapter is None:
        return False
    watch = runtime.watched()

    def take(conn: Connection) -> Taken | None:
        if standing.stopped(conn, binding.alias, runtime.accounts[binding.account], watch.now):
            return None
        return calls.take_due(conn, binding.alias, binding.account, watch, binding.policy, lease=LEASE)

    taken = runtime.database.run(take)
    if taken is None:
        return False
    runtime.reached("release_taken")
    work = _Work(runtime=runtime, binding=binding, adapter=adapter, taken=taken, stopping=stopping)
    try:
        _look(work) if taken.doubt else _release(work)
    except Stopped:
        log.info("the release of %s is left to another worker", taken.row["number"], extra=about_release(taken.row))
        return False
    return True


def _release(work: _Work) -> None:
    runtime, row = work.runtime, work.taken.row
    try:
        gate = work.turns()(None)
    except ProviderError as exc:
        work.keep(max(LATER, exc.outcome.retry_after or 0.0))
        return
    try:
        intent = _claim(work)
    except WentBack as exc:
        log.warning("the release of %s waits: %s", row["number"], exc, extra=about_release(row))
        work.keep(LATER)
        detect.compare(runtime)
        return
    if isinstance(intent, Done):
        return
    runtime.reached("release_claimed")
    with Step() as step:
        outcome = _send(work, intent, gate)
    runtime.reached("release_answered")
    try:
        _record(work, intent, outcome)
    finally:
        tell_release(step, work.binding, intent.row, outcome)
    runtime.reached("release_recorded")


def _claim(work: _Work) -> Intent | Done:
    runtime, row, now = work.runtime, work.taken.row, work.runtime.now
    newest: Newest | None = None

    def claim(conn: Connection) -> Intent | Done:
        intent = partial(calls.claim, conn, work.taken, newest, now(), work.binding.policy)
        return _with_place(conn, row, now(), intent)

    while True:
        try:
            return runtime.database.run(claim)
        except Unvouched as exc:
            if newest is not None:
                # It was looked up for another connection's server: of two, one has replaced the other.
                runtime.database.renew()
            [newest] = lost_calls.look(runtime, [row["account"]], exc.server).values()


def _with_place(conn: Connection, row: Row, now: datetime, action: Callable[[], D]) -> D:
    """What *action* does with a release, and its place in a pool, if any, after it: that is locked first.

    Where the purchase stays as it was, so does its place: who comes late brings back none that was kept in doubt.
    """
    if row["has_place"]:
        leaving.lock(conn, row["purchase_id"])
    done = action()
    # With the right to a call, the purchase is as it was.
    if row["has_place"] and isinstance(done, Done):
        leaving.follow(conn, row["purchase_id"], done.before, done.after, now)
    return done


class _TooLate(Withheld):
    """The call is not made: its intent is not fresh any more."""


def _send(work: _Work, intent: Intent, gate: Gate) -> ReleaseOutcome:
    """Mark the call, and make it while its intent is fresh. What its turn holds back was not sent."""
    row = intent.row
    try:
        work.runtime.watermark.write_release(row["account"], _mark(intent), intent.server)
        looked_at = time.monotonic()
        bounds = Bounds(
            connected=looked_at + _fresh_for(work, intent),
            end=looked_at + (intent.deadline - intent.started_at).total_seconds() - _spent(work, intent),
            gate=work.runtime.calls.timed(work.binding.alias, Call.RELEASE, partial(_pass, work, intent, gate)),
        )
        with in_turn(work.turns()), bounded(bounds):
            return work.adapter.release(row["number"], row["provider_number_id"])
    except RedisError as exc:
        return _unsent("pace", f"there is no pace, and no mark, without Redis, which {explained(exc)}")
    except Replaced:
        work.runtime.database.renew()
        return _unsent("watermark", "the database's server has been replaced since the intent")
    except (Stopped, _TooLate) as exc:
        return _unsent("too_late", str(exc) or "the worker stops")


def _mark(intent: Intent) -> Mark:
    row = intent.row
    return Mark(
        purchase_id=row["purchase_id"],
        release_id=row["id"],
        revision=row["revision"],
        number=row["number"],
        started_at=intent.started_at,
        deadline=intent.deadline,
    )


def _unsent(code: str, error: str) -> ReleaseOutcome:
    return ReleaseOutcome(kind=ReleaseKind.NOT_SENT, error_code=code, error=error, retry_after=LATER)


def _pass(work: _Work, intent: Intent, gate: Gate) -> Callable[[], None] | None:
    leave = gate()
    try:
        _fresh_for(work, intent)
    except BaseException:
        if leave is not None:
            leave()
        raise
    return leave


def _fresh_for(work: _Work, intent: Intent) -> float:
    """Seconds in which the call may still go out. Raises _TooLate where none are left."""
    spent = _spent(work, intent)
    if spent > work.binding.policy.send_within:
        raise _TooLate(f"{spent:.1f} s passed after the intent: too late to send")
    return work.binding.policy.send_within - spent


def _spent(work: _Work, intent: Intent) -> float:
    return seconds_spent(intent.started_at, intent.began, work.runtime.now())


def _record(work: _Work, intent: Intent, outcome: ReleaseOutcome) -> None:
    """Never given up: nobody else has the answer."""
    runtime, row = work.runtime, intent.row
    said = f"release of {row['number']} at {row['provider']}: {outcome.kind}"
    until_written(runtime.database, partial(_write, work, intent, outcome), said)
    log.info("%s", said, extra=about_release(row))
    if outcome.kind is ReleaseKind.THROTTLED:
        look = Look(kind=LookKind.UNCLEAR, throttled=True, retry_after=outcome.retry_after)
        react_to_looks(runtime, work.binding, [look])
    if outcome.kind in _OF_THE_ACCOUNT:
        reason = outcome.error or str(outcome.kind)
        runtime.database.run(lambda conn: pausing.probe_failed(conn, work.binding.alias, reason, runtime.now()))


def _write(work: _Work, intent: Intent, outcome: ReleaseOutcome) -> Done:
    try:
        return _written(work, intent, outcome)
    except (DataError, ValueError) as exc:
        log.warning("a release is written without its words: %s", type(exc).__name__, extra=about_release(intent.row))
        return _written(work, intent, ReleaseOutcome(kind=outcome.kind, http_status=outcome.http_status))


def _written(work: _Work, intent: Intent, outcome: ReleaseOutcome) -> Done:
    policy, row = work.binding.policy, intent.row

    def write(conn: Connection) -> Done:
        now = work.runtime.now()
        wait = may_go_in(work.adapter.keeps_for, row["bought_at"], now)
        return _with_place(conn, row, now, lambda: calls.record(conn, intent, outcome, policy, now, may_go_in=wait))

    return work.runtime.database.run(write)


def _look(work: _Work) -> None:
    runtime, row = work.runtime, work.taken.row
    number, known = row["number"], Known(number_id=row["provider_number_id"])
    with Step() as step, in_turn(work.turns(lambda seconds: work.keep(LEASE + seconds))):
        found = work.binding.adapter.look({number: known})[number]
    tell_looks(step, work.binding, [(row, found)])
    react_to_looks(runtime, work.binding, [found])

    def write(conn: Connection) -> Done:
        now = runtime.now()
        return _with_place(conn, row, now, lambda: calls.record_look(conn, work.taken, found, work.binding.policy, now))

    done = runtime.database.run(write)
    if done.release is not None:
        words = "release of %s at %s: a look says %s"
        log.info(words, number, row["provider"], found.kind, extra=about_release(row))
