"""How far one search goes: to as many pages as keep its provider busy, and no further than a run should last."""

from __future__ import annotations

from tasks.runtime import Binding

MAX_PAGES = 20
"""Pages that a run sees in any case: the next run may see more of them."""

MOST_PAGES = 1_000
"""The same while nothing is found that can be ordered, or less than is urgent."""

_BUSY = 60.0
"""Seconds of purchases that a search finds at once: buying may stand still for a moment until the next one is over."""

_PATIENCE = 15.0
"""Seconds of pages, at the limit of look-ups: what was found waits meanwhile."""


def is_enough(binding: Binding, pages: int, found: int) -> bool:
    """Whether a run goes no further than *pages* that showed so many that were *found*."""
    if pages < MAX_PAGES:
        return False
    busy = binding.buying.calls_within(_BUSY) * binding.batch
    return found >= busy or pages >= binding.looking.calls_within(_PATIENCE)
