"""Whether this process can do what messages ask for: while its own way to the database is gone, another's may not be.

So it takes no message then, gives back those that it has, and leaves the relay's lease to others. A timer asks the
database each second. In a process without that timer (a child of a prefork pool) it is always ready.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from tasks.server_errors import explained

log = logging.getLogger(__name__)

SILENT = 3.0
"""Seconds without an answer after which the database counts as away: a host that vanished says nothing for longer."""


class Readiness:
    """That of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._away = False
        self._asked: float | None = None

    @property
    def ready(self) -> bool:
        """Whether the database answered when it was asked last, and does not let us wait for its answer now."""
        asked = self._asked
        return not self._away and (asked is None or self._clock() - asked < SILENT)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A question to the database; raises what that raises, and tells once when it is away and when it is back."""
        self._asked = self._clock()
        try:
            yield
        except SQLAlchemyError as exc:
            if not self._away:
                log.warning("this process takes no messages until the database answers: it %s", explained(exc))
            self._away = True
            raise
        else:
            if self._away:
                log.info("this process takes messages again: the database answers")
            self._away = False
        finally:
            self._asked = None

    def forget(self) -> None:
        """Nobody asks any more."""
        self._away, self._asked = False, None


READINESS = Readiness()
"""That of this process."""
