"""Loading a checked file: by chunks, with an end that is whole or leaves nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tasks import orders
from tasks.runtime import Runtime
from workers.cli.checking import Checked
from workers.cli.errors import SOME_FAILED, Failure, failure_of
from workers.cli.output import Meter

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Loaded:
    """An order that is whole; `new` of its lines made a purchase, the others found one that was there before."""

    order_id: str
    lines: int
    new: int


class _Stop:
    """The signal that asked for an end, if one did."""

    number: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.number = number


def load_order(
    runtime: Runtime,
    checked: Checked,
    *,
    name: str | None,
    metadata: Mapping[str, Any],
    max_purchases: int | None = None,
) -> Loaded:
    """Bring a checked file in as one order and let it start; at most *max_purchases* of it are bought.

    Raises Failure where it was interrupted or could not be loaded; the order is given up then, and none of it bought.
    """
    with _signals_noted() as stop:
        order_id = orders.begin(runtime, name=name, metadata=dict(metadata), max_purchases=max_purchases)["id"]
        try:
            new = _load_lines(runtime, order_id, checked, stop)
            orders.finish(runtime, order_id)
        except Exception as exc:
            raise _given_up(runtime, order_id, exc) from exc
    return Loaded(order_id, len(checked.lines), new)


def _load_lines(runtime: Runtime, order_id: str, checked: Checked, stop: _Stop) -> int:
    new = 0
    with Meter("loading the order", len(checked.lines)) as meter:
        for chunk in orders.chunks(checked.requests(), orders.CHUNK):
            new += sum(accepted.created for accepted in orders.load(runtime, order_id, chunk))
            meter.advance(len(chunk))
            if stop.number is not None:
                raise Failure("interrupted", 128 + stop.number)
    return new


def _given_up(runtime: Runtime, order_id: str, exc: Exception) -> Failure:
    """The failure to tell, after the order was given up where that can be done now."""
    failure = failure_of(exc) or Failure(f"{type(exc).__name__}: {exc}", SOME_FAILED)
    try:
        orders.abandon(runtime, order_id)
    except Exception as second:  # noqa: BLE001 - the first failure is the one to tell
        left = f"order {order_id} never starts, and the next worker cancels its lines ({type(second).__name__})"
    else:
        left = f"order {order_id} was given up"
    return Failure(f"{failure}; {left}: nothing of it was bought, submit the file again", failure.status)


@contextmanager
def _signals_noted() -> Iterator[_Stop]:
    """Note a signal instead of breaking a transaction; a lost terminal counts as Ctrl-C."""
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
