"""The walls of the box: what code under test takes for the time, for chance and for other threads while a world runs.

Patched by the thread that asks: who is no actor (pytest, its time-outs) sees what is real.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import FrameType
from typing import Any
from unittest.mock import patch
from uuid import UUID

import tasks.ledger.rows
import tasks.lifecycle.claim
import tasks.lifecycle.record
import tasks.messages.celery_tasks
import tasks.once
import tasks.provider_reaction
import tasks.providers.sandbox.ledger
import tasks.providers.transport.answers
import tasks.renewed_claim
import tasks.runtime
import workers.database.clock
import workers.database.connections
import workers.database.group_commit
import workers.periodic.giving_back
from tasks.outages.waits import Waits
from tests.simulation.scheduler.clockwork import Clockwork, Escaped
from tests.simulation.scheduler.threads import Threads

START = datetime(2026, 1, 1, tzinfo=UTC)
WAITING = (
    tasks.lifecycle.claim,
    tasks.once,
    tasks.renewed_claim,
    workers.database.clock,
    workers.database.connections,
    workers.database.group_commit,
    workers.periodic.giving_back,
)
"""The modules that wait for other threads."""
DATED = (tasks.providers.sandbox.ledger,)
"""Those that ask `datetime` for a provider's time."""
DATED_ALONE = (tasks.providers.transport.answers, tasks.runtime)
"""Those that ask it for that of their own machine, whatever it is."""
CACHES = (tasks.lifecycle.claim._claiming, tasks.lifecycle.claim._marking, tasks.lifecycle.record._recording)
"""What code under test keeps for the life of a process."""


@contextmanager
def closed(clockwork: Clockwork) -> Iterator[None]:
    """Close the box around the actors of *clockwork*."""
    before = random.getstate()
    random.seed(clockwork.rng.getrandbits(64))
    threads: Any = Threads(clockwork)
    with ExitStack() as stack:
        for module in WAITING:
            stack.enter_context(patch.object(module, "threading", threads))
        for module in DATED:
            stack.enter_context(patch.object(module, "datetime", _dated(clockwork, wall_clock)))
        for module in DATED_ALONE:
            stack.enter_context(patch.object(module, "datetime", _dated(clockwork, own_clock)))
        for target, name, value in _patches(clockwork):
            stack.enter_context(patch.object(target, name, value))
        try:
            yield
        finally:
            random.setstate(before)
            for cache in CACHES:
                cache.cache_clear()


def wall_clock(clockwork: Clockwork) -> datetime:
    """The database's time of day, in UTC."""
    return START + timedelta(microseconds=clockwork.now + clockwork.skew)


def own_clock(clockwork: Clockwork) -> datetime:
    """What the running actor's machine takes for the time of day, in UTC."""
    me = clockwork.me
    return START + timedelta(microseconds=clockwork.now + (me.process.skew if me else 0))


def _patches(clockwork: Clockwork) -> list[tuple[Any, str, Any]]:
    """What is replaced, everywhere at once or in one module."""
    ours = _by_thread(clockwork)
    per_process = [
        (tasks.provider_reaction, "_streaks", _PerProcess(clockwork, dict)),
        (tasks.messages.celery_tasks, "WAITS", _PerProcess(clockwork, Waits)),
        (tasks.lifecycle.claim, "_looks", _PerProcess(clockwork, lambda: defaultdict(tasks.lifecycle.claim._Look))),
        (tasks.lifecycle.claim, "_Look", lambda: _look(clockwork)),
    ]
    return [
        (time, "monotonic", ours(time.monotonic, clockwork.seconds)),
        (time, "time", ours(time.time, lambda: own_clock(clockwork).timestamp())),
        (time, "sleep", ours(time.sleep, clockwork.sleep)),
        (time, "clock_gettime", ours(time.clock_gettime, lambda _which: clockwork.seconds())),
        (workers.database.group_commit, "sleep", clockwork.sleep),
        (os, "urandom", ours(os.urandom, clockwork.rng.randbytes)),
        (tasks.ledger.rows, "uuid7", lambda: _uuid7(clockwork)),
        (threading.Thread, "start", ours(threading.Thread.start, _escaped)),
        (socket.socket, "connect", ours(socket.socket.connect, _escaped)),
        *per_process,
    ]


def _by_thread(clockwork: Clockwork) -> Callable[[Any, Any], Any]:
    """Chooses between what is real and what is virtual."""

    mine = clockwork._mine

    def choose(real: Any, virtual: Any) -> Any:
        def either(*given: Any, **named: Any) -> Any:
            return (real if mine.actor is None else virtual)(*given, **named)

        return either

    return choose


REAL = frozenset(
    {
        *(f"time.{name}{unit}" for name in ("time", "monotonic", "perf_counter") for unit in ("", "_ns")),
        *("time.sleep", "time.clock_gettime", "datetime.now", "datetime.utcnow", "date.today"),
        *("posix.urandom", "_thread.start_new_thread", "socket.connect"),
    }
)
"""What reaches the machine's clock, chance, threads and network, as the interpreter names it."""


def watch(frame: FrameType, event: str, called: Any) -> None:
    """A profile function: raises Escaped where code of ours calls one of REAL. It makes a world half as quick."""
    if event != "c_call":
        return
    module = getattr(called, "__module__", None)
    name = f"{module}.{called.__name__}" if module else called.__qualname__
    place = frame.f_globals.get("__name__", "")
    if name in REAL and place.partition(".")[0] in ("tasks", "workers", "schemas"):
        raise Escaped(f"{place}, line {frame.f_lineno}: {name}")


def _escaped(*_: Any, **__: Any) -> None:
    raise Escaped("a real thread or socket is begun in the box")


def _look(clockwork: Clockwork) -> Any:
    look = object.__new__(_LOOK)
    lock: Any = Threads(clockwork).Lock()
    look.lock, look.done, look.applied, look.server = lock, 0, True, ""
    return look


_LOOK = tasks.lifecycle.claim._Look


class _PerProcess:
    """What a module keeps, a dictionary or an object: each process of the world has its own."""

    def __init__(self, clockwork: Clockwork, make: Callable[[], Any]) -> None:
        self._clockwork = clockwork
        self._of: defaultdict[Any, Any] = defaultdict(make)

    @property
    def _mine(self) -> Any:
        me = self._clockwork.me
        assert me is not None
        return self._of[me.process]

    def __getitem__(self, key: Any) -> Any:
        return self._mine[key]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mine, name)


def _uuid7(clockwork: Clockwork) -> UUID:
    milliseconds = int(own_clock(clockwork).timestamp() * 1000)
    chance = clockwork.rng.getrandbits(74)
    version = milliseconds << 80 | 7 << 76 | (chance >> 62) << 64
    return UUID(int=version | 2 << 62 | chance & (1 << 62) - 1)


def _dated(clockwork: Clockwork, clock: Callable[[Clockwork], datetime]) -> type[datetime]:
    class Dated(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return clock(clockwork) if clockwork.me else datetime.now(tz)

    return Dated
