"""Reading calls in their turn: a page of a search, or several calls of one errand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.outcomes import Candidate, OutcomeKind
from tasks.providers.adapter import ProviderError, SearchQuery
from tasks.providers.transport.turns import in_turn
from tasks.reading_turns import Turns
from tasks.runtime import Binding, Runtime

SEARCH_PATIENCE = 30.0
"""Seconds that a search waits for its turn among the provider's other reading calls."""


def one_page(runtime: Runtime, binding: Binding, query: SearchQuery) -> list[Candidate]:
    """One search, in its turn. Raises ProviderError, Unsupported, redis.RedisError."""
    with reading(runtime, binding):
        return binding.adapter.search(query)


@contextmanager
def reading(runtime: Runtime, binding: Binding) -> Iterator[None]:
    """Have the calls of the block take their turns; a 429 slows all look-ups."""
    try:
        with in_turn(Turns(runtime=runtime, binding=binding, first=SEARCH_PATIENCE)):
            yield
    except ProviderError as exc:
        if exc.outcome.kind is OutcomeKind.THROTTLED:
            runtime.pace.penalise(binding.looking, exc.outcome.retry_after or 1.0)
        raise
