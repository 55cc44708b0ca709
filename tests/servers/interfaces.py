"""The machine's network interfaces, which are one for all processes of a run."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stand_still() -> Iterator[None]:
    """None comes or goes meanwhile: a browser breaks off what it fetches when one does."""
    with _locked(fcntl.LOCK_SH):
        yield


@contextmanager
def change() -> Iterator[None]:
    """They may change meanwhile: nobody is there who needs them to stand still."""
    with _locked(fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(how: int) -> Iterator[None]:
    opened = os.open(Path(tempfile.gettempdir(), "dialstock-interfaces.lock"), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(opened, how)
        yield
    finally:
        os.close(opened)
