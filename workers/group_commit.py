"""Group commit: threads that wait to write share one transaction, and one sync to the disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")
Action = Callable[[Connection], Any]

MAX_GROUP = 100


class _Waiting:
    """One thread's action, and what became of it."""

    def __init__(self, action: Action) -> None:
        self.action = action
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class GroupCommit:
    """Runs the actions of waiting threads together: the first thread in line commits for those behind it.

    An action that fails is rolled back with its group; then each of the group runs in a transaction of its own, so
    that only its own thread sees the error.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin
        self._line: deque[_Waiting] = deque()
        self._turn = threading.Lock()

    def run(self, action: Callable[[Connection], T]) -> T:
        """Run *action*; returns when it is committed. Raises what it raised, or what the commit raised."""
        mine = _Waiting(action)
        self._line.append(mine)
        while not mine.done:
            with self._turn:
                if not mine.done:
                    self._commit([self._line.popleft() for _ in range(min(len(self._line), MAX_GROUP))])
        if mine.error is not None:
            raise mine.error
        result: T = mine.result
        return result

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            self._try(group)
        except Exception as exc:  # noqa: BLE001 - it is handed to the thread that it belongs to
            if len(group) == 1:
                group[0].error = exc
                return
            for one in group:
                self._commit([one])
        except BaseException as exc:
            for one in group:
                one.error = exc
            raise
        finally:
            for one in group:
                one.done = True

    def _try(self, group: list[_Waiting]) -> None:
        with self._begin() as connection:
            for one in group:
                one.result = one.action(connection)
