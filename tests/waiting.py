"""Waiting for what another process does, and threads that begin together."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, TypeVar

import psutil

T = TypeVar("T")

PATIENCE = 180.0
"""Seconds that a process may take for what it does in one on a quiet machine: to start, to answer, to end."""

LONGEST_NAP = 0.25
"""Seconds that pass at most before something is asked for again that is quickly asked."""

_SAMPLE = 0.005

_NAP = 0.005
_PAUSE = 0.1
_SELDOM = 5
"""Of so many pauses one is followed by work: that takes a fiftieth of a processor."""

_WORK = bytes(16 * 1024 * 1024)
"""To be digested: ten milliseconds, several times as long as a busy machine lets one process work at once."""


def eventually(check: Callable[[], T], *, seconds: float = PATIENCE, what: str = "") -> T:
    """The first true value of *check*, asked again and again; fails after *seconds*.

    One that computes for long is asked less often, and so is what has not come for long, so that it is noticed by a
    twentieth too late at most: what is waited for needs the processor.
    """
    start = time.monotonic()
    while (waited := time.monotonic() - start) < seconds:
        began = time.thread_time()
        if value := check():
            return value
        time.sleep(max(0.02, min(waited / 20, LONGEST_NAP), 10 * (time.thread_time() - began)))
    raise AssertionError(f"did not happen in {seconds:g} s: {what or check}")


@contextmanager
def lateness() -> Iterator[Callable[[], float]]:
    """Measures, meanwhile, by how many seconds this process wakes a thread late at worst, or by up to 5 ms less."""
    ended, worst = threading.Event(), 0.0

    def measure() -> None:
        nonlocal worst
        while not ended.is_set():
            began = time.monotonic()
            # Less of the processor than to wait for the end.
            time.sleep(_SAMPLE)
            worst = max(worst, time.monotonic() - began - _SAMPLE)

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield lambda: worst
    finally:
        ended.set()
        thread.join()


@contextmanager
def fair_clock() -> Iterator[Callable[[], float]]:
    """Seconds since then, as an idle machine would count them: what a promise is measured with.

    It goes slower as others take the processors from this process, and stands still where the machine does. For that
    it works a little, again and again, and compares how long this takes with the processor's time for it.
    """
    ended, passed = threading.Event(), 0.0

    def measure() -> None:
        nonlocal passed
        alone, taken = float("inf"), 0.0
        for turn in itertools.count():
            began = time.monotonic()
            if ended.wait(_PAUSE):
                return
            woke, used = time.monotonic(), time.thread_time()
            if turn % _SELDOM == 0:
                hashlib.sha256(_WORK).digest()
                taken, alone = time.monotonic() - woke, min(alone, time.thread_time() - used)
            held_up = taken - alone + max(0.0, woke - began - _PAUSE - _NAP)
            passed += (time.monotonic() - began) * alone / (alone + held_up)

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield lambda: passed
    finally:
        ended.set()
        thread.join()


def time_with(**own: Callable[..., Any]) -> SimpleNamespace:
    """The module `time` with functions of a test's *own*, for one module of ours: threads of others use it too."""
    return SimpleNamespace(**vars(time) | own)


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended, whether or not somebody has waited for it."""
    with suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What each action returned or raised, in threads that start together."""
    gate = threading.Barrier(len(actions))
    results: list[object] = [None] * len(actions)

    def run(place: int, action: Callable[[], object]) -> None:
        gate.wait()
        try:
            results[place] = action()
        except Exception as exc:
            results[place] = exc

    threads = [threading.Thread(target=run, args=item) for item in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
