"""A search: fresh seeds on several processes until the time is over, each finding told at once and made smaller."""

from __future__ import annotations

import random
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation.report import Report, again, story
from tests.simulation.shrink import kind_of, shrink
from tests.simulation.stage import stage_on

SHRINKS = 60.0
"""Seconds for making a finding smaller; what was found before is told, and not made smaller again."""

APART = 10_000_000
"""Between the first seeds of two processes."""


def search(seconds: float, processes: int, *, postgresql: bool = False) -> Report:
    """What *processes* met in *seconds* each."""
    first, whole = random.SystemRandom().randrange(2**31), Report()
    if processes == 1:
        return search_from(first, seconds, postgresql)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        starts = [first + number * APART for number in range(processes)]
        for report in pool.map(search_from, starts, [seconds] * processes, [postgresql] * processes, range(processes)):
            whole.take_in(report)
    return whole


def search_from(first: int, seconds: float, postgresql: bool = False, core: int | None = None) -> Report:
    """The worlds from seed *first* on, on the *core*-th core, or any."""
    report, known, end = Report(), set[str](), time.perf_counter() + seconds
    with stage_on(postgresql=postgresql, core=core) as stage:
        while time.perf_counter() < end:
            lived = stage.live(first + report.worlds)
            report.add(lived)
            if lived.broken is None:
                continue
            print(story(lived), flush=True)
            if kind_of(lived) not in known:
                known.add(kind_of(lived))
                seed = lived.seed
                small = shrink(lambda without, seed=seed: stage.live(seed, without), lived, SHRINKS)  # type: ignore[misc]
                print(f"smaller: {again(small)}\n", flush=True)
    return report
