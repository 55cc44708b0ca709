"""Waiting for a database that is away: a provider's answer must not be lost to a restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE = 300.0
"""Seconds that a worker with an answer in its hands waits."""

# InternalError is what PostgreSQL calls a transaction that stood still for too long.
DATABASE_AWAY = (OperationalError, InterfaceError, InternalError, PoolTimeoutError)


def patiently(action: Callable[[], T]) -> T:
    """Run *action* until the database takes it: a provider's answer must not be lost to a restart.

    Raises what the database raised after five minutes; the sweep then takes the call for lost.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return action()
        except DATABASE_AWAY as exc:
            if time.monotonic() > deadline:
                raise
            log.warning("the database does not take an outcome, trying again: %s", type(exc).__name__)
            time.sleep(0.5)
