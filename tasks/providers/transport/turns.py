"""When a reading request may go: every one takes its turn in `Session.exchange`, whatever operation it belongs to.

Who calls an adapter says how turns are taken, for all requests of the block. Outside of one no reading request is
made: an operation that was forgotten fails its first test, and passes no limit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from tasks.providers.adapter import ProviderError


class Withheld(Exception):
    """A call that its caller does not let go on, out of a turn or a gate: adapters let it through."""


Turn = Callable[[ProviderError | None], None]
"""Called before each reading request, and with a request's 429 before it is made again. It may sleep; what it raises
comes out of the operation, and the request is not made."""


def at_once(throttled: ProviderError | None) -> None:
    """A turn that holds nothing back, and ends with a 429."""
    if throttled is not None:
        raise throttled


def _nobody(_: ProviderError | None) -> None:
    raise RuntimeError("a reading request outside of a turn: call the adapter within in_turn(...)")


_turn: ContextVar[Turn] = ContextVar("turn", default=_nobody)


@contextmanager
def in_turn(turn: Turn) -> Iterator[None]:
    """Let this thread's reading requests go when *turn* returns."""
    before = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(before)


def take_turn(throttled: ProviderError | None = None) -> None:
    """Wait for the next request's turn; *throttled* is its 429 where it was made before. Raises what the turn raises,
    and RuntimeError outside of `in_turn`.
    """
    _turn.get()(throttled)
