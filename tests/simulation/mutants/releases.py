"""Faults of our own about numbers that are given back: each takes back what keeps one that somebody has or pays for."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

import tasks.ledger.audit.findings
import tasks.ledger.audit.ids
import tasks.ledger.calls.looks
import tasks.ledger.releases.calls
from schemas.releasing import ReleaseKind, ReleaseStatus
from schemas.tables.releases import RELEASE_KEY
from tasks.ledger.audit import differences
from tasks.ledger.calls import given_back
from tasks.ledger.releases import asking, keys
from tasks.ledger.rows import insert_once
from tasks.policies.giving_back import Step
from tasks.pools import leaving
from tasks.restored_database import detect


def refusal_is_gone() -> AbstractContextManager[Any]:
    """A refusal to give a number back, as a 404, says that it is not ours any more."""
    return _after(ReleaseKind.REFUSED, ReleaseStatus.RELEASED)


def lost_release_is_kept() -> AbstractContextManager[Any]:
    """A call to give back whose answer was lost is taken for one that was not made."""
    return _after(ReleaseKind.UNKNOWN, ReleaseStatus.KEPT)


def _after(kind: ReleaseKind, status: ReleaseStatus) -> AbstractContextManager[Any]:
    careful = tasks.ledger.releases.calls.after_release

    def careless(outcome: Any, *rest: Any) -> Step:
        return Step(status=status, error="", error_code="") if outcome.kind is kind else careful(outcome, *rest)

    return patch.object(tasks.ledger.releases.calls, "after_release", careless)


def gone_is_there() -> AbstractContextManager[Any]:
    """What a list shows of a number that was given back is believed to be what was bought since."""
    stack = ExitStack()
    stack.enter_context(patch.object(tasks.ledger.calls.looks, "believed", lambda _conn, _row, look, *_: look))
    stack.enter_context(patch.object(given_back, "believed", lambda _conn, _row, look, *_: look))
    for module in (tasks.ledger.audit.findings, tasks.ledger.audit.ids):
        stack.enter_context(patch.object(module, "is_outdated", lambda *_: False))
    return stack


def gone_is_adopted() -> AbstractContextManager[Any]:
    """An audit takes what a list shows still of a number that was given back for one that nobody knows of."""
    stack = ExitStack()
    stack.enter_context(patch.object(differences, "_over_by", lambda _row, walks: walks.began))
    stack.enter_context(patch.object(tasks.ledger.audit.findings, "released_since", lambda *_: set()))
    return stack


def released_each_time() -> AbstractContextManager[Any]:
    """A request to give back that comes again gives back what was bought since."""
    made = asking._new

    def remember(conn: Any, release_id: str, request: Any, now: Any) -> None:
        insert_once(conn, RELEASE_KEY, {**request, "release_id": release_id, "created_at": now})

    stack = ExitStack()
    stack.enter_context(patch.multiple(keys, answered=lambda *_: None, remember=remember))
    stack.enter_context(patch.object(asking, "_new", lambda *given: {**made(*given), "idempotency_key": None}))
    return stack


def taken_and_released() -> AbstractContextManager[Any]:
    """A number goes back to its provider though somebody has taken it from its pool."""
    return patch.object(leaving, "refuse_taken", lambda *_: None)


def kept_after_going_on() -> AbstractContextManager[Any]:
    """Who noticed a restore keeps what is on its way back, though its account has gone on since."""
    return patch.object(detect, "_is_stopped", lambda *_: True)


MUTANTS_OF_RELEASES = (
    refusal_is_gone,
    lost_release_is_kept,
    gone_is_there,
    gone_is_adopted,
    released_each_time,
    taken_and_released,
    kept_after_going_on,
)
