"""Statements that SQLAlchemy compiled once are kept for all engines of a test process.

A test's command, or its database, has engines of its own; each would compile the same statements anew.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.util import LRUCache

STATEMENTS = 5_000


class _Shared(LRUCache[Any, Any]):
    """Looks a statement up by the class of its dialect: SQLAlchemy does by the object, of which each engine has one."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_alike(key), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_alike(key), value)


def _alike(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *statement = key
    return (type(dialect), *statement)


def share() -> None:
    """From now on, in all engines."""
    event.listen(Engine, "engine_connect", _use)


_KEPT = _Shared(STATEMENTS)


def _use(connection: Connection) -> None:
    # An option of the connection would be merged with those of each statement.
    connection.engine._compiled_cache = _KEPT
