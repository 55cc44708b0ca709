"""What code under test uses of `threading`, on the clockwork: waiting lets others go on, and takes virtual time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from tests.simulation.scheduler.clockwork import MICRO, Actor, Clockwork


class Threads:
    """In the place of the module `threading`, in modules that wait for each other's threads."""

    local = threading.local

    def __init__(self, clockwork: Clockwork) -> None:
        self._clockwork = clockwork

    def Lock(self) -> Lock:  # noqa: N802 - as threading has it
        return Lock(self._clockwork)

    def Event(self) -> Event:  # noqa: N802
        return Event(self._clockwork)

    def Thread(self, **how: Any) -> Thread:  # noqa: N802
        return Thread(self._clockwork, **how)


class _Waiters:
    def __init__(self, clockwork: Clockwork) -> None:
        self._clockwork = clockwork
        self._waiting: deque[Actor] = deque()

    def _wait(self, seconds: float | None = None) -> None:
        me = self._clockwork.me
        assert me is not None
        self._waiting.append(me)
        try:
            if seconds is None:
                self._clockwork.wait()
            else:
                self._clockwork.sleep(seconds)
        finally:
            if me in self._waiting:
                self._waiting.remove(me)

    def _wake_all(self) -> None:
        for actor in self._waiting:
            self._clockwork.wake(actor)


class Lock(_Waiters):
    """A lock whose waiters go on in the order that the seed picks."""

    def __init__(self, clockwork: Clockwork) -> None:
        super().__init__(clockwork)
        self._held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        while self._held:
            if not blocking:
                return False
            self._wait()
        self._held = True
        return True

    def release(self) -> None:
        self._held = False
        self._wake_all()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Event(_Waiters):
    """threading.Event in virtual time."""

    def __init__(self, clockwork: Clockwork) -> None:
        super().__init__(clockwork)
        self._set = False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._wake_all()

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else self._clockwork.now + round(timeout * MICRO)
        while not self._set and (end is None or self._clockwork.now < end):
            self._wait(None if end is None else (end - self._clockwork.now) / MICRO)
        return self._set


class Thread:
    """A thread of the same process: another actor."""

    def __init__(
        self,
        clockwork: Clockwork,
        *,
        target: Callable[..., object],
        name: str = "thread",
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        daemon: bool = False,
    ) -> None:
        self._clockwork = clockwork
        self._call: Callable[[], object] = partial(target, *args, **(kwargs or {}))
        self._name = name
        self._over = Event(clockwork)

    def start(self) -> None:
        me = self._clockwork.me
        assert me is not None
        self._clockwork.spawn(f"{me.name}/{self._name}", me.process, self._run)

    def _run(self) -> None:
        try:
            self._call()
        finally:
            self._over.set()

    def is_alive(self) -> bool:
        return not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        self._over.wait(timeout)
