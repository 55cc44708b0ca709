"""Faults of our own about numbers that are given back: each takes back what keeps one that somebody has or pays for."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import tasks.ledger.releases.calls
from schemas.releasing import ReleaseKind, ReleaseStatus
from tasks.ledger.releases import keys
from tasks.policies.giving_back import Step
from tasks.pools import leaving


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


def released_each_time() -> AbstractContextManager[Any]:
    """A request to give back that comes again gives back what was bought since."""
    return patch.multiple(keys, answered=lambda *_: None, remember=lambda *_: None)


def taken_and_released() -> AbstractContextManager[Any]:
    """A number goes back to its provider though somebody has taken it from its pool."""
    return patch.object(leaving, "refuse_taken", lambda *_: None)


MUTANTS_OF_RELEASES = (
    refusal_is_gone,
    lost_release_is_kept,
    released_each_time,
    taken_and_released,
)
