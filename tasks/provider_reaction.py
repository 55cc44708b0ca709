"""What one call's outcomes mean for the whole provider: cool down, pause, or end a pause."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Sequence

from redis.exceptions import RedisError
from sqlalchemy import Connection

from schemas.outcomes import Look, Outcome, OutcomeKind
from tasks.ledger.queue import pausing
from tasks.policies.pace import Lane
from tasks.policies.pause import Pause, Streaks
from tasks.runtime import Binding, Runtime
from tasks.server_errors import explained
from tasks.telemetry.log_fields import about_provider
from tasks.transactions import always

log = logging.getLogger(__name__)

TOO_MANY = 429
"""The status of a call that came too early; one for several numbers may have bought some of them all the same."""

SHORTEST_COOLDOWN = 1.0
"""Seconds that a 429 holds calls back at the least."""

TELL_FROM = 60.0
"""Seconds: a longer cool-down is told of in the log."""

_OF_ONE_NUMBER = (OutcomeKind.REFUSED, OutcomeKind.COMPLIANCE)

_streaks: dict[str, Streaks] = {}


def react(runtime: Runtime, binding: Binding, answered: Sequence[tuple[str, Outcome]], *, probe: bool) -> None:
    """React to the outcomes of one call, by number; what a batch got as a whole counts once."""
    different = {_said_of(number, one): (number, one) for number, one in answered}
    for number, outcome in different.values():
        _react(runtime, binding, number, outcome, probe=probe)


def _said_of(number: str, outcome: Outcome) -> tuple[object, ...]:
    """Equal for what one answer says of several numbers; a refusal of one number is said of it alone."""
    alone = outcome.kind in _OF_ONE_NUMBER
    return outcome.kind, outcome.http_status, outcome.error_code, number if alone else None


def _react(runtime: Runtime, binding: Binding, number: str, outcome: Outcome, *, probe: bool) -> None:
    if outcome.kind is OutcomeKind.THROTTLED or outcome.http_status == TOO_MANY:
        _cool_down(runtime, binding, (binding.buying, binding.looking), outcome.retry_after)
    elif outcome.full_for:
        hold_back(runtime, binding, (binding.buying, binding.looking), outcome.full_for)
    if outcome.kind is OutcomeKind.NOT_SENT and outcome.retry_after is not None:
        return  # held back by us: that tells nothing of the provider
    streaks = _streaks.setdefault(binding.alias, Streaks())
    wanted = streaks.feed(number, outcome, binding.policy)
    if wanted is not None:
        pause_provider(runtime, binding.alias, wanted)
    elif probe:
        _conclude_probe(runtime, binding.alias, outcome)


def _conclude_probe(runtime: Runtime, alias: str, outcome: Outcome) -> None:
    """End the pause where the provider answered the probe, else let it cool down for longer."""

    def conclude(conn: Connection) -> None:
        reason = outcome.error or str(outcome.kind)
        if outcome.yes:
            pausing.resume(conn, alias, runtime.now(), by_machine=True)
        elif outcome.kind in _OF_ONE_NUMBER:
            pausing.probe_refused(conn, alias, reason, runtime.now())
        else:
            pausing.probe_failed(conn, alias, reason, runtime.now())

    runtime.database.run(conclude)


def pause_provider(
    runtime: Runtime,
    alias: str,
    wanted: Pause,
    also: Collection[str] = (),
    still: Callable[[Connection], bool] = always,
) -> None:
    """Pause a provider while that is *still* to be, and say so once; what was released under the names *also* of its
    account is taken back too.
    """
    if runtime.database.run(lambda conn: pausing.pause(conn, alias, wanted, runtime.now(), also, still=still)):
        log.error("provider %s is paused: %s", alias, wanted.reason, extra=about_provider(alias))


def react_to_looks(runtime: Runtime, binding: Binding, answers: Iterable[Look]) -> None:
    """Let the reading calls cool down after a 429; purchases may have limits of their own."""
    throttled = next((answer for answer in answers if answer.throttled), None)
    if throttled is not None:
        _cool_down(runtime, binding, (binding.looking,), throttled.retry_after)


def _cool_down(runtime: Runtime, binding: Binding, lanes: Iterable[Lane], retry_after: float | None) -> None:
    # 'Retry-After: 0' is no leave to go on as fast as before.
    seconds = max(SHORTEST_COOLDOWN, retry_after or 0.0)
    if seconds >= TELL_FROM:
        words = "provider %s asks for no call in the next %.0f s (429): none is made"
        log.warning(words, binding.alias, seconds, extra=about_provider(binding.alias))
    hold_back(runtime, binding, lanes, seconds)


def hold_back(runtime: Runtime, binding: Binding, lanes: Iterable[Lane], seconds: float) -> None:
    """Have no calls of these lanes go in the next *seconds*, over all workers."""
    try:
        for lane in lanes:
            runtime.pace.penalise(lane, seconds)
    except RedisError as exc:
        fields = about_provider(binding.alias)
        log.warning("provider %s asks to slow down, and Redis %s", binding.alias, explained(exc), extra=fields)
