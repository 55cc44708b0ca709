"""How many threads a worker needs: the one thing of the file that only a start can change."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.config.file import Config

log = logging.getLogger(__name__)

MAX_CONCURRENCY = 400


def concurrency_for(config: Config) -> int:
    """Threads for all that the providers may have in flight, and 16 for messages that come in; 400 at most."""
    return min(MAX_CONCURRENCY, sum(provider.policy.max_in_flight for provider in config.providers.values()) + 16)


def tell_threads(before: Config, after: Config) -> None:
    """Log where a running worker has fewer threads than one that starts with *after* would take."""
    had, wanted = concurrency_for(before), concurrency_for(after)
    if wanted > had:
        log.warning("restart for this: a worker takes %d threads by default now, and %d before", wanted, had)
