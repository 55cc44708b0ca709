"""When a reading request may go: every one takes its turn in `Session.exchange`, whatever operation it belongs to.

A turn has two parts: one before a request connects, and its gate, right before the first byte. Connecting may be slow,
and a process may stand still: the gate lets none go whose moment has passed.

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


Gate = Callable[[], Callable[[], None] | None]
"""Called once a reading request is connected (`deadline.Bounds`); what it returns is called when that is over."""

Turn = Callable[[ProviderError | None], Gate]
"""Called before each reading request, and with a request's 429 before it is made again. Both it and its gate may
sleep; what they raise comes out of the operation, and the request is not made."""


def at_once(throttled: ProviderError | None) -> Gate:
    """A turn that holds nothing back, and ends with a 429."""
    if throttled is not None:
        raise throttled
    return lambda: None


def _nobody(_: ProviderError | None) -> Gate:
    raise Withheld("a reading request outside of a turn: call the adapter within in_turn(...)")


_turn: ContextVar[Turn] = ContextVar("turn", default=_nobody)


@contextmanager
def in_turn(turn: Turn) -> Iterator[None]:
    """Let this thread's reading requests go when *turn* and its gate return."""
    before = _turn.set(turn)
    try:
        yield
    finally:
        _turn.reset(before)


def take_turn(throttled: ProviderError | None = None) -> Gate:
    """Wait for the next request's turn; *throttled* is its 429 where it was made before. Returns its gate.

    Raises what the turn raises, and Withheld outside of `in_turn`.
    """
    return _turn.get()(throttled)
