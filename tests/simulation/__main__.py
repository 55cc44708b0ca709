"""`python -m tests.simulation --seed N` repeats a world and tells its story; `--minutes N` searches, and reports.

Status 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.report import story
from tests.simulation.search import search
from tests.simulation.shrink import shrink
from tests.simulation.stage import stage_on


def main() -> int:
    """What `make simulate` runs."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--without", default="", help="faults, actors and requests to leave out, between commas")
    parser.add_argument("--shrink", type=float, default=0.0, metavar="SECONDS", help="make the world smaller first")
    parser.add_argument("--whole", action="store_true", help="print all that happened, not only its end")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL: slower, other statements")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="one for each core, if not said")
    given = parser.parse_args()
    if given.seed is not None:
        return _repeat(given)
    began = time.perf_counter()
    report = search(60 * given.minutes, given.processes, postgresql=given.postgresql)
    print(report.text(time.perf_counter() - began))
    return int(bool(report.found))


def _repeat(given: argparse.Namespace) -> int:
    without = frozenset(one.strip() for one in given.without.split(",") if one.strip())
    with stage_on(postgresql=given.postgresql) as stage:
        lived = stage.live(given.seed, without)
        if given.shrink and lived.broken is not None:
            lived = shrink(lambda less: stage.live(given.seed, less), lived, given.shrink)
        print(story(lived, whole=given.whole))
    return int(lived.broken is not None)


if __name__ == "__main__":
    sys.exit(main())
