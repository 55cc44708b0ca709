"""Where a run keeps its files: in memory where there is room, for on a disk each commit of SQLite waits for it.

What a killed process wrote is there after it, as it is on a disk; only the machine's own end is another, and no test
ends it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that have to be free there: containers often have 64 MB."""

_NAME = "dialstock-tests-"


def choose(memory: Path = MEMORY) -> Path | None:
    """Have this process and those that it starts make temporary files in a folder in memory, which is returned.

    None where TMPDIR says another place, or memory has no room or takes no programs. Folders of runs that have ended
    are removed.
    """
    if "TMPDIR" in os.environ or not _usable(memory):
        return None
    for left in memory.glob(f"{_NAME}*"):
        if not psutil.pid_exists(int(left.name.removeprefix(_NAME))):
            shutil.rmtree(left, ignore_errors=True)
    folder = memory / f"{_NAME}{os.getpid()}"
    folder.mkdir()
    # PostgreSQL may run as another user, who has its own folder in this one.
    folder.chmod(0o711)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def _usable(memory: Path) -> bool:
    if not (memory.is_dir() and os.access(memory, os.W_OK)):
        return False
    found = os.statvfs(memory)
    free = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available)
    return free >= ROOM and not found.f_flag & os.ST_NOEXEC
