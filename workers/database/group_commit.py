"""Group commit: threads that wait to write share one transaction, its statements, and one sync to the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from time import sleep
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tasks.transactions import NotHere

log = logging.getLogger(__name__)
T = TypeVar("T")
Item = TypeVar("Item")
Action = Callable[[Connection, Sequence[Any]], Sequence[Any]]
Then = Callable[[Sequence[Any]], Sequence[Any]]

MAX_GROUP = 100

GATHER = 0.01
"""Seconds that others have to join a leader who had to wait itself: the more share a commit, the less each costs."""

PATIENCE = 0.05
"""Seconds after which a group is not waited for: far from the database it goes there and back many times."""


class _Waiting:
    """One thread's items, and what became of them: `results` once they are committed, or `error`."""

    first = False
    """Whether it comes to stand first in the line, where groups before it are gone. Only that one looks at the time:
    all others sleep until they are told, for each that wakes up costs those who work their turn."""

    def __init__(self, action: Action, items: Sequence[Any], then: Then | None) -> None:
        self.action = action
        self.items = items
        self.then = then
        self.results: list[Any] | None = None
        self.error: BaseException | None = None
        # Held until it is this thread's turn: to go, or to lead the next group.
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit:
    """Runs what threads wait with together: one of them commits for all that came meanwhile, then the next leads.

    Where a group takes long, the next one sets out beside it, up to *most* at once.

    A group that fails is rolled back; then what each thread came with runs in a transaction of its own, so that only
    its own thread sees the error. Raises NotHere to all threads that came with the same.
    """

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]], most: int = 1) -> None:
        self._begin = begin
        self._most = most
        self._line: deque[_Waiting] = deque()
        self._led = False
        self._under_way = 0
        self._set_out = 0.0
        self._lock = threading.Lock()

    def run(
        self,
        action: Callable[[Connection, Sequence[Item]], Sequence[T]],
        items: Sequence[Item],
        then: Callable[[Sequence[T]], Sequence[T]] | None = None,
    ) -> list[T]:
        """Run *action* on *items* and on those that other threads wait with for the same action.

        Returns the results of *items* when they are committed. Raises what the action or the commit raised.

        *then* is given the committed results, once for all threads that brought it, and returns what they get instead.
        The next group commits meanwhile. What it raises is seen by one thread; the others get what was committed.
        """
        mine = _Waiting(action, items, then)
        with self._lock:
            # Whole groups go, or all.
            mine.first = len(self._line) % MAX_GROUP == 0
            self._line.append(mine)
            waits = self._led or self._under_way > 0
            self._led = self._led or not waits
        if waits:
            self._wait(mine)
        if mine.results is None and mine.error is None:
            self._lead(GATHER if waits else 0.0)
        if mine.results is None:
            raise mine.error or RuntimeError("a group ended without a result")
        return mine.results

    def _wait(self, mine: _Waiting) -> None:
        """Until *mine* is done, or its thread is to lead: the group before is over, or has taken long."""
        while not mine.turn.acquire(timeout=PATIENCE if self._most > 1 and mine.first else -1):
            with self._lock:
                late = time.monotonic() - self._set_out >= PATIENCE
                if late and not self._led and self._under_way < self._most and self._line and self._line[0] is mine:
                    self._led = True
                    return

    def _lead(self, gather: float) -> None:
        group: list[_Waiting] = []
        try:
            try:
                self._take(group, gather)
                self._commit(group)
            finally:
                self._hand_over()
            _go_on(group)
        except BaseException as exc:
            for one in group:
                one.error = one.error or exc
            raise
        finally:
            for one in group:
                one.turn.release()

    def _take(self, group: list[_Waiting], gather: float) -> None:
        try:
            if gather:
                sleep(gather)
        finally:
            with self._lock:
                group += [self._line.popleft() for _ in range(min(len(self._line), MAX_GROUP))]
                self._led = False
                self._under_way += 1
                self._set_out = time.monotonic()

    def _hand_over(self) -> None:
        with self._lock:
            self._under_way -= 1
            if self._line and not self._led:
                self._led = True
                self._line[0].turn.release()

    def _commit(self, group: list[_Waiting]) -> None:
        try:
            self._try(group)
        except Exception as exc:  # noqa: BLE001 - it is handed to the threads that it belongs to
            parts = _parts(group, exc)
            if len(parts) == 1:
                for one in group:
                    one.error = exc
                return
            log.info("%d threads' writes are tried in %d parts: %s", len(group), len(parts), type(exc).__name__)
            for part in parts:
                self._commit(part)

    def _try(self, group: list[_Waiting]) -> None:
        with self._begin() as connection:
            found = [
                (waiting, iter(waiting[0].action(connection, [item for one in waiting for item in one.items])))
                for waiting in _by_action(group)
            ]
        for waiting, results in found:
            for one in waiting:
                one.results = list(islice(results, len(one.items)))


def _by_action(group: list[_Waiting]) -> list[list[_Waiting]]:
    together: dict[Action, list[_Waiting]] = {}
    for one in group:
        together.setdefault(one.action, []).append(one)
    return list(together.values())


def _parts(group: list[_Waiting], exc: Exception) -> list[list[_Waiting]]:
    """What to try each by itself after a group failed: who did the same, then each thread.

    Without a connection, nothing: each would wait for one in vain, and all who come after them.
    """
    if _is_away(exc):
        return [group]
    parts = _by_action(group)
    return parts if len(parts) > 1 or isinstance(exc, NotHere) else [[one] for one in group]


def _is_away(exc: Exception) -> bool:
    """Whether there was no connection: an error of a statement's names that."""
    return isinstance(exc, PoolTimeout) or (isinstance(exc, DBAPIError) and exc.statement is None)


def _go_on(group: list[_Waiting]) -> None:
    """What follows the commit, once for all threads of the group that brought the same."""
    together: dict[Then, list[_Waiting]] = {}
    for one in group:
        if one.then is not None and one.results:
            together.setdefault(one.then, []).append(one)
    for then, waiting in together.items():
        results = iter(then([result for one in waiting for result in one.results or ()]))
        for one in waiting:
            one.results = list(islice(results, len(one.items)))
