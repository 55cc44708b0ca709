"""`python -m tests.simulation --seed N` repeats a world and tells its story; `--minutes N` searches, and reports.

Status 1 where a promise was broken.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time

from tests.simulation.report import Report, story
from tests.simulation.stage import Stage
from workers.embedded import find_server


def main() -> int:
    """What `make simulate` runs."""
    parser = argparse.ArgumentParser(prog="make simulate")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--whole", action="store_true", help="print all that happened, not only its end")
    given = parser.parse_args()
    with Stage(find_server(os.environ)) as stage:
        if given.seed is not None:
            lived = stage.live(given.seed)
            print(story(lived, whole=given.whole))
            return int(lived.broken is not None)
        return _search(stage, 60 * (given.minutes or 1.0))


def _search(stage: Stage, seconds: float) -> int:
    """Fresh seeds until the time is over; every finding is told at once."""
    report, began = Report(), time.perf_counter()
    first = random.SystemRandom().randrange(2**31)
    while time.perf_counter() - began < seconds:
        lived = stage.live(first + report.worlds)
        report.add(lived)
        if lived.broken is not None:
            print(story(lived), flush=True)
    print(report.text(time.perf_counter() - began))
    return int(bool(report.found))


if __name__ == "__main__":
    sys.exit(main())
