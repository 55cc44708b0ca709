"""Signs of life of a process, for a probe beside it: `dialstock doctor --alive`.

A probe must not ask the servers: a worker waits out a database or a Redis that is away, and a restart would not bring
it back. So each part of a process that has to go on (the loop that takes messages, the run of a timer, beat's
scheduler) notes when it last did, and a thread writes the oldest of them down, in a file of the folder
DIALSTOCK_ALIVE. Where that is not set nothing is written.

The times are those of the machine's monotonic clock, which all its processes share and nobody sets. A process holds a
lock on its file as long as it lives: what one left behind that was killed is not taken for another's.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

ALIVE = "DIALSTOCK_ALIVE"
WRITE_EVERY = 2.0
"""Seconds between two lines to the file."""

STILL = 120.0
"""Seconds without a sign after which a part is taken for hung: more than a call to a database that vanished takes."""

_SUFFIX = ".alive"
_LINE = 200
"""Bytes, written at once over the last ones."""


@dataclass(frozen=True)
class Sign:
    """What one process wrote last: its name, the part that is longest without a sign, and for how many seconds."""

    process: str
    part: str
    age: float

    @property
    def hung(self) -> bool:
        """Whether it stands still; a time that is yet to come is of before the machine started anew."""
        return not 0 <= self.age <= STILL


class Signs:
    """When each part of this process gave its last sign."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._here = threading.local()
        self._leaving = False

    def give(self, part: str) -> None:
        """The *part* goes on, in this thread."""
        self._last[part] = time.monotonic()
        self._here.part = part

    def waits(self) -> None:
        """This thread waits for a server, as it should: what part of the process it is, if any, goes on."""
        part = getattr(self._here, "part", None)
        if part in self._last:
            self.give(part)

    def end(self, part: str) -> None:
        """The *part* rests, or has ended, as it should."""
        self._last.pop(part, None)

    def leave(self) -> None:
        """The process ends, and lets finish what is under way: its parts stop, each in its time."""
        self._leaving = True

    def oldest(self) -> tuple[float, str]:
        """When the part that is longest without a sign gave its last, and its name; now where there is none."""
        found = [] if self._leaving else [(given, part) for part, given in self._last.copy().items()]
        return min(found, default=(time.monotonic(), "process"))


SIGNS = Signs()
"""Those of this process."""


def write_signs(process: str, environ: Mapping[str, str] | None = None) -> None:
    """Write this process's signs from now on, where DIALSTOCK_ALIVE names a folder; it is called *process* there."""
    folder = folder_of(os.environ if environ is None else environ)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        descriptor = _own_file(folder, process)
    except OSError as exc:
        log.warning("no sign of life can be given: %s names %s, which cannot be written: %s", ALIVE, folder, exc)
        return
    threading.Thread(target=_write, args=(descriptor,), name="dialstock-signs", daemon=True).start()


def read_signs(folder: Path) -> list[Sign]:
    """The last sign of each process that is there and writes to *folder*. Raises OSError."""
    found = [_read(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    return [sign for sign in found if sign is not None]


def folder_of(environ: Mapping[str, str]) -> Path | None:
    """Where signs are written; None where they are not."""
    value = environ.get(ALIVE, "").strip()
    return Path(value).absolute() if value else None


def _own_file(folder: Path, process: str) -> int:
    path = folder / f"{process}-{os.getpid()}-{secrets.token_hex(4)}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    _write_once(descriptor)
    # Seen only now, when it is locked: else it could be taken for one that was left behind.
    path.rename(path.with_suffix(_SUFFIX))
    return descriptor


def _write(descriptor: int) -> None:
    while True:
        time.sleep(WRITE_EVERY)
        try:
            _write_once(descriptor)
        except OSError as exc:
            log.warning("no sign of life is given: %s", exc)


def _write_once(descriptor: int) -> None:
    given, part = SIGNS.oldest()
    os.pwrite(descriptor, f"{given:.3f} {part}"[: _LINE - 1].ljust(_LINE - 1).encode() + b"\n", 0)


def _sweep(folder: Path) -> None:
    for path in folder.glob(f"*{_SUFFIX}"):
        with suppress(FileNotFoundError):
            if not _is_held(path):
                path.unlink()


def _read(path: Path) -> Sign | None:
    with suppress(FileNotFoundError):
        if _is_held(path):
            given, _, part = path.read_text(encoding="utf-8", errors="replace").strip().partition(" ")
            return Sign(path.stem.partition("-")[0], part, time.monotonic() - float(given))
    return None


def _is_held(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
