"""Files that processes read at any time: a pipe or a device would have them wait for whoever writes to it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_OTHER = "is a pipe or a device, and has to be a regular file"


@contextmanager
def opened_regular(path: Path) -> Iterator[BinaryIO]:
    """A regular file, to be read. Raises OSError where it cannot be opened, and for what is none: at once."""
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, _OTHER, str(path))
        yield file


def read_regular(path: Path) -> bytes:
    """What stands in a regular file. Raises OSError as `opened_regular` does."""
    with opened_regular(path) as file:
        return file.read()


def _at_once(path: str, flags: int) -> int:
    # A pipe is opened only when somebody writes to it, else.
    return os.open(path, flags | os.O_NONBLOCK)
