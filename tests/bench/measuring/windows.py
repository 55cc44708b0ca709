"""Counting in windows."""

from __future__ import annotations

import math
from collections.abc import Sequence


def largest(times: Sequence[float], seconds: float) -> int:
    """The most of *times*, which are in order, in any half-open window of *seconds*, wherever it begins."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def by_second(times: Sequence[float]) -> list[int]:
    """How many of *times* fell into each whole second after the first; the last, cut short, is left out."""
    if not times:
        return []
    counts = [0] * math.ceil(times[-1] - times[0] + 1e-9)
    for time in times[:-1]:
        counts[int(time - times[0])] += 1
    return counts[:-1]
