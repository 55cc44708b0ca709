"""A world that broke, made smaller: faults, their single occurrences, actors and requests are left out while it breaks.

Each fault and each person draws from a chance of its own, so that what is left in goes on much as it did before.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence

from tests.simulation.faults import RATES
from tests.simulation.world import ACTORS, KINDS, SEVERAL, Lived

Live = Callable[[frozenset[str]], Lived]

MOST_SINGLE = 40
"""Occurrences of a fault up to which each is tried by itself."""

SAME = 50
"""Letters in which two findings must agree."""

_PARTICULAR = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[+\d.,]+|" + "|".join(KINDS))


def kind_of(lived: Lived) -> str:
    """What broke, without numbers and names: two runs of it are the same finding."""
    return _PARTICULAR.sub("_", f"{type(lived.broken).__name__}: {lived.broken}")[:SAME]


def shrink(live: Live, found: Lived, seconds: float) -> Lived:
    """The smallest world that breaks in the same way as *found*, as far as *seconds* reach. *live* runs one without."""
    end, best = time.perf_counter() + seconds, found
    for candidates in (_large, _single):
        for group in _halves(candidates(best)):
            if time.perf_counter() > end:
                return best
            left = frozenset(group) - best.without
            if not left:
                continue
            lived = live(best.without | left)
            if lived.broken is not None and kind_of(lived) == kind_of(found):
                best = lived
    return best


def _large(lived: Lived) -> Sequence[Sequence[str]]:
    return [list(lived.keys), [SEVERAL, *ACTORS], sorted(lived.faults)]


def _single(lived: Lived) -> Sequence[Sequence[str]]:
    return [
        [f"{name}#{number + 1}" for number in range(count)]
        for name, count in sorted(lived.faults.items())
        if count <= MOST_SINGLE and name in RATES
    ]


def _halves(groups: Sequence[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Each group whole, then its halves, and so on down to each by itself."""
    for group in groups:
        size = len(group)
        while size:
            for start in range(0, len(group), size):
                yield group[start : start + size]
            size //= 2
