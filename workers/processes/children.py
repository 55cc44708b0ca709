"""Children kept running: started, read line by line, started again when they die, stopped in order."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import IO

from schemas.outcomes import clip

MAX_RESTARTS = 5
"""Deaths in a row after which a program is given up."""

STEADY = 60.0
"""Seconds of life that make the next death the first one again."""

_MAX_WAIT = 30.0
_MAX_LINE = 4000
_POLL = 0.05

Tell = Callable[[str, str], None]
"""Takes a program's name and one line of it, from any thread."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run. Lower stages are stopped first; `grace` is how many seconds it may take to stop by itself."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stage: int = 0
    grace: float = 10.0


def restart_wait(deaths: int) -> float | None:
    """Seconds until the next start after so many deaths in a row: 1, 2, 4...; None: give up."""
    return None if deaths > MAX_RESTARTS else min(_MAX_WAIT, 2.0 ** (deaths - 1))


class Supervisor:
    """Keeps programs running. Use it from one thread, which must outlive them; call `check` a few times a second."""

    def __init__(self, programs: Sequence[Program], tell: Tell, say: Callable[[str], None]) -> None:
        self._children = [_Child(program, tell) for program in programs]
        self._say = say

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by name."""
        return {child.program.name: child.pid for child in self._children if child.running}

    def start(self, stage: int) -> None:
        """Start those of one stage."""
        for child in self._children:
            if child.program.stage == stage:
                child.start()

    def check(self) -> str | None:
        """Start again what has died and waited. Returns the name of a program that is given up."""
        for child in self._children:
            if notice := child.check():
                self._say(notice)
            if child.given_up:
                return child.program.name
        return None

    def give_grace(self, stage: int, seconds: float) -> None:
        """Let those of one stage have this long to stop by themselves, from now on."""
        for child in self._children:
            if child.program.stage == stage:
                child.program = replace(child.program, grace=seconds)

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> bool:
        """Stop them stage by stage, the whole stage at once; kill what outstays its grace, and all at *hurry*.

        False where something had to be killed.
        """
        clean = True
        for stage in sorted({child.program.stage for child in self._children}):
            children = [child for child in self._children if child.program.stage == stage]
            for child in children:
                child.terminate()
            for child in children:
                clean = self._end(child, hurry) and clean
        return clean

    def _end(self, child: _Child, hurry: Callable[[], bool]) -> bool:
        deadline = child.terminated_at + child.program.grace
        while child.running and time.monotonic() < deadline and not hurry():
            time.sleep(_POLL)
        if not child.running:
            return True
        self._say(f"{child.program.name} has not stopped by itself, and is killed")
        child.kill()
        return False


class _Child:
    def __init__(self, program: Program, tell: Tell) -> None:
        self.program = program
        self.given_up = False
        self.terminated_at = 0.0
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._deaths = 0
        self._start_at: float | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None  # noqa: S101 - asked of running ones only
        return self._process.pid

    def start(self) -> None:
        # A session of its own: the terminal's Ctrl-C is ours alone, and we stop the children in order.
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            self.program.command,
            env=self.program.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._started_at, self._start_at = time.monotonic(), None
        name = self.program.name
        threading.Thread(target=self._read, args=(self._process.stdout,), name=f"read-{name}", daemon=True).start()

    def check(self) -> str | None:
        """A notice where something has changed."""
        now = time.monotonic()
        if self._process is None or self.given_up or self.running:
            return None
        if self._start_at is None:
            return self._died(self._process.returncode, now)
        if now < self._start_at:
            return None
        self.start()
        return f"{self.program.name} started again"

    def _died(self, status: int, now: float) -> str:
        self._deaths = 1 if now - self._started_at > STEADY else self._deaths + 1
        wait = restart_wait(self._deaths)
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        if wait is None:
            self.given_up = True
            return f"{self.program.name} ended with {how}, {self._deaths} times in a row: given up"
        self._start_at = now + wait
        return f"{self.program.name} ended with {how}; it starts again in {wait:g} s"

    def terminate(self) -> None:
        self.terminated_at = time.monotonic()
        if self.running and self._process is not None:
            self._process.terminate()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def _read(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                text = clip(line.decode("utf-8", "replace").rstrip(), _MAX_LINE)
                # The terminal may be gone; the pipe must be emptied all the same, or the child stands still.
                with suppress(OSError):
                    self._tell(self.program.name, text or "")


class Signals:
    """Counts SIGINT, SIGTERM and SIGHUP instead of dying of them; a context manager for the main thread."""

    _NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        self._before = {number: signal.signal(number, self._on_signal) for number in self._NUMBERS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
