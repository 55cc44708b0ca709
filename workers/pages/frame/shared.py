"""Answers that take their time, shown again for a while: ten people who look cost what one does."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

KEPT = 200
"""Answers that are kept at once: what nobody asked for the longest goes first."""

_SHARE = 49.0
"""What took t seconds is shown again for 49 times as long: 2 % of one connection's time at most."""


@dataclass
class _Answer:
    lock: threading.Lock = field(default_factory=threading.Lock)
    said: Any = None
    until: float = float("-inf")


class Shared:
    """The answers, by what was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, _Answer] = OrderedDict()

    def get(self, asked: Hashable, least: float, make: Callable[[], T]) -> T:
        """What *make* says, or said a moment ago: *least* seconds, longer where it took long."""
        with self._lock:
            answer = self._kept.setdefault(asked, _Answer())
            self._kept.move_to_end(asked)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        with answer.lock:
            began = time.monotonic()
            if began >= answer.until:
                answer.said = make()
                ended = time.monotonic()
                answer.until = ended + max(least, _SHARE * (ended - began))
            said: T = answer.said
            return said
