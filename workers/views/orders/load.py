"""Loading a checked file: by chunks, with an end that is whole or leaves nothing behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from schemas.status import OrderStatus
from tasks import orders
from tasks.chunks import chunks
from tasks.runtime import Runtime
from tasks.transactions import Unanswered
from workers.views.errors import AWAY, SOME_FAILED, Failure, failure_of
from workers.views.orders.check_file import Checked

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
    advance: Callable[[int], None] | None = None,
) -> Loaded:
    """Bring a checked file in as one order and let it start; at most *max_purchases* of it are bought.

    *advance* hears of each so many lines that are in. Raises Failure where it was interrupted or could not be loaded:
    the order is given up then, and none of it bought.
    """
    with _signals_noted() as stop:
        try:
            order_id = orders.begin(runtime, name=name, metadata=dict(metadata), max_purchases=max_purchases)["id"]
        except Unanswered as exc:
            raise Failure(f"{exc}; no line was loaded: nothing was bought, submit the file again", AWAY) from exc
        try:
            new = _load_lines(runtime, order_id, checked, stop, advance)
        except Exception as exc:
            raise _given_up(runtime, order_id, exc) from exc
        try:
            orders.finish(runtime, order_id)
        except Exception as exc:  # noqa: BLE001 - whatever was heard, the order may have started
            _refuse_unless_open(runtime, order_id, exc)
    return Loaded(order_id, len(checked.lines), new)


def _load_lines(
    runtime: Runtime, order_id: str, checked: Checked, stop: _Stop, advance: Callable[[int], None] | None
) -> int:
    new = 0
    for chunk in chunks(checked.requests(), orders.CHUNK):
        new += sum(accepted.created for accepted in orders.load(runtime, order_id, chunk))
        if advance is not None:
            advance(len(chunk))
        if stop.number is not None:
            raise Failure("interrupted", 128 + stop.number)
    return new


def _given_up(runtime: Runtime, order_id: str, exc: Exception) -> Failure:
    """The failure to tell of an order that has not started, once it was given up where that can be done now."""
    failure = _failure(exc)
    try:
        orders.abandon(runtime, order_id)
    except Exception as second:  # noqa: BLE001 - the first failure is the one to tell
        left = f"order {order_id} never starts, and the next worker cancels its lines ({type(second).__name__})"
    else:
        left = f"order {order_id} was given up"
    return Failure(f"{failure}; {left}: nothing of it was bought, submit the file again", failure.status)


def _refuse_unless_open(runtime: Runtime, order_id: str, exc: Exception) -> None:
    """What became of an order that was told to start: it may have, whatever was heard of it. Raises Failure."""
    try:
        orders.abandon(runtime, order_id)
        status = orders.status_of(runtime, order_id)
    except SQLAlchemyError:
        look = f"`dialstock order show {order_id}`, when the database is back"
        message = f"{_failure(exc)}; whether order {order_id} has started is not known: {look}, tells it"
        raise Failure(f"{message}. Do not submit the file again unless it was abandoned", AWAY) from exc
    if status in (OrderStatus.LOADING, OrderStatus.ABANDONED):
        raise _given_up(runtime, order_id, exc) from exc


def _failure(exc: Exception) -> Failure:
    return failure_of(exc) or Failure(f"{type(exc).__name__}: {exc}", SOME_FAILED)


@contextmanager
def _signals_noted() -> Iterator[_Stop]:
    """Note a signal instead of breaking a transaction; a lost terminal counts as Ctrl-C.

    Only where signals come: in a process's main thread.
    """
    stop = _Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
