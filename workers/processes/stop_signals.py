"""Signals to stop that come more than once: systemd tells a whole group, and the kernel tells a child of `up`, which
was killed, at the end of each of its threads."""

from __future__ import annotations

import signal
from functools import partial
from types import FrameType


def heed_first(*numbers: signal.Signals) -> None:
    """Let the handlers that these signals have run for the first of them, and ignore all that come after it.

    A handler may be interrupted anywhere by the next signal, and waits for ever for a lock that it holds itself:
    Celery's for beat sets an event. Only for a process that ends at the first. To be called in the main thread.
    """
    for number in numbers:
        signal.signal(number, partial(_first, numbers, signal.getsignal(number)))


def _first(numbers: tuple[signal.Signals, ...], handler: object, number: int, frame: FrameType | None) -> None:
    for one in numbers:
        signal.signal(one, signal.SIG_IGN)
    if callable(handler):
        handler(number, frame)
