"""Faults of our own that show only where several write at once: what was read is acted on, and was not locked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Engine, event

_LOCK = re.compile(r"\s*FOR (NO KEY UPDATE|UPDATE|SHARE|KEY SHARE)( OF \w+)?( SKIP LOCKED)?")


def nothing_locked() -> AbstractContextManager[Any]:
    """No row is locked by who reads it."""
    return _unlocked("")


def orders_unlocked() -> AbstractContextManager[Any]:
    """No order is."""
    return _unlocked("FROM purchase_order")


def purchases_unlocked() -> AbstractContextManager[Any]:
    """No purchase is."""
    return _unlocked("FROM purchase")


@contextmanager
def _unlocked(start: str) -> Iterator[None]:
    """Statements that have *start* as a line's lock nothing. What was compiled before is changed, too."""
    asked = re.compile(f"^{start}\\b" if start else "", re.MULTILINE)

    def change(_conn: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        if "FOR " in statement and asked.search(statement):
            statement = _LOCK.sub("", statement)
        return statement, parameters

    event.listen(Engine, "before_cursor_execute", change, retval=True)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", change)


MUTANTS_OF_WRITERS: tuple[Callable[[], AbstractContextManager[Any]], ...] = (
    nothing_locked,
    orders_unlocked,
    purchases_unlocked,
)
