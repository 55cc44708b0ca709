"""When a reading request may go: every one takes its turn in `Session.exchange`, whatever operation it belongs to.

A turn has two parts: one before a request connects, and its gate, right before the first byte. Connecting may be slow,
and a process may stand still: the gate lets none go whose moment has passed.

Who calls an adapter says how turns are taken, for all requests of the block. Outside of one no reading request is
made: an operation that was forgotten fails its first test, and passes no limit.

A provider may say with an answer that no calls are left for a while: who is `hearing` can wait before a 429 comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast

from tasks.providers.adapter import ProviderError


class Withheld(Exception):
    """A call that its caller does not let go on, out of a turn or a gate: adapters let it through."""


Gate = Callable[[], Callable[[], None] | None]
"""Called once a reading request is connected (`deadline.Bounds`); what it returns is called when that is over."""

Turn = Callable[[ProviderError | None], Gate]
"""Called before each reading request, and with a request's 429 before it is made again. Both it and its gate may
sleep; what they raise comes out of the operation, and the request is not made."""


Told = Callable[[float], object]
"""Called with the seconds in which the provider, by its own word, takes no more calls of this account."""


def at_once(throttled: ProviderError | None) -> Gate:
    """A turn that holds nothing back, and ends with a 429."""
    if throttled is not None:
        raise throttled
    return lambda: None


def _nobody(_: ProviderError | None) -> Gate:
    raise Withheld("a reading request outside of a turn: call the adapter within in_turn(...)")


def _unheard(_: float) -> None:
    """A 429 will say it."""


_turn: ContextVar[Turn] = ContextVar("turn", default=_nobody)
_told: ContextVar[Told] = ContextVar("told", default=_unheard)


@contextmanager
def in_turn(turn: Turn, told: Told | None = None) -> Iterator[None]:
    """Let this thread's reading requests go when *turn* and its gate return.

    *told* hears what their answers say; without it the turn does, where it has a method of that name.
    """
    before = _turn.set(turn)
    try:
        with hearing(told or cast(Told, getattr(turn, "told", _unheard))):
            yield
    finally:
        _turn.reset(before)


@contextmanager
def hearing(told: Told) -> Iterator[None]:
    """Have *told* hear how long the provider takes no more calls, as the answers to this thread's requests say."""
    before = _told.set(told)
    try:
        yield
    finally:
        _told.reset(before)


def tell(seconds: float) -> None:
    """An answer says that no more calls are taken for *seconds*."""
    _told.get()(seconds)


def take_turn(throttled: ProviderError | None = None) -> Gate:
    """Wait for the next request's turn; *throttled* is its 429 where it was made before. Returns its gate.

    Raises what the turn raises, and Withheld outside of `in_turn`.
    """
    return _turn.get()(throttled)
