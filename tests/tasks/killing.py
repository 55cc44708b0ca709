"""A database that kills whoever works with it, at any of his commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import Connection, Select

from tests.tasks.support import Killed, World
from workers.database.connections import SqlDatabase


class DeadlyDatabase:
    """The database of whoever is to die. Between two commits nothing lasts, so it kills right after one."""

    def __init__(self, database: SqlDatabase) -> None:
        self.engine = database.engine
        self._database = database
        self.left: int | None = None
        """Commits to live; None for a long life."""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self._database.write() as conn:
            yield conn
        self._count()

    def run(self, action: Callable[[Connection], Any]) -> Any:
        done = self._database.run(action)
        self._count()
        return done

    def transact(
        self,
        action: Callable[[Connection, Sequence[Any]], Sequence[Any]],
        items: Sequence[Any],
        then: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    ) -> list[Any]:
        done = self._database.transact(action, items, then)
        self._count()
        return done

    def renew(self) -> None:
        self._database.renew()

    def read(self) -> AbstractContextManager[Connection]:
        return self._database.read()

    def may_find(self, query: Select[Any]) -> bool:
        return self._database.may_find(query)

    def _count(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise Killed


def make_deadly(world: World) -> DeadlyDatabase:
    """Have all that happens in *world* go through a database that kills."""
    database = world.runtime.database
    assert isinstance(database, SqlDatabase)
    deadly = DeadlyDatabase(database)
    object.__setattr__(world.runtime, "database", deadly)
    return deadly


def killed_at(deadly: DeadlyDatabase, commit: int | None, work: Callable[[], Any]) -> bool:
    """Do *work*, and die right after its *commit*-th commit, where it has so many. True where it died."""
    deadly.left = commit
    try:
        work()
    except Killed:
        return True
    finally:
        deadly.left = None
    return False
