"""Where a run keeps its files: in memory where there is room, for on a disk each commit of SQLite waits for it.

What a killed process wrote is there after it, as it is on a disk; only the machine's own end is another, and no test
ends it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that have to be free there: containers often have 64 MB."""

_NAME = "dialstock-run-"
_HELD = ExitStack()


def choose(memory: Path = MEMORY) -> Path | None:
    """Have this process and those that it starts make temporary files in a folder in memory, which is returned.

    None where TMPDIR says another place, or memory has no room or takes no programs. Folders of runs that have ended
    are removed.
    """
    if "TMPDIR" in os.environ or not _usable(memory):
        return None
    with _locked(memory):
        for left in memory.glob(f"{_NAME}*"):
            # Whose run goes on holds it: its process id says little where containers share the memory.
            with suppress(BlockingIOError, PermissionError), _locked(left, fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_NAME, dir=memory))
        _HELD.enter_context(_locked(folder))
    # PostgreSQL may run as another user, who has its own folder in this one.
    folder.chmod(0o711)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[None]:
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | how)
        yield
    finally:
        os.close(opened)


def _usable(memory: Path) -> bool:
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return False
    found = os.statvfs(memory)
    free = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available)
    return free >= ROOM and not found.f_flag & os.ST_NOEXEC
