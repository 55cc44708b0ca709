"""Traps at the named points of a purchase's way: files that the suite lays and worker processes step into.

A file NAME in `armed` is POINT.BLOW.PASSES: the BLOW falls at the POINT after so many have passed it. Who renames it
first has it, so that one process is struck and no other.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import fair_clock

POINTS = ("accepted", "released", "taken", "reserved", "claimed", "sending", "answered", "recorded", "published")


@dataclass(frozen=True)
class Sprung:
    """A trap that somebody stepped into: which process, where, and when (time.time)."""

    point: str
    blow: str
    pid: int
    at: float


class Traps:
    """Both ends of it: the suite arms, workers call `reached`. Blows: kill, stop, mark (which only tells)."""

    def __init__(self, folder: Path) -> None:
        self._armed = folder / "armed"
        self._sprung = folder / "sprung"
        for place in (self._armed, self._sprung):
            place.mkdir(parents=True, exist_ok=True)

    def arm(self, point: str, blow: str, passes: int = 0) -> None:
        """Lay one trap."""
        assert point in POINTS
        (self._armed / f"{point}.{blow}.{passes}").touch()

    def wait(self, seconds: float) -> Sprung | None:
        """Who stepped into the trap laid last; None, and no trap any more, where nobody did in time.

        The seconds are those of a machine that has the time.
        """
        with fair_clock() as clock:
            while clock() < seconds:
                if (found := self._taken()) is not None:
                    return found
                time.sleep(0.005)
        for trap in self._armed.iterdir():
            trap.unlink(missing_ok=True)
        return self._taken()

    def reached(self, point: str) -> None:
        """What a worker's runtime is told; strikes this process where a trap lies."""
        with os.scandir(self._armed) as traps:
            names = [trap.name for trap in traps if trap.name.startswith(f"{point}.")]
        for name in names:
            with suppress(FileNotFoundError):
                self._step(name)

    def _step(self, name: str) -> None:
        point, blow, passes = name.split(".")
        if int(passes):
            (self._armed / name).rename(self._armed / f"{point}.{blow}.{int(passes) - 1}")
            return
        (self._armed / name).rename(self._sprung / f"{point}.{blow}.{os.getpid()}.{time.time()}")
        BLOWS[blow]()

    def _taken(self) -> Sprung | None:
        for taken in self._sprung.iterdir():
            point, blow, pid, at = taken.name.split(".", 3)
            taken.unlink()
            return Sprung(point, blow, int(pid), float(at))
        return None


BLOWS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "mark": lambda: None,
}
