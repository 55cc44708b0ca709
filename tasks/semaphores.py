"""A place where there is one at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Semaphore


@contextmanager
def place(of: Semaphore) -> Iterator[bool]:
    """Whether there is a place just now, which the block has then: nobody waits for one."""
    free = of.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            of.release()
