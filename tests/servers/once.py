"""What takes long to make, and is the same for all: one process of a run makes it, and the others copy it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

_PREFIX = "dialstock-once-"


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder *name*, which the first process of a run that asks for it has *make* fill; nobody changes it after."""
    place = _place()
    with (place / f"{name}.lock").open("w") as lock:
        # Of one that died while it made it, nothing is left but a folder under another name.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made := place / name).exists():
            new = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=place))
            new.chmod(0o755)
            make(new)
            new.rename(made)
    return made


def forget(run: str) -> None:
    """Remove all that was made in a run, by its id."""
    shutil.rmtree(_of(run), ignore_errors=True)


def _place() -> Path:
    """The run's; this process's own where it is the whole run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    place = _of(run) if run else Path(_own().name)
    place.mkdir(exist_ok=True)
    # PostgreSQL may run as another user.
    place.chmod(0o711)
    return place


def _of(run: str) -> Path:
    return Path(tempfile.gettempdir()) / f"{_PREFIX}{run}"


@cache
def _own() -> tempfile.TemporaryDirectory[str]:
    """It is removed as the process ends."""
    return tempfile.TemporaryDirectory(prefix=_PREFIX)
