"""A claim that is renewed for as long as the work under it takes, and lapses soon after its worker died."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError


@contextmanager
def renewed(seconds: float, renew: Callable[[], object]) -> Iterator[None]:
    """Call *renew* every *seconds*, in a thread of its own, until the block ends; also while the database is away."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(seconds):
            with suppress(SQLAlchemyError):
                renew()

    thread = threading.Thread(target=run, name="dialstock-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
