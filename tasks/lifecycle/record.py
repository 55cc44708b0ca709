"""Writing down what a call came to: never given up, for nobody else has the answer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from schemas.outcomes import Outcome, clip
from tasks.ledger.calls import outcomes
from tasks.ledger.calls.answers import Answer
from tasks.ledger.calls.intents import Claim
from tasks.ledger.rows import Row
from tasks.outages.database_away import until_written
from tasks.runtime import Runtime
from tasks.telemetry.log_fields import about

log = logging.getLogger(__name__)


def write_answer(runtime: Runtime, answer: Answer) -> Row | None:
    """Write the outcome of a call, however long the database does not take it.

    Returns the purchase after, None where the outcome came too late to change anything.
    """
    said = told(answer.claim, answer.outcome)
    after = until_written(runtime.database, lambda: _write(runtime, answer), said)
    log.info("%s", said, extra=about_call(answer.claim))
    runtime.calls.ended(answer.claim.row["provider"], answer.outcome.kind)
    return after


def about_call(claim: Claim) -> dict[str, Any]:
    """The fields of a log line about a call to buy."""
    return about(claim.row, attempt=claim.row["attempts"])


def told(claim: Claim, outcome: Outcome) -> str:
    """What an answer comes to, for the log."""
    row = claim.row
    known = f", provider_number_id {clip(outcome.provider_number_id, 200)}" if outcome.provider_number_id else ""
    return f"purchase {row['id']} of {row['number']} at {row['provider']}: {outcome.kind}{known}"


def _write(runtime: Runtime, answer: Answer) -> Row | None:
    """Write an answer: whole, or bare where its words or times are such that the database has no place for them."""
    try:
        [after] = runtime.database.transact(_recording(runtime.now), [answer])
    except (DataError, ValueError, OverflowError) as exc:
        said = told(answer.claim, answer.outcome)
        log.warning("%s is written without what was said: %s", said, type(exc).__name__, extra=about_call(answer.claim))
        [after] = runtime.database.transact(_recording(runtime.now), [answer.bare()])
    return after


@cache
def _recording(now: Callable[[], datetime]) -> Callable[[Connection, Sequence[Answer]], list[Row | None]]:
    """Made once: what threads record at the same time is written together."""
    return lambda conn, answers: outcomes.record_all(conn, answers, now())
