"""Faults of our own in orders by criteria: each takes back what keeps a wish within its count, or has it end."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from schemas.status import Status
from tasks.ledger.orders.wishes import Tally
from tasks.wishes import due, run


def wish_counted_once() -> AbstractContextManager[Any]:
    """A run writes down what was missing before its search."""
    careful = run._conclude

    def conclude(conn: Any, this: Any, begun: Any, *found: Any) -> None:
        with patch.object(Tally, "missing", lambda *_: begun.missing):
            careful(conn, this, begun, *found)

    return patch.object(run, "_conclude", conclude)


def doubt_replaced() -> AbstractContextManager[Any]:
    """Another number takes the place of one whose call is in doubt."""
    return patch.object(Tally, "refused", property(lambda self: self._of(Status.FAILED, Status.UNKNOWN)))


def short_at_once() -> AbstractContextManager[Any]:
    """A wish ends with the first search that finds nothing, whatever the provider may have another time."""
    careful = run._none

    def none(*given: Any, final: bool, **named: Any) -> None:
        careful(*given, final=True, **named)

    return patch.object(run, "_none", none)


def wish_left_open() -> AbstractContextManager[Any]:
    """A wish that has all its numbers is looked at no more."""
    return patch.object(due, "_end", lambda *_: None)


MUTANTS_OF_WISHES = (wish_counted_once, doubt_replaced, short_at_once, wish_left_open)
