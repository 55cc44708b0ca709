"""Ask a provider about purchases in doubt, or not usable yet, and write down what it says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from schemas.outcomes import Look, LookKind
from schemas.status import Status
from tasks.ledger.calls import looks
from tasks.ledger.rows import Row
from tasks.outages.database_away import patiently
from tasks.policies.pause import Cause, Pause
from tasks.provider_reaction import pause_provider, react_to_looks
from tasks.providers.adapter import Known
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import Stopped, Turns
from tasks.renewed_claim import renewed
from tasks.runtime import Binding, Runtime
from tasks.telemetry.log_fields import about, about_provider
from tasks.telemetry.traces import Step, tell_looks

log = logging.getLogger(__name__)

LEASE = 6.0
"""Seconds that a purchase is left alone while it is looked at, renewed as long as the look takes: a list may be long,
and a worker may die over it."""


def look(
    runtime: Runtime,
    provider: str,
    items: Sequence[tuple[str, int]],
    stopping: Callable[[], bool] = lambda: False,
) -> list[Status]:
    """Look at the taken purchases (id and revision) that are still as they were.

    Returns the statuses that they have then; nothing where *stopping* ended it: they are due again soon.
    """
    binding = runtime.providers.get(provider)
    if binding is None:
        words = "purchases of the provider %r are in doubt, and it is not configured: add it again"
        log.error(words, provider, extra=about_provider(provider))
        return []
    rows, known = _begin(runtime, binding, items)
    if not rows:
        return []
    try:
        with Step() as step, renewed(LEASE / 3, lambda: _begin(runtime, binding, items)):
            answers = _ask(runtime, binding, known, stopping)
    except Stopped:
        log.info("%d looks at %s are left to another worker", len(rows), provider, extra=about_provider(provider))
        return []
    after = [_written(runtime, binding, row, answers[row["number"]]) for row in rows]
    tell_looks(step, binding, [(row, answers[row["number"]]) for row in rows])
    refused = next((answer for answer in answers.values() if looks.needs_owner(answer)), None)
    if refused is not None:
        reason = f"a look-up was refused: {refused.error}"
        pause_provider(
            runtime, provider, Pause(cause=Cause.ACCOUNT, reason=reason, cooldown=binding.policy.pause_cooldown)
        )
    return [Status(row["status"]) for row in after if row is not None]


def _begin(runtime: Runtime, binding: Binding, items: Sequence[tuple[str, int]]) -> tuple[list[Row], dict[str, Known]]:
    """The purchases, kept for a while, and what is known of each number."""
    until = timedelta(seconds=LEASE)

    def begin(conn: Connection) -> tuple[list[Row], dict[str, Known]]:
        rows = looks.begin(conn, binding.account, items, runtime.now() + until)
        names = looks.references(conn, [row["id"] for row in rows]) if binding.adapter.keeps_reference else {}
        return rows, {row["number"]: _known(row, names.get(row["id"], ())) for row in rows}

    return runtime.database.run(begin)


def _known(row: Row, references: tuple[str, ...]) -> Known:
    return Known(number_id=row["provider_number_id"], order_id=row["provider_order_id"], references=references)


def _ask(
    runtime: Runtime, binding: Binding, numbers: dict[str, Known], stopping: Callable[[], bool]
) -> dict[str, Look]:
    if binding.adapter.lookup == "none":
        unable = Look(kind=LookKind.UNCLEAR, error="this provider cannot be asked")
        return dict.fromkeys(numbers, unable)
    with in_turn(Turns(runtime=runtime, binding=binding, stopping=stopping)):
        answers = binding.adapter.look(numbers)
    react_to_looks(runtime, binding, answers.values())
    return answers


def _written(runtime: Runtime, binding: Binding, row: Row, answer: Look) -> Row | None:
    return patiently(lambda: _record(runtime, binding, row, answer), f"what looks at {binding.alias} found")


def _record(runtime: Runtime, binding: Binding, row: Row, answer: Look) -> Row | None:
    """Not for ever: what a look said can be asked again."""
    # The clock is asked first: in the transaction, threads that hold all connections would wait for one more.
    policy, watch = binding.policy, runtime.watched()
    try:
        return runtime.database.run(lambda conn: looks.record_look(conn, row, answer, policy, watch))
    except (DataError, ValueError) as exc:
        words = "a look at %s is written without what was said: %s"
        log.warning(words, row["number"], type(exc).__name__, extra=about(row))
        bare = replace(answer, error="what the provider said cannot be stored")
        return runtime.database.run(lambda conn: looks.record_look(conn, row, bare, policy, watch))
